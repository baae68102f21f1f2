//! What viewers send, on its way to the agent.

use bytestring::ByteString;

use super::{Worker, WorkerEvent, endpoint, event::Inbound};
use crate::{
    frame::{Frame, FrameError, FrameKind, MalformedFrame, sse::SseItem},
    io::StreamId,
};

impl Worker {
    pub(super) fn stream_bytes(&mut self, id: StreamId, bytes: bytes::Bytes) {
        if self.stream != super::phase::Stream::Open(id) {
            return;
        }
        self.stream_alive();
        self.decoder.push(bytes);
        self.read_stream();
    }

    /// Takes events of the stream for as long as there is room.
    pub(super) fn read_stream(&mut self) {
        while self.has_room() {
            match self.decoder.next() {
                Some(SseItem::Event(event)) if &*event.event == "client_event" => {
                    self.client_event(event.data, event.id.as_deref());
                }
                // Nothing else is for a worker; a proposed delay does not change the policy.
                Some(SseItem::Event(_) | SseItem::Retry(_)) => {}
                Some(SseItem::TooLarge { id }) => {
                    // Asked for again it would be too large again.
                    self.seen_up_to(id.and_then(|id| id.parse().ok()));
                    self.unreadable(ByteString::new());
                }
                None => {
                    self.backlog = None;
                    self.stream_failures = 0;
                    return;
                }
            }
        }
        // Room is made by whoever takes events, which is not seen from here: see `poll_timeout`.
        self.backlog = self.backlog.or(Some(self.now));
    }

    /// Whether one more event may be looked at. Whoever asks and asks while no answer gets through has to
    /// wait.
    pub(super) fn has_room(&self) -> bool {
        !self.events.is_full() && self.uploads.own() < self.config.limits.requests.max(1)
    }

    fn client_event(&mut self, data: ByteString, id: Option<&str>) {
        let Some(event) = endpoint::read_event(&data) else {
            self.seen_up_to(id.and_then(|id| id.parse().ok()));
            self.unreadable(data);
            return;
        };
        let sequence = event.sequence.or_else(|| id?.parse().ok());
        self.seen_up_to(sequence);
        if !self.deliveries.arrived(&event.event_id) {
            return;
        }
        let frame = match Frame::classify(event.payload) {
            Ok(frame) => frame,
            Err(malformed) => {
                self.events.push(WorkerEvent::Malformed(malformed));
                return;
            }
        };
        match frame.kind() {
            FrameKind::KeepAlive | FrameKind::Auth => return,
            FrameKind::ControlRequest {
                request_id,
                subtype,
            } => {
                let limit = self.config.limits.requests;
                let patience = &self.config.patience;
                let asked = self
                    .requests
                    .asked(request_id, subtype, self.now, patience, limit);
                if let Err(refusal) = asked {
                    self.answer(refusal);
                    return;
                }
            }
            FrameKind::ControlCancelRequest { request_id } => self.requests.withdrawn(request_id),
            FrameKind::ControlResponse { .. }
            | FrameKind::UnknownControl { .. }
            | FrameKind::Message { .. } => {}
        }
        self.events.push(WorkerEvent::Inbound(Inbound {
            event_id: event.event_id,
            frame,
        }));
    }

    /// The stream goes on after this number when it is opened again.
    fn seen_up_to(&mut self, sequence: Option<u64>) {
        self.sequence = self.sequence.max(sequence.unwrap_or_default());
    }

    /// Requests the agent has not answered in time get the worker's own answer.
    pub(super) fn requests_overdue(&mut self) {
        while let Some(answer) = self.requests.overdue(self.now) {
            self.answer(answer);
        }
    }

    /// Uploads a response of our own.
    fn answer(&mut self, text: ByteString) {
        if let Ok(frame) = Frame::classify(text) {
            let (uuid, text) = frame.identified(|| self.rng.uuid());
            self.uploads.push_own(uuid, text);
        }
    }

    fn unreadable(&mut self, text: ByteString) {
        let error = FrameError::NoType;
        self.events
            .push(WorkerEvent::Malformed(MalformedFrame { error, text }));
    }
}
