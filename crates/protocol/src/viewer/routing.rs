//! Where each frame goes: to the application, or to the table it belongs to.

use alloc::format;

use bytestring::ByteString;
use memchr::memchr;

use super::{
    Event, Malformed, MalformedCause, Message, RequestOutcome, SendState, Source, Timer, Viewer,
    inbox::Unread,
    phase::Phase,
    prompts::{Noted, Refusal, Seen, Settled},
};
use crate::{
    frame::{
        Frame, FrameError, FrameKind, RequestId,
        control::{self, ControlOutcome, ControlResponse},
        permission::PermissionRequest,
        relay::{AnswerRefused, DeliveryUpdate, Hello, Settlement},
    },
    io::Effect,
    kept_id::KeptId,
};

/// So much of a name is told back to whoever used it, in characters.
const QUOTED_LENGTH: usize = 128;

impl Viewer {
    /// A text message came over the current socket.
    pub(super) fn text(&mut self, message: ByteString) {
        if self.inbox.is_empty() && is_one_frame(&message) && self.has_room() {
            self.frame(message);
        } else {
            self.inbox.push(message);
            self.read_inbox();
        }
    }

    /// Looks at frames for as long as there is room for what they bring.
    pub(super) fn read_inbox(&mut self) {
        while !self.inbox.is_empty() && self.has_room() {
            match self.inbox.next() {
                Some(Unread::Frame(text)) => self.frame(text),
                Some(Unread::Item(item)) => self.item(item),
                None => {}
            }
        }
    }

    /// One frame came live.
    pub(super) fn frame(&mut self, text: ByteString) {
        let frame = match Frame::classify(text) {
            Ok(frame) => frame,
            Err(malformed) => {
                if let FrameError::NoSubtype { request_id } = &malformed.error {
                    let why = "Malformed control request: no subtype";
                    self.refuse(request_id, Seen::Live, why);
                }
                self.malformed(malformed.error.into(), malformed.text);
                return;
            }
        };
        // That the relay has passed a message on says nothing of the agent.
        if let Some(update) = DeliveryUpdate::read(&frame) {
            self.message_advanced(&update);
            return;
        }
        self.watchdog.heard(&frame);
        self.timers.disarm(Timer::Watchdog);
        let ours = matches!(frame.kind(), FrameKind::ControlResponse { request_id }
            if self.requests.contains(request_id));
        if self.catch_up.is_running() && !ours && *frame.kind() != FrameKind::KeepAlive {
            if let Some(frame) = self.catch_up.hold(frame, &self.config.limits)
                && matches!(frame.kind(), FrameKind::ControlRequest { .. })
            {
                // Somebody waits for an answer to it.
                self.route_live(frame);
            }
            if let Phase::Up(link) = &self.phase
                && !self
                    .catch_up
                    .has_room(&self.config.limits, link.subscription)
            {
                // The pong stands behind what can't be read now; that frames come says the same.
                self.subscribed();
            }
        } else {
            self.route_live(frame);
        }
    }

    /// Sends a frame where it belongs.
    pub(super) fn route(&mut self, frame: Frame, source: Source) {
        let known = match frame.uuid().map(KeptId::from) {
            Some(id) => self.remember(&id),
            None => Known::No,
        };
        if self.heed(&frame, source, known) == Heeded::TellAll {
            self.message(frame, source);
        }
    }

    /// Remembers that a frame was delivered; whether another one was under this id.
    pub(super) fn remember(&mut self, id: &KeptId) -> Known {
        if self.delivered.insert(id) {
            Known::No
        } else {
            Known::Yes
        }
    }

    /// Does what a frame says, if it was not `known` before. The frame itself is left where it is: it is moved as
    /// few times as possible, for it is large.
    pub(super) fn heed(&mut self, frame: &Frame, source: Source, known: Known) -> Heeded {
        let seen = match source {
            Source::Live => Seen::Live,
            Source::History | Source::Backfill => Seen::Past,
        };
        // What is asked again on the link is still open, so that counts; everything else counts once.
        let asked_again =
            seen == Seen::Live && matches!(frame.kind(), FrameKind::ControlRequest { .. });
        if known == Known::Yes && !asked_again {
            return Heeded::Done;
        }
        match frame.kind() {
            FrameKind::KeepAlive => {
                if Hello::read(frame).is_some_and(|hello| hello.confirms_answers()) {
                    self.prompts.await_verdicts();
                }
            }
            FrameKind::Auth => {}
            FrameKind::UnknownControl { .. } => {
                self.malformed(MalformedCause::UnknownControl, frame.text().clone());
            }
            FrameKind::ControlRequest { subtype, .. } if &**subtype == "can_use_tool" => {
                self.prompt(frame, seen);
            }
            FrameKind::ControlRequest {
                request_id,
                subtype,
            } => {
                let end = subtype.char_indices().nth(QUOTED_LENGTH);
                let quoted = end.and_then(|(end, _)| subtype.get(..end));
                let quoted = quoted.unwrap_or(subtype);
                let why = format!("Unsupported control request subtype: {quoted}");
                self.refuse(&request_id.clone(), seen, &why);
            }
            FrameKind::ControlCancelRequest { request_id } => {
                if self.prompts.withdraw(request_id, seen) {
                    self.events.push(Event::PermissionWithdrawn {
                        request_id: request_id.detached(),
                    });
                }
            }
            FrameKind::ControlResponse { request_id } => self.response(frame, &request_id.clone()),
            FrameKind::Message { type_name } => {
                if &**type_name == "result" {
                    self.turn = self.turn.wrapping_add(1);
                }
                if let Some(refused) = AnswerRefused::read(frame) {
                    self.answer_refused(&refused);
                    return Heeded::Done;
                }
                if let Some(settlement) = Settlement::read(frame) {
                    let settled = self.prompts.settled(&settlement);
                    self.tell_settled(settled);
                }
                return Heeded::TellAll;
            }
        }
        Heeded::Done
    }

    /// Tells the application what was said, unless that was a message of ours.
    #[inline]
    pub(super) fn message(&mut self, frame: Frame, source: Source) {
        if let Some(uuid) = frame.uuid()
            && self.outbox.is_own(uuid)
        {
            let uuid = uuid.clone();
            self.echo(&uuid);
            return;
        }
        let frame = match source {
            Source::History => match self.catch_up.keep_for_tail(frame) {
                Some(frame) => frame,
                None => return,
            },
            Source::Live | Source::Backfill => frame,
        };
        self.events.push(Event::Message(Message { frame, source }));
    }

    /// The stream shows a message of ours. No watchdog for it: the echo is a sign that the agent's
    /// side is reached.
    fn echo(&mut self, uuid: &str) {
        let Some((id, call)) = self.outbox.confirm(uuid) else {
            return;
        };
        if let Some(id) = call {
            self.timers.disarm(Timer::Outbox);
            self.effects.push_back(Effect::CancelHttp { id });
        }
        let state = SendState::Accepted;
        self.events.push(Event::Send { id, state });
    }

    fn prompt(&mut self, frame: &Frame, seen: Seen) {
        let request = match PermissionRequest::parse(frame) {
            Ok(request) => request,
            Err(error) => {
                let why = format!("Malformed control request: {error}");
                if let FrameKind::ControlRequest { request_id, .. } = frame.kind()
                    && self.refuse(request_id, seen, &why) != Refused::Before
                {
                    self.malformed(error.into(), frame.text().clone());
                }
                return;
            }
        };
        let request_id = request.request_id().clone();
        match self.prompts.asked(request.clone(), seen) {
            Noted::New => self.events.push(Event::PermissionRequested(request)),
            Noted::Silently => {}
            Noted::Verified(state) => {
                self.events
                    .push(Event::PermissionChanged { request_id, state });
            }
            // No answer here: it would answer the prompt that has this id rightfully.
            Noted::Conflict => {
                let cause = MalformedCause::RequestIdReused(request_id);
                self.malformed(cause, frame.text().clone());
            }
            Noted::Full => {
                let why = "Too many open permission requests";
                if self.refuse(&request_id, seen, why) != Refused::Before {
                    let cause = MalformedCause::TooManyPrompts(request_id);
                    self.malformed(cause, frame.text().clone());
                }
            }
        }
    }

    fn response(&mut self, frame: &Frame, request_id: &RequestId) {
        if self.requests.contains(request_id) {
            match ControlResponse::parse(frame) {
                Ok(response) => {
                    let outcome = match response.outcome {
                        ControlOutcome::Success(value) => RequestOutcome::Succeeded(value),
                        ControlOutcome::Error(why) => RequestOutcome::Failed(why),
                    };
                    if let Some(over) = self.requests.responded(request_id, outcome) {
                        self.request_over(over);
                    }
                    for text in response.pending_permission_requests {
                        if let Ok(prompt) = Frame::classify(text) {
                            self.prompt(&prompt, Seen::Live);
                        }
                    }
                }
                Err(error) => {
                    self.malformed(MalformedCause::Response(error), frame.text().clone());
                }
            }
        } else {
            let settled = self.prompts.responded(request_id, frame.as_str());
            self.tell_settled(settled);
        }
    }

    /// Our answer to a prompt did not count.
    pub(super) fn answer_refused(&mut self, refused: &AnswerRefused) {
        let request_id = refused.request_id.clone();
        match self.prompts.refused(refused) {
            Some(Refusal::Settled(settled)) => self.tell_settled([settled]),
            Some(Refusal::Withdrawn(true)) => {
                self.events.push(Event::PermissionWithdrawn { request_id });
            }
            Some(Refusal::StillOpen(Some(state))) => {
                let why = refused.message.clone();
                self.events.push(Event::AnswerRefused {
                    request_id: request_id.clone(),
                    why,
                });
                self.events
                    .push(Event::PermissionChanged { request_id, state });
            }
            Some(Refusal::Withdrawn(false) | Refusal::StillOpen(None)) | None => {}
        }
    }

    /// The server says how far a message of ours is; that it has it goes without saying.
    pub(super) fn message_advanced(&mut self, update: &DeliveryUpdate) {
        self.echo(&update.event_id);
        if let Some((id, state)) = self.outbox.advanced(&update.event_id, update.status) {
            self.events.push(Event::Send { id, state });
        }
    }

    /// Tells the application of settled prompts that it knows of.
    pub(super) fn tell_settled(&mut self, settled: impl IntoIterator<Item = Settled>) {
        for settled in settled {
            if settled.tell {
                self.events.push(Event::PermissionSettled {
                    request_id: settled.request_id,
                    by: settled.by,
                    behavior: settled.behavior,
                });
            }
        }
    }

    /// The pong to ping number `ping` came: the answers before it have been read.
    pub(super) fn answers_delivered(&mut self, ping: u64) {
        let settled = self.prompts.delivered(ping);
        self.tell_settled(settled);
    }

    pub(super) fn malformed(&mut self, error: MalformedCause, text: ByteString) {
        self.events
            .push(Event::Malformed(Malformed { error, text }));
    }

    /// Answers a request with an error, once a link. Whether the log's requests are still open is not
    /// known, nor who asked; a server that knows asks again on the link. A watching viewer never answers.
    fn refuse(&mut self, request_id: &RequestId, seen: Seen, why: &str) -> Refused {
        if seen == Seen::Past {
            return Refused::Never;
        }
        if !self.refused.insert(request_id.as_str()) {
            return Refused::Before;
        }
        if !self.config.viewer_only {
            self.send_refusal(control::error(request_id, why));
        }
        Refused::Now
    }
}

/// Whether a message surely is the text of one frame, without anything around it.
fn is_one_frame(message: &str) -> bool {
    message.starts_with('{')
        && message.ends_with('}')
        && memchr(b'\n', message.as_bytes()).is_none()
}

/// Whether a frame was delivered before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    No,
}

/// What is left to do with a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Heeded {
    /// The application is told of all of it: it is a message.
    TellAll,
    /// Nothing.
    Done,
}

/// Whether a request was refused on this link.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Refused {
    Now,
    Before,
    Never,
}
