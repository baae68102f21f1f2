//! One thing that viewers are told.

use std::{sync::Arc, time::SystemTime};

use attache_protocol::frame::relay::{self, DeliveryStatus};
use axum::body::Bytes;

use super::{
    event::{self, Said},
    message::{self, Message},
};
use crate::{line::Line, store::Origin};

/// One thing that viewers are told. Cloning is cheap: all viewers share what it holds, in every
/// spelling that one of them needs.
#[derive(Clone)]
pub(crate) enum Item {
    /// A frame of the log, at this sequence number.
    Stored(u64, Saying),
    /// A frame for those who are there.
    Live(Saying),
    /// How far the agent has got with a viewer's message.
    Delivery(Arc<DeliveryUpdate>),
    /// The log up to this sequence number comes before whatever is queued behind this. Only viewers
    /// that [follow the log](super::Outgoing::follows_log) get it.
    LogUpTo(u64),
}

#[derive(Clone)]
pub(crate) struct Saying {
    line: Line,
    origin: Origin,
    at: SystemTime,
}

/// What an event says of its line.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) struct Telling {
    /// Its place in the log, if it is told as a part of that.
    sequence: Option<u64>,
    origin: Origin,
    at: SystemTime,
}

pub(crate) struct DeliveryUpdate {
    uuid: Box<str>,
    message: Bytes,
    event: Bytes,
}

impl Item {
    /// A frame that is in the log at `sequence` since `at`.
    pub(crate) fn stored(line: Line, sequence: u64, origin: Origin, at: SystemTime) -> Self {
        Self::Stored(sequence, Saying { line, origin, at })
    }

    /// A frame that is in no log, or a copy of one that is.
    pub(crate) fn live(line: Line, origin: Origin) -> Self {
        Self::live_at(line, origin, SystemTime::now())
    }

    /// A frame that is in no log and was said at `at`.
    pub(crate) fn live_at(line: Line, origin: Origin, at: SystemTime) -> Self {
        Self::Live(Saying { line, origin, at })
    }

    /// How far the agent has got with the message `uuid`.
    pub(crate) fn delivery(uuid: &str, status: DeliveryStatus) -> Self {
        let update = relay::DeliveryUpdate {
            event_id: uuid.into(),
            status,
        };
        let mut message = Vec::new();
        message::write(&mut message, &[&update.to_frame()]);
        Self::Delivery(Arc::new(DeliveryUpdate {
            uuid: uuid.into(),
            message: message.into(),
            event: event::delivery(&update),
        }))
    }

    /// What goes to a socket: a message of a frame and its line break.
    pub(crate) fn message(&self) -> Option<Message<'_>> {
        match self {
            Self::Stored(_, said) | Self::Live(said) => Some(said.line.message()),
            Self::Delivery(update) => Some(Message {
                sheet: &update.message,
                start: 0,
                end: update.message.len(),
            }),
            Self::LogUpTo(_) => None,
        }
    }

    /// The text of the message.
    #[cfg(test)]
    pub(crate) fn wire(&self) -> Option<String> {
        self.message().map(Message::text)
    }

    /// What goes to a stream.
    pub(crate) fn event(&self) -> Option<Bytes> {
        match self {
            Self::Stored(sequence, said) => Some(said.event(Some(*sequence))),
            Self::Live(said) => Some(said.event(None)),
            Self::Delivery(update) => Some(update.event.clone()),
            Self::LogUpTo(_) => None,
        }
    }

    pub(crate) fn is_stored(&self) -> bool {
        matches!(self, Self::Stored(..))
    }

    /// Up to where this brings a viewer in the log.
    pub(super) fn sequence(&self) -> Option<u64> {
        match self {
            Self::Stored(sequence, _) | Self::LogUpTo(sequence) => Some(*sequence),
            Self::Live(_) | Self::Delivery(_) => None,
        }
    }

    /// Which message this tells about, if it tells how far one has got.
    pub(super) fn delivered(&self) -> Option<&str> {
        match self {
            Self::Delivery(update) => Some(&update.uuid),
            Self::Stored(..) | Self::Live(_) | Self::LogUpTo(_) => None,
        }
    }

    /// How much of a queue it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Stored(_, said) | Self::Live(said) => said.line.frame().as_str().len() + 1,
            Self::Delivery(update) => update.message.len(),
            Self::LogUpTo(_) => 0,
        }
    }
}

impl Saying {
    fn event(&self, sequence: Option<u64>) -> Bytes {
        let telling = Telling {
            sequence,
            origin: self.origin,
            at: self.at,
        };
        self.line.event(telling, || match sequence {
            Some(sequence) => self.said().stored(sequence),
            None => self.said().live(),
        })
    }

    fn said(&self) -> Said<'_> {
        let frame = self.line.frame();
        Said {
            uuid: frame.uuid().map(AsRef::as_ref),
            type_name: frame.type_name(),
            origin: self.origin,
            at: self.at,
            text: frame.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_spelled_for_sockets_and_for_streams() {
        let line = Line::accept(r#"{"type":"user","uuid":"u1"}"#).unwrap();
        let stored = Item::stored(line.clone(), 3, Origin::Agent, SystemTime::UNIX_EPOCH);
        assert_eq!(
            stored.wire().unwrap(),
            "{\"type\":\"user\",\"uuid\":\"u1\"}\n"
        );
        let event = stored.event().unwrap();
        assert!(event.starts_with(b"event: client_event\nid: 3\n"));
        assert!(event.ends_with(b"\"payload\":{\"type\":\"user\",\"uuid\":\"u1\"}}\n\n"));
        // Viewers share one text.
        assert_eq!(stored.clone().event().unwrap().as_ptr(), event.as_ptr());
        let event = Item::live(line, Origin::Agent).event().unwrap();
        assert!(
            event
                .starts_with(b"event: ephemeral_event\ndata: {\"event_id\":\"u1\",\"event_type\":")
        );
    }

    #[test]
    fn a_delivery_update_is_a_frame_of_its_own() {
        let update = Item::delivery("u1", DeliveryStatus::Processed);
        let wire = update.wire().unwrap();
        let expected = "{\"type\":\"delivery_update\",\"event_id\":\"u1\",\"status\":\"DELIVERY_STATUS_PROCESSED\"}\n";
        assert_eq!(wire, expected);
    }
}
