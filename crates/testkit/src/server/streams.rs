//! The second generation of the viewer's endpoints: streams of events, and posts with an answer each.

use std::time::Duration;

use attache_protocol::{
    ByteString, Bytes,
    frame::{Frame, FrameKind, split},
    io::{HttpRequest, HttpResponse, Input, NetworkFailure, Refusal, StreamId},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    Line, LineId, Outgoing, Received, Server, Upgrade,
    log::{Entry, Source},
};
use crate::http::answer;

/// A server lets a stream know this often that it is there.
pub(crate) const COMMENT_EVERY: Duration = Duration::from_secs(15);

impl Server {
    /// Bytes as they are, to whoever listens to a stream. Nothing is stored.
    pub fn blurt_bytes(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        for id in self.live_streams() {
            self.send_bytes(id, &bytes);
        }
    }

    /// A stored event once more, to whoever listens to a stream.
    pub fn repeat(&mut self, number: u64) {
        let event = self
            .log
            .after(number.saturating_sub(1))
            .next()
            .map(|(number, entry)| client_event(number, entry));
        if let Some(event) = event {
            self.blurt_bytes(event);
        }
    }

    pub(crate) fn open_stream(&mut self, id: StreamId, request: &HttpRequest) {
        let refuse = |status| Refusal::Http {
            status,
            retry_after: None,
        };
        let after = position(request);
        let plan = match self.upgrades.take() {
            Upgrade::Accept if self.refuses(&request.bearer) => Upgrade::Refuse(refuse(401)),
            Upgrade::Accept if after > Some(self.log.last_number()) => Upgrade::Refuse(refuse(410)),
            other @ (Upgrade::Accept
            | Upgrade::AcceptThenClose(_)
            | Upgrade::AcceptThenEnd
            | Upgrade::AcceptThenReset
            | Upgrade::Refuse(_)
            | Upgrade::Never) => other,
        };
        match plan {
            Upgrade::Accept => {
                self.accept_stream(id);
                self.catch_up(id, after);
            }
            Upgrade::AcceptThenClose(_) | Upgrade::AcceptThenEnd => {
                self.accept_stream(id);
                self.end_stream(id, NetworkFailure::Ended);
            }
            Upgrade::AcceptThenReset => {
                self.accept_stream(id);
                self.end_stream(id, NetworkFailure::Reset);
            }
            Upgrade::Refuse(ending) => {
                self.hand_over(Outgoing::Answer(Input::StreamClosed { id, ending }));
            }
            Upgrade::Never => {}
        }
    }

    /// Sends a comment, if anybody still listens.
    pub(crate) fn comment(&mut self, id: StreamId) -> bool {
        let line = self.lines.get(&LineId::Stream(id)).copied();
        if line == Some(Line::Up) && self.comments {
            self.send_bytes(id, &Bytes::from_static(b":keepalive\n\n"));
        }
        line.is_some()
    }

    /// A frame that was stored under this number, to every stream.
    pub(super) fn stream_stored(&mut self, number: u64) {
        self.repeat(number);
    }

    /// What is not stored, to every stream.
    pub(super) fn stream_ephemeral(&mut self, text: &ByteString) {
        for frame in split(text) {
            self.blurt_bytes(ephemeral_event(&frame));
        }
    }

    pub(super) fn end_stream(&mut self, id: StreamId, failure: NetworkFailure) {
        let line = LineId::Stream(id);
        self.lines.remove(&line);
        let ending = Refusal::Network(failure);
        self.hand_over(Outgoing::OverLine(line, Input::StreamClosed { id, ending }));
    }

    pub(super) fn last_event(&self) -> HttpResponse {
        let last = self.log.last_number();
        let data: Vec<Value> = self
            .log
            .after(last.saturating_sub(1))
            .map(|(number, entry)| json!({"event_id": entry.uuid, "sequence_num": number}))
            .collect();
        answer(
            200,
            None,
            json!({"data": data, "has_more": last > 1, "next_cursor": null}).to_string(),
        )
    }

    pub(super) fn serve_payloads(&mut self, request: &HttpRequest) -> HttpResponse {
        #[derive(Deserialize)]
        struct Body {
            events: Vec<Event>,
        }
        #[derive(Deserialize)]
        struct Event {
            payload: Box<RawValue>,
        }
        let body = request.body.clone().unwrap_or_default();
        let Ok(body) = serde_json::from_slice::<Body>(&body) else {
            return answer(400, None, String::new());
        };
        let data: Vec<Value> = body
            .events
            .iter()
            .map(|event| self.take_payload(event.payload.get()))
            .collect();
        answer(200, None, json!({"data": data}).to_string())
    }

    fn take_payload(&mut self, text: &str) -> Value {
        let Ok(frame) = Frame::classify(text.into()) else {
            return json!({"id": null, "status": "ignored"});
        };
        let Some(uuid) = frame.uuid().map(ToString::to_string) else {
            return json!({"id": null, "status": "refused", "message": "no uuid"});
        };
        if let FrameKind::Message { .. } = frame.kind() {
            self.posted.push(uuid.clone());
        }
        let wanted = matches!(frame.kind(), FrameKind::ControlResponse { request_id }
            if self.open_prompts.contains_key(request_id.as_str()));
        if self.log.knows(&uuid) && !wanted {
            return json!({"id": uuid, "status": "duplicate"});
        }
        if !matches!(frame.kind(), FrameKind::Message { .. }) {
            let frame = frame.text().clone();
            self.received.push(Received { frame });
        }
        match frame.kind() {
            FrameKind::ControlResponse { request_id } => {
                let is_error = text.contains(r#""subtype":"error""#);
                if self.open_prompts.remove(request_id.as_str()).is_none() && !is_error {
                    let reason = match self.closed_prompts.get(request_id.as_str()) {
                        Some(reason) => *reason,
                        None => "unknown",
                    };
                    return json!({"id": uuid, "status": "refused", "reason": reason, "message": "too late"});
                }
                self.closed_prompts
                    .insert(request_id.as_str().to_owned(), "answered");
                self.store_said(text, Source::Viewer);
            }
            FrameKind::ControlRequest { request_id, .. } => {
                self.store_said(text, Source::Viewer);
                if self.answers_requests {
                    let request_id = request_id.as_str().to_owned();
                    self.respond(&request_id, &json!({}));
                }
            }
            FrameKind::Message { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. } => {
                self.store_said(text, Source::Viewer);
            }
        }
        json!({"id": uuid, "status": "stored"})
    }

    fn accept_stream(&mut self, id: StreamId) {
        self.lines.insert(LineId::Stream(id), Line::Up);
        self.hand_over(Outgoing::Answer(Input::StreamOpened { id }));
        self.send_bytes(id, &Bytes::from_static(b":ok\n\n"));
    }

    /// What was stored after `after`, then the prompts that are still open.
    fn catch_up(&mut self, id: StreamId, after: Option<u64>) {
        let mut events = Vec::new();
        if let Some(after) = after {
            let first = self.log.first_number();
            if after + 1 < first && self.tells_truncation {
                events.push(format!(
                    "event: catch_up_truncated\ndata: {{\"first_sequence_num\":{first}}}\n\n"
                ));
            }
            let stored = self.log.after(after);
            events.extend(stored.map(|(number, entry)| client_event(number, entry)));
        }
        if self.repeats_prompts {
            events.extend(self.open_prompts.values().map(|text| ephemeral_event(text)));
        }
        for event in events {
            self.send_bytes(id, &event.into());
        }
    }

    fn live_streams(&self) -> Vec<StreamId> {
        self.live_lines()
            .into_iter()
            .filter_map(|line| match line {
                LineId::Stream(id) => Some(id),
                LineId::Socket(_) => None,
            })
            .collect()
    }

    fn send_bytes(&mut self, id: StreamId, bytes: &Bytes) {
        let size = match self.stream_chunk {
            0 => bytes.len().max(1),
            size => size,
        };
        for chunk in bytes.chunks(size) {
            let bytes = bytes.slice_ref(chunk);
            let input = Input::StreamBytes { id, bytes };
            self.hand_over(Outgoing::OverLine(LineId::Stream(id), input));
        }
    }
}

pub(crate) fn client_event(number: u64, entry: &Entry) -> String {
    let uuid = Value::from(entry.uuid.as_str());
    let text = &entry.text;
    let source = match entry.source {
        Source::Viewer => "client",
        Source::Worker => "worker",
    };
    format!(
        "event: client_event\nid: {number}\ndata: {{\"event_id\":{uuid},\"sequence_num\":{number},\
         \"event_type\":\"x\",\"source\":\"{source}\",\"created_at\":\"2026-01-01T00:00:00Z\",\
         \"payload\":{text}}}\n\n"
    )
}

/// What is no JSON goes as it is.
pub(crate) fn ephemeral_event(text: &str) -> String {
    if serde_json::from_str::<Value>(text).is_ok() {
        format!("event: ephemeral_event\ndata: {{\"payload\":{text}}}\n\n")
    } else {
        format!("event: ephemeral_event\ndata: {text}\n\n")
    }
}

fn position(request: &HttpRequest) -> Option<u64> {
    let (_, number) = request.path.split_once("from_sequence_num=")?;
    number.parse().ok()
}
