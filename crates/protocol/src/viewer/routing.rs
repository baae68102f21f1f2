//! Where each frame goes: to the application, or to the table it belongs to.

use core::time::Duration;

use bytestring::ByteString;

use super::{
    Event, GapCause, Malformed, MalformedCause, Message, RequestOutcome, Source, Status, Timer,
    Viewer,
    catchup::{HeldFrom, PageOutcome},
    phase::Phase,
    prompts::{CaughtUp, Noted, Seen},
    requests::{Audience, Finished, Scope},
};
use crate::{
    frame::{
        Frame, FrameError, FrameKind, RequestId,
        control::{self, ControlOutcome, ControlResponse, Fields},
        permission::PermissionRequest,
    },
    io::{Effect, HttpResponse},
};

/// How soon a full queue is looked at again, to see whether the application took something.
const RECHECK: Duration = Duration::from_millis(10);

impl Viewer {
    /// A text message came over the current socket.
    pub(super) fn text(&mut self, message: ByteString) {
        self.inbox.push(message);
        self.read_inbox();
    }

    /// Looks at frames for as long as there is room for what they bring.
    pub(super) fn read_inbox(&mut self) {
        while self.has_room() {
            let Some(text) = self.inbox.next_frame() else {
                return;
            };
            self.frame(text);
        }
        if !self.inbox.is_empty() {
            self.timers.arm(Timer::Backlog, self.now, RECHECK);
        }
    }

    /// Whether one more frame may be looked at.
    pub(super) fn has_room(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
            && !self.events.is_full()
            && self.effects.len() < self.config.limits.effects.max(1)
            && !(self.catch_up.is_running() && self.catch_up.is_full(&self.config.limits))
    }

    /// One frame came live.
    fn frame(&mut self, text: ByteString) {
        let frame = match Frame::classify(text) {
            Ok(frame) => frame,
            Err(malformed) => {
                if let FrameError::NoSubtype { request_id } = &malformed.error {
                    let why = "Malformed control request: no subtype";
                    self.respond(control::error(request_id, why));
                }
                self.malformed(malformed.error.into(), malformed.text);
                return;
            }
        };
        self.watchdog.heard(&frame);
        self.timers.disarm(Timer::Watchdog);
        let ours = matches!(frame.kind(), FrameKind::ControlResponse { request_id }
            if self.requests.contains(request_id));
        if self.catch_up.is_running() && !ours && *frame.kind() != FrameKind::KeepAlive {
            self.catch_up.hold(frame);
        } else {
            self.route(frame, Source::Live);
        }
    }

    /// Sends a frame where it belongs.
    fn route(&mut self, frame: Frame, source: Source) {
        let seen = match source {
            Source::Live => Seen::Live,
            Source::History | Source::Backfill => Seen::Past,
        };
        if source == Source::Live {
            self.catch_up.delivered(&frame);
        }
        // A prompt that is asked again says that it is still open; everything else counts once.
        let repeats_count = matches!(frame.kind(), FrameKind::ControlRequest { subtype, .. } if &**subtype == "can_use_tool");
        if let Some(uuid) = frame.uuid()
            && !repeats_count
            && !self.delivered.insert(uuid)
        {
            return;
        }
        match frame.kind() {
            FrameKind::KeepAlive | FrameKind::Auth => {}
            FrameKind::UnknownControl { .. } => {
                self.malformed(MalformedCause::UnknownControl, frame.text().clone());
            }
            FrameKind::ControlRequest { .. } if repeats_count => self.prompt(&frame, seen),
            FrameKind::ControlRequest {
                request_id,
                subtype,
            } => {
                // What the log shows may have been asked by a viewer, and answered long ago.
                if seen == Seen::Live {
                    let why = alloc::format!("Unsupported control request subtype: {subtype}");
                    self.respond(control::error(request_id, &why));
                }
            }
            FrameKind::ControlCancelRequest { request_id } => {
                if self.prompts.withdraw(request_id, seen) {
                    self.events.push(Event::PermissionWithdrawn {
                        request_id: request_id.clone(),
                    });
                }
            }
            FrameKind::ControlResponse { request_id } => self.response(&frame, &request_id.clone()),
            FrameKind::Message { type_name } => {
                if &**type_name == "result" {
                    self.turn = self.turn.wrapping_add(1);
                }
                self.message(frame, source);
            }
        }
    }

    fn message(&mut self, frame: Frame, source: Source) {
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

    /// The stream shows a message of ours.
    fn echo(&mut self, uuid: &str) {
        if let Some((id, call)) = self.outbox.confirm(uuid) {
            if let Some(id) = call {
                self.effects.push_back(Effect::CancelHttp { id });
            }
            self.posted(super::outbox::Posted::Done(id, super::SendState::Accepted));
        }
    }

    fn prompt(&mut self, frame: &Frame, seen: Seen) {
        let request = match PermissionRequest::parse(frame) {
            Ok(request) => request,
            Err(error) => {
                if let (FrameKind::ControlRequest { request_id, .. }, Seen::Live) =
                    (frame.kind(), seen)
                {
                    let why = alloc::format!("Malformed control request: {error}");
                    self.respond(control::error(request_id, &why));
                }
                self.malformed(error.into(), frame.text().clone());
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
                if seen == Seen::Live {
                    let why = "Too many open permission requests";
                    self.respond(control::error(&request_id, why));
                }
                let cause = MalformedCause::TooManyPrompts(request_id);
                self.malformed(cause, frame.text().clone());
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
        } else if let Some(settled) = self.prompts.responded(request_id, frame.as_str())
            && settled.tell
        {
            self.events.push(Event::PermissionSettled {
                request_id: settled.request_id,
                by: settled.by,
            });
        }
    }

    /// The pong to ping number `ping` came: the answers before it have been read.
    pub(super) fn answers_delivered(&mut self, ping: u64) {
        for settled in self.prompts.delivered(ping) {
            if settled.tell {
                self.events.push(Event::PermissionSettled {
                    request_id: settled.request_id,
                    by: settled.by,
                });
            }
        }
    }

    pub(super) fn malformed(&mut self, error: MalformedCause, text: ByteString) {
        self.events
            .push(Event::Malformed(Malformed { error, text }));
    }

    pub(super) fn gap(&mut self, after: Option<ByteString>, cause: GapCause) {
        // Turns may have ended in the hole.
        self.turn = self.turn.wrapping_add(1);
        self.events.push(Event::Gap { after, cause });
    }

    pub(super) fn request_over(&mut self, over: Finished) {
        match over.audience {
            Audience::Application => self.events.push(Event::Request {
                request_id: over.request_id,
                outcome: over.outcome,
            }),
            Audience::Viewer => {}
        }
    }

    pub(super) fn open_request(
        &mut self,
        subtype: &str,
        fields: &Fields,
        patience: Duration,
        scope: Scope,
        audience: Audience,
    ) -> RequestId {
        let request_id = RequestId::minted(self.rng.uuid());
        let text = control::request(&request_id, subtype, fields);
        let deadline = self.now.checked_add(patience);
        self.requests
            .open(request_id.clone(), text, deadline, scope, audience);
        request_id
    }

    /// The page in flight was answered, or there is no answer.
    pub(super) fn page_answered(&mut self, response: Option<&HttpResponse>) {
        self.timers.disarm(Timer::Page);
        let profile = &self.config.profile;
        if let Some(outcome) = self.catch_up.answered(response, profile, &mut self.rng) {
            self.page(outcome);
        }
    }

    pub(super) fn page(&mut self, outcome: PageOutcome) {
        match outcome {
            PageOutcome::Frames(texts) => {
                self.timers
                    .arm(Timer::CatchUp, self.now, self.config.patience.catch_up);
                let source = self.catch_up.source();
                for text in texts {
                    match Frame::classify(text) {
                        Ok(frame) => {
                            self.catch_up.loaded(&frame);
                            self.route(frame, source);
                        }
                        Err(malformed) => self.malformed(malformed.error.into(), malformed.text),
                    }
                }
            }
            PageOutcome::Again(delay) => self.timers.arm(Timer::Page, self.now, delay),
            PageOutcome::NeedsToken => {}
            PageOutcome::Gap(after, cause) => self.gap(after, cause),
        }
        if self.catch_up.is_done() {
            self.finish_catch_up();
        }
    }

    /// Everything there is has been loaded: what was held comes next.
    fn finish_catch_up(&mut self) {
        let Some(finished) = self.catch_up.finish() else {
            return;
        };
        self.timers.disarm(Timer::Page);
        self.timers.disarm(Timer::CatchUp);
        for frame in finished.tail {
            let source = finished.source;
            self.events.push(Event::Message(Message { frame, source }));
        }
        for held in finished.held {
            let source = match held.link {
                HeldFrom::ThisLink => Source::Live,
                HeldFrom::EarlierLink => {
                    self.catch_up.delivered(&held.frame);
                    Source::Backfill
                }
            };
            self.route(held.frame, source);
        }
        if let Phase::Ending { cause, .. } = self.phase {
            self.finish(cause);
        } else {
            self.go_live(finished.is_complete);
            self.read_inbox();
        }
    }

    /// Nothing is missing any more, or all there is to say about it has been said.
    pub(super) fn go_live(&mut self, is_complete: bool) {
        for found in self.prompts.caught_up(is_complete) {
            match found {
                CaughtUp::Show(request, state) => {
                    let request_id = request.request_id().clone();
                    self.events.push(Event::PermissionRequested(request));
                    if state == super::PromptState::Unverified {
                        self.events
                            .push(Event::PermissionChanged { request_id, state });
                    }
                }
                CaughtUp::Changed(request_id, state) => {
                    self.events
                        .push(Event::PermissionChanged { request_id, state });
                }
            }
        }
        self.events.push(Event::CaughtUp);
        self.set_status(Status::Live);
    }

    /// Answers the agent on the socket; a watching viewer never does.
    fn respond(&mut self, text: ByteString) {
        if self.config.viewer_only {
            return;
        }
        if let Phase::Up(link) = &self.phase {
            self.effects.push_back(Effect::SendText {
                id: link.socket,
                text,
            });
        }
    }

    /// Does what has become possible: asks for pages and tokens, sends answers, requests, messages.
    pub(super) fn advance(&mut self) {
        self.refresh_token();
        self.ask_for_page();
        if matches!(self.phase, Phase::Up(_)) && !self.catch_up.is_running() {
            self.send_answers();
            self.send_requests();
        }
        self.post_message();
        self.arm_requests();
        let reading = self.wants_read();
        if let Phase::Up(link) = &mut self.phase
            && !reading
        {
            link.attention = super::phase::Attention::Elsewhere;
        }
    }

    fn refresh_token(&mut self) {
        if let Phase::Ending { .. } = self.phase {
            if self.catch_up.wants_other_than().is_some() {
                let outcome = self.catch_up.give_up(GapCause::Refused { status: 401 });
                self.page(outcome);
            }
            return;
        }
        let Phase::Up(link) = &mut self.phase else {
            return;
        };
        let wanted = self.outbox.wants_other_than() == Some(&link.token)
            || self.catch_up.wants_other_than() == Some(&link.token);
        if wanted && link.refresh.is_none() {
            let id = self.ids.token();
            link.refresh = Some(id);
            self.timers
                .arm(Timer::Token, self.now, self.config.patience.token);
            self.effects.push_back(Effect::FetchToken {
                id,
                reason: crate::io::TokenReason::Rejected,
            });
        }
    }

    fn ask_for_page(&mut self) {
        let token = match &self.phase {
            Phase::Up(link) => &link.token,
            Phase::Ending { token, .. } => token,
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Opening { .. }
            | Phase::Waiting { .. }
            | Phase::Closing { .. }
            | Phase::Closed => return,
        };
        let Some(page) = self.catch_up.next_page(token) else {
            return;
        };
        if self.events.is_full() {
            self.timers.arm(Timer::Page, self.now, RECHECK);
            return;
        }
        let request = super::endpoint::list_events(&self.config, token, page.after);
        let id = self.ids.http();
        self.catch_up.page_sent(id, token.clone());
        self.timers
            .arm(Timer::Page, self.now, self.config.patience.http);
        self.effects.push_back(Effect::SendHttp { id, request });
    }

    fn send_answers(&mut self) {
        let Phase::Up(link) = &self.phase else { return };
        let id = link.socket;
        let answers = self.prompts.send(self.pings.wrapping_add(1));
        if answers.is_empty() {
            return;
        }
        for (request_id, text) in answers {
            self.effects.push_back(Effect::SendText { id, text });
            if let Some(state) = self.prompts.state(&request_id) {
                self.events
                    .push(Event::PermissionChanged { request_id, state });
            }
        }
        self.ping();
    }

    fn send_requests(&mut self) {
        let Phase::Up(link) = &self.phase else { return };
        let id = link.socket;
        let (texts, lapsed) = self.requests.send(self.turn);
        for text in texts {
            self.effects.push_back(Effect::SendText { id, text });
        }
        for over in lapsed {
            self.request_over(over);
        }
    }

    fn post_message(&mut self) {
        let Phase::Up(link) = &self.phase else { return };
        let Some((id, body)) = self.outbox.next(&link.token) else {
            return;
        };
        let request = super::endpoint::post_event(&self.config, &link.token, body);
        let call = self.ids.http();
        self.outbox.posted(call, link.token.clone());
        self.timers
            .arm(Timer::Outbox, self.now, self.config.patience.http);
        self.effects
            .push_back(Effect::SendHttp { id: call, request });
        self.events.push(Event::Send {
            id,
            state: super::SendState::InFlight,
        });
    }

    fn arm_requests(&mut self) {
        match self.requests.deadline() {
            Some(deadline) if !matches!(self.phase, Phase::Closing { .. } | Phase::Closed) => {
                let delay = deadline.saturating_since(self.now);
                self.timers.arm(Timer::Request, self.now, delay);
            }
            Some(_) | None => self.timers.disarm(Timer::Request),
        }
    }
}
