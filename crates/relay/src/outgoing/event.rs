//! Server-sent events, as the second generation of the API spells them.

use core::fmt::Write as _;
use std::time::SystemTime;

use axum::body::Bytes;

use attache_protocol::frame::relay::DeliveryUpdate;

use crate::store::{Origin, StoredFrame};

/// The first words of every stream, so that its head is sent at once.
pub(crate) const OPENING: &[u8] = b":ok\n\n";
/// The last words of a viewer's stream when the session is over.
pub(crate) const SESSION_ENDED: &[u8] = b"event: session_ended\ndata: {}\n\n";
/// What a stream with nothing to say says.
pub(crate) const KEEP_ALIVE: &[u8] = b":keepalive\n\n";

/// A frame, with what an event says of it.
pub(crate) struct Said<'a> {
    pub(crate) uuid: Option<&'a str>,
    pub(crate) type_name: &'a str,
    pub(crate) origin: Origin,
    pub(crate) at: SystemTime,
    /// The frame, byte for byte, without a line break.
    pub(crate) text: &'a str,
}

impl<'a> Said<'a> {
    /// A frame of the log, whose type is `type_name`.
    pub(crate) fn of(stored: &'a StoredFrame, type_name: &'a str) -> Self {
        Self {
            uuid: Some(&stored.uuid),
            type_name,
            origin: stored.origin,
            at: stored.stored_at,
            text: &stored.text,
        }
    }

    /// The event of a frame that is in the log at `sequence`.
    pub(crate) fn stored(&self, sequence: u64) -> Bytes {
        self.event("client_event", Some(sequence))
    }

    /// The event of a frame for those who are there, which has no place in the log.
    pub(crate) fn live(&self) -> Bytes {
        self.event("ephemeral_event", None)
    }

    /// The fields of the frame as JSON, without a line break of any kind outside its strings unless
    /// the frame itself has one.
    pub(crate) fn write_json(&self, json: &mut String, sequence: Option<u64>) {
        json.push('{');
        if let Some(uuid) = self.uuid {
            let _ = write!(json, "\"event_id\":{},", quoted(uuid));
        }
        if let Some(sequence) = sequence {
            let _ = write!(json, "\"sequence_num\":{sequence},");
        }
        let _ = write!(
            json,
            "\"event_type\":{},\"source\":\"{}\",\"created_at\":\"{}\",\"payload\":{}}}",
            quoted(self.type_name),
            source(self.origin),
            humantime::format_rfc3339_millis(self.at),
            self.text,
        );
    }

    fn event(&self, name: &str, sequence: Option<u64>) -> Bytes {
        let mut json = String::with_capacity(self.text.len() + 512);
        let _ = writeln!(json, "event: {name}");
        if let Some(sequence) = sequence {
            let _ = writeln!(json, "id: {sequence}");
        }
        json.push_str("data: ");
        self.write_json(&mut json, sequence);
        // Between fields a carriage return is white space, but here it would end the line.
        if self.text.contains('\r') {
            json = json.replace('\r', "\ndata: ");
        }
        json.push_str("\n\n");
        json.into()
    }
}

/// How far the agent has got with a message.
pub(crate) fn delivery(update: &DeliveryUpdate) -> Bytes {
    // Texts can always be written.
    let json = serde_json::to_string(update).unwrap_or_default();
    format!("event: delivery_update\ndata: {json}\n\n").into()
}

/// What the reader should get next is no longer kept; the log goes on at `first`.
pub(crate) fn truncated(first: u64) -> Bytes {
    format!("event: catch_up_truncated\ndata: {{\"first_sequence_num\":{first}}}\n\n").into()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn source(origin: Origin) -> &'static str {
    match origin {
        Origin::Viewer => "client",
        Origin::Agent => "worker",
        Origin::Relay => "relay",
    }
}

#[cfg(test)]
mod tests {
    use attache_protocol::frame::relay::DeliveryStatus;

    use super::*;

    fn said(text: &str) -> Said<'_> {
        Said {
            uuid: Some("u\"1"),
            type_name: "user",
            origin: Origin::Viewer,
            at: SystemTime::UNIX_EPOCH,
            text,
        }
    }

    fn text(event: &Bytes) -> &str {
        core::str::from_utf8(event).unwrap()
    }

    #[test]
    fn an_event_carries_the_frame_byte_for_byte() {
        let event = said(r#"{ "type":"user","x":1.0e2 }"#).stored(7);
        let expected = "event: client_event\nid: 7\ndata: {\"event_id\":\"u\\\"1\",\"sequence_num\":7,\
                        \"event_type\":\"user\",\"source\":\"client\",\
                        \"created_at\":\"1970-01-01T00:00:00.000Z\",\
                        \"payload\":{ \"type\":\"user\",\"x\":1.0e2 }}\n\n";
        assert_eq!(text(&event), expected);
    }

    #[test]
    fn a_live_event_has_no_id_and_no_number() {
        let mut said = said(r#"{"type":"stream_event"}"#);
        said.uuid = None;
        let expected = "event: ephemeral_event\ndata: {\"event_type\":\"user\",\"source\":\"client\",\
                        \"created_at\":\"1970-01-01T00:00:00.000Z\",\
                        \"payload\":{\"type\":\"stream_event\"}}\n\n";
        assert_eq!(text(&said.live()), expected);
    }

    #[test]
    fn a_carriage_return_does_not_end_an_event() {
        for event in [
            said("{\"type\":\r\"user\"}").stored(7),
            said("{\"type\":\r\"user\"}").live(),
        ] {
            let text = text(&event);
            assert!(!text.contains('\r'));
            assert!(text.ends_with("{\"type\":\ndata: \"user\"}}\n\n"), "{text}");
        }
    }

    #[test]
    fn an_id_is_quoted_wherever_it_stands() {
        let event = delivery(&DeliveryUpdate {
            event_id: "a\"b\n".into(),
            status: DeliveryStatus::Received,
        });
        let expected = "event: delivery_update\n\
                        data: {\"event_id\":\"a\\\"b\\n\",\"status\":\"DELIVERY_STATUS_RECEIVED\"}\n\n";
        assert_eq!(text(&event), expected);
    }
}
