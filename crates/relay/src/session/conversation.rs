//! What a session's log amounts to: which of the agent's requests are open, and whether it works.

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameKind, RequestId, relay::Settlement},
};

use super::{
    notices,
    settled::{Deserter, Settled, SettledRequests, Winner},
};
use crate::{
    line::Line,
    store::{Origin, SessionStatus},
};

/// Derived from the stored frames in their order, and from nothing else.
#[derive(Default)]
pub(crate) struct Conversation {
    /// In the order in which they were asked.
    open: Vec<OpenRequest>,
    settled: SettledRequests,
    running: bool,
}

struct OpenRequest {
    sequence: u64,
    request_id: RequestId,
    kind: RequestKind,
    line: Line,
}

#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// A permission prompt.
    Prompt,
    Other,
}

impl Conversation {
    /// The state at the beginning of a log whose front is not kept, as far as it is known: from what
    /// the session was at last. The kept part has the open requests.
    pub(super) fn without_its_beginning(status: SessionStatus) -> Self {
        Self {
            running: matches!(
                status,
                SessionStatus::Running | SessionStatus::RequiresAction
            ),
            ..Self::default()
        }
    }

    /// Takes in the next stored frame.
    pub(crate) fn observe(&mut self, sequence: u64, origin: Origin, line: &Line) {
        match (line.frame().kind(), origin) {
            (
                FrameKind::ControlRequest {
                    request_id,
                    subtype,
                },
                Origin::Agent,
            ) => self.ask(sequence, request_id, subtype, line),
            (FrameKind::ControlCancelRequest { request_id }, Origin::Agent) => {
                if self.close(request_id) {
                    self.settled.add(request_id, Settled::Withdrawn);
                }
            }
            (FrameKind::ControlCancelRequest { request_id }, Origin::Relay) => {
                if self.close(request_id) {
                    let settled = match notices::deserter(line.frame()) {
                        Some(deserter) => Settled::Lost(deserter),
                        None => Settled::Withdrawn,
                    };
                    self.settled.add(request_id, settled);
                }
            }
            // The relay's own word to an agent that has come back.
            (FrameKind::ControlResponse { request_id }, Origin::Viewer)
                if matches!(self.settled.find(request_id), Some(Settled::Lost(_))) =>
            {
                self.settled.add(request_id, Settled::Withdrawn);
            }
            // Only what counted was stored, so this also holds for an answer whose request is no
            // longer kept.
            (FrameKind::ControlResponse { request_id }, Origin::Viewer) => {
                self.close(request_id);
                let answered = Settled::Answered(Box::new(Winner {
                    answer_id: line.frame().uuid().map(owned).unwrap_or_default(),
                    by: None,
                    settlement: None,
                }));
                self.settled.add(request_id, answered);
            }
            (FrameKind::Message { .. }, Origin::Relay) => {
                if let Some(told) = Settlement::read(line.frame()) {
                    let answered = Settled::Answered(Box::new(Winner {
                        answer_id: told.answer_id.map(ByteString::from).unwrap_or_default(),
                        by: told.answered_by,
                        settlement: Some(line.clone()),
                    }));
                    self.settled.add(&told.request_id, answered);
                }
            }
            (FrameKind::Message { type_name }, Origin::Agent | Origin::Viewer) => {
                match &**type_name {
                    "user" => self.running = true,
                    "result" => self.running = false,
                    _ => {}
                }
            }
            (
                FrameKind::ControlRequest { .. }
                | FrameKind::ControlCancelRequest { .. }
                | FrameKind::ControlResponse { .. }
                | FrameKind::KeepAlive
                | FrameKind::Auth
                | FrameKind::UnknownControl { .. },
                _,
            ) => {}
        }
    }

    /// What the agent waits for under `request_id`, if it does.
    pub(super) fn awaited(&self, request_id: &RequestId) -> Option<RequestKind> {
        let mut open = self.open.iter();
        let found = open.find(|open| open.request_id == *request_id)?;
        Some(found.kind)
    }

    /// How `request_id` came to its end, if it did, and not too long ago.
    pub(super) fn settled(&self, request_id: &RequestId) -> Option<&Settled> {
        self.settled.find(request_id)
    }

    /// What was taken back from `returned` while it was away, and it has not been told.
    pub(super) fn lost_by<'a>(
        &'a self,
        returned: &'a Deserter,
    ) -> impl Iterator<Item = &'a RequestId> {
        self.settled.lost_by(returned)
    }

    /// Whether the agent waits for an answer to `request_id`.
    pub(crate) fn is_open(&self, request_id: &RequestId) -> bool {
        self.open.iter().any(|open| open.request_id == *request_id)
    }

    /// Everything the agent waits for, the oldest first.
    pub(crate) fn open_requests(&self) -> impl ExactSizeIterator<Item = &Line> {
        self.open.iter().map(|open| &open.line)
    }

    /// Where the oldest of these is in the log.
    pub(super) fn oldest_open(&self) -> Option<u64> {
        self.open.first().map(|open| open.sequence)
    }

    /// The ids of these.
    pub(super) fn open_ids(&self) -> impl Iterator<Item = &RequestId> {
        self.open.iter().map(|open| &open.request_id)
    }

    /// The open permission prompts, the oldest first.
    pub(crate) fn prompts(&self) -> impl Iterator<Item = &Line> {
        let prompts = |open: &&OpenRequest| open.kind == RequestKind::Prompt;
        self.open.iter().filter(prompts).map(|open| &open.line)
    }

    pub(crate) fn status(&self) -> SessionStatus {
        if self.prompts().next().is_some() {
            SessionStatus::RequiresAction
        } else if self.running {
            SessionStatus::Running
        } else {
            SessionStatus::Idle
        }
    }

    fn ask(&mut self, sequence: u64, request_id: &RequestId, subtype: &str, line: &Line) {
        if self.is_open(request_id) {
            return;
        }
        self.settled.forget(request_id);
        // They may wait for days.
        let line = line.detached();
        let Some((request_id, _)) = asked(line.frame()) else {
            return;
        };
        self.open.push(OpenRequest {
            sequence,
            request_id: request_id.clone(),
            kind: if subtype == "can_use_tool" {
                RequestKind::Prompt
            } else {
                RequestKind::Other
            },
            line,
        });
    }

    /// Takes a request from the open ones, and says whether it was there.
    fn close(&mut self, request_id: &RequestId) -> bool {
        let place = self
            .open
            .iter()
            .position(|open| open.request_id == *request_id);
        if let Some(place) = place {
            self.open.remove(place);
        }
        place.is_some()
    }
}

/// A copy, because ids share the memory of their frames.
fn owned(id: &ByteString) -> ByteString {
    ByteString::from(&**id)
}

/// The request `frame` answers, if it is an answer.
pub(crate) fn answered(frame: &Frame) -> Option<&RequestId> {
    match frame.kind() {
        FrameKind::ControlResponse { request_id } => Some(request_id),
        FrameKind::ControlRequest { .. }
        | FrameKind::ControlCancelRequest { .. }
        | FrameKind::KeepAlive
        | FrameKind::Auth
        | FrameKind::UnknownControl { .. }
        | FrameKind::Message { .. } => None,
    }
}

/// The id and the subtype of `frame`, if it is a request.
pub(crate) fn asked(frame: &Frame) -> Option<(&RequestId, &str)> {
    match frame.kind() {
        FrameKind::ControlRequest {
            request_id,
            subtype,
        } => Some((request_id, subtype)),
        FrameKind::ControlResponse { .. }
        | FrameKind::ControlCancelRequest { .. }
        | FrameKind::KeepAlive
        | FrameKind::Auth
        | FrameKind::UnknownControl { .. }
        | FrameKind::Message { .. } => None,
    }
}

/// Whether `frame` belongs to the conversation between machines.
pub(crate) fn is_control(frame: &Frame) -> bool {
    match frame.kind() {
        FrameKind::ControlRequest { .. }
        | FrameKind::ControlResponse { .. }
        | FrameKind::ControlCancelRequest { .. }
        | FrameKind::UnknownControl { .. } => true,
        FrameKind::KeepAlive | FrameKind::Auth | FrameKind::Message { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str =
        r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool"}}"#;
    const ANSWER: &str =
        r#"{"type":"control_response","response":{"subtype":"success","request_id":"r1"}}"#;
    const CANCEL: &str = r#"{"type":"control_cancel_request","request_id":"r1"}"#;

    fn after(frames: &[(Origin, &str)]) -> SessionStatus {
        let mut conversation = Conversation::default();
        for ((origin, text), sequence) in frames.iter().zip(1..) {
            conversation.observe(sequence, *origin, &Line::accept(text).unwrap());
        }
        conversation.status()
    }

    #[test]
    fn the_status_follows_the_log() {
        use Origin::{Agent, Relay, Viewer};
        use SessionStatus::{Idle, RequiresAction, Running};
        let (user, result) = (
            (Viewer, r#"{"type":"user"}"#),
            (Agent, r#"{"type":"result"}"#),
        );
        let prompt = (Agent, PROMPT);
        for (frames, status) in [
            (&[][..], Idle),
            (&[user], Running),
            (&[user, result], Idle),
            (&[user, prompt], RequiresAction),
            (&[user, prompt, (Viewer, ANSWER)], Running),
            (&[user, prompt, (Agent, CANCEL)], Running),
            (&[user, prompt, (Relay, CANCEL)], Running),
            // The same words from the other side mean something else.
            (&[user, prompt, (Agent, ANSWER)], RequiresAction),
            (&[user, prompt, (Viewer, CANCEL)], RequiresAction),
            (&[(Viewer, PROMPT)], Idle),
        ] {
            assert_eq!(after(frames), status);
        }
    }

    #[test]
    fn other_requests_are_open_but_no_prompts() {
        let mut conversation = Conversation::default();
        let text =
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"elicitation"}}"#;
        conversation.observe(1, Origin::Agent, &Line::accept(text).unwrap());
        assert_eq!(
            (
                conversation.open_requests().len(),
                conversation.prompts().count()
            ),
            (1, 0)
        );
    }
}
