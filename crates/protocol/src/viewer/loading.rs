//! A catch-up, from the first page to live.

use bytestring::ByteString;

use super::{
    Cursor, Event, GapCause, Message, PromptState, Source, Status, Timer, Transport, Viewer,
    catchup::{HeldFrom, Kept, PageOutcome},
    endpoint,
    phase::{Phase, Subscription},
    prompts::CaughtUp,
    routing::{Heeded, Known},
    stream::QUIET,
};
use crate::{
    frame::{Frame, FrameKind},
    io::{Effect, HttpResponse, NetworkFailure},
    kept_id::KeptId,
};

impl Viewer {
    /// Asks for the next page if one is wanted and there is room for what it brings.
    pub(super) fn ask_for_page(&mut self) {
        let token = match &self.phase {
            Phase::Up(link) if link.subscription != Subscription::Made => {
                if self.catch_up.is_running() && self.timers.deadline(Timer::Page).is_none() {
                    let patience = self.config.liveness.probe_deadline;
                    self.timers.arm(Timer::Page, self.now, patience);
                }
                return;
            }
            Phase::Up(link) => &link.token,
            Phase::Ending { token, .. } => token,
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Waiting { .. }
            | Phase::Closing { .. }
            | Phase::Closed => return,
        };
        if self.events.is_full() {
            return;
        }
        let Some(page) = self.catch_up.next_page(token) else {
            return;
        };
        let request = endpoint::list_events(&self.config, token, &page);
        let id = self.ids.http();
        self.catch_up.page_sent(id, token.clone());
        self.timers
            .arm(Timer::Page, self.now, self.config.patience.http);
        self.effects.push_back(Effect::SendHttp { id, request });
    }

    /// A page was not answered in time, or one may be asked for now.
    pub(super) fn page_due(&mut self) {
        if let Some(id) = self.catch_up.in_flight() {
            self.effects.push_back(Effect::CancelHttp { id });
            self.page_answered(Err(NetworkFailure::TimedOut));
            return;
        }
        // A server that answers no ping is believed after a while.
        if let Phase::Up(link) = &mut self.phase {
            link.subscription = Subscription::Made;
        }
        if self.catch_up.awaits_quiet() {
            if self.was_listening() {
                self.catch_up.quiet();
                self.end_following();
            } else {
                self.timers.arm(Timer::Page, self.now, QUIET);
            }
        } else {
            self.catch_up.resume();
        }
    }

    /// Whether the stream was read all through the moment that is over.
    pub(super) fn was_listening(&mut self) -> bool {
        let reading = self.wants_read();
        self.catch_up.has_listened(reading)
    }

    /// The page in flight was answered, or there is no answer.
    pub(super) fn page_answered(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        self.timers.disarm(Timer::Page);
        let (profile, limits) = (&self.config.profile, &self.config.limits);
        let outcome = self
            .catch_up
            .answered(answer, profile, limits, &mut self.rng);
        if let Some(outcome) = outcome {
            self.page(outcome);
        }
    }

    /// Takes in what a page brought.
    pub(super) fn page(&mut self, outcome: PageOutcome) {
        match outcome {
            PageOutcome::Frames(texts) => {
                let mut brings_news = false;
                let source = self.catch_up.source();
                for text in texts {
                    match Frame::classify(text) {
                        Ok(frame) => {
                            let is_known = frame
                                .uuid()
                                .is_some_and(|uuid| self.delivered.contains(uuid));
                            brings_news |= !is_known;
                            if self.catch_up.admits(is_known) {
                                self.catch_up.loaded(&frame);
                                self.route_listed(frame, source);
                            }
                        }
                        Err(malformed) => self.malformed(malformed.error.into(), malformed.text),
                    }
                }
                if brings_news {
                    self.timers
                        .arm(Timer::CatchUp, self.now, self.config.patience.catch_up);
                }
                self.catch_up.page_looked_at();
            }
            PageOutcome::Again(delay) => self.timers.arm(Timer::Page, self.now, delay),
            PageOutcome::NeedsToken => {}
            PageOutcome::Gap(after, cause) => {
                if let Some((after, cause)) = self.catch_up.keep_hole_for_tail(after, cause) {
                    self.gap(after, cause);
                }
            }
        }
        if self.catch_up.follows() {
            if self.catch_up.awaits_quiet() && self.timers.deadline(Timer::Page).is_none() {
                self.timers.arm(Timer::Page, self.now, QUIET);
            }
            self.end_following();
        } else if self.catch_up.is_done() {
            self.finish_catch_up();
        }
    }

    /// A frame of the list goes where it belongs, and the log has come that far.
    fn route_listed(&mut self, frame: Frame, source: Source) {
        let id = frame.uuid().map(KeptId::from);
        self.route(frame, source);
        if let Some(id) = id
            && !self.catch_up.keeps_tail()
        {
            self.events.mark(Cursor::Event(id));
        }
    }

    /// A frame that came live goes where it belongs. Over a socket, the log may have come that far.
    #[inline]
    pub(super) fn route_live(&mut self, frame: Frame) {
        let id = frame.uuid().map(KeptId::from);
        let known = id.as_ref().map_or(Known::No, |id| self.remember(id));
        // What comes again, or went again, does not lead back.
        let place = id.filter(|id| {
            known == Known::No
                && self.config.transport == Transport::WebSocket
                && !self.has_no_place(&frame)
                && self.catch_up.delivered(&frame, id)
        });
        if self.heed(&frame, Source::Live, known) == Heeded::TellAll {
            self.message(frame, Source::Live);
        }
        if let Some(id) = place {
            self.events.mark(Cursor::Event(id));
        }
    }

    /// Whether `frame` is an answer of ours that went more than once: where it is seen says nothing about how
    /// far the log has come.
    fn has_no_place(&self, frame: &Frame) -> bool {
        frame
            .uuid()
            .is_some_and(|uuid| self.prompts.went_again(uuid))
    }

    /// Everything there is has been loaded: what was held comes next.
    pub(super) fn finish_catch_up(&mut self) {
        let Some(finished) = self.catch_up.finish() else {
            return;
        };
        self.timers.disarm(Timer::Page);
        self.timers.disarm(Timer::CatchUp);
        for kept in finished.tail {
            match kept {
                Kept::Message(frame, cursor) => {
                    let source = finished.source;
                    self.events.push(Event::Message(Message { frame, source }));
                    if let Some(cursor) = cursor {
                        self.events.mark(cursor);
                    }
                }
                Kept::Hole(after, cause) => self.gap(after, cause),
            }
        }
        let was_read = finished.is_complete || finished.cursor.is_some();
        if let Some(cursor) = finished.cursor {
            self.events.mark(cursor);
        }
        for held in finished.held {
            match held.link {
                HeldFrom::ThisLink => self.route_live(held.frame),
                HeldFrom::EarlierLink => {
                    // Once the log has been read, a frame that was not in it has no place there.
                    if !was_read
                        && let Some(id) = held.frame.uuid().map(KeptId::from)
                        && !self.delivered.contains(&id)
                        && !self.has_no_place(&held.frame)
                    {
                        self.catch_up.delivered(&held.frame, &id);
                    }
                    // The log does not say that it is asked, so it need not say that it no longer is.
                    let unheard = if let FrameKind::ControlRequest { request_id, .. } =
                        held.frame.kind()
                        && !self.prompts.is_open(request_id)
                    {
                        Some(request_id.clone())
                    } else {
                        None
                    };
                    self.route(held.frame, Source::Backfill);
                    if let Some(id) = unheard {
                        self.prompts.nobody_knows(&id);
                    }
                }
            }
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
                    if state == PromptState::Unverified {
                        self.events
                            .push(Event::PermissionChanged { request_id, state });
                    }
                }
                CaughtUp::Settled(settled) => self.tell_settled([settled]),
                CaughtUp::Changed(request_id, state) => {
                    self.events
                        .push(Event::PermissionChanged { request_id, state });
                }
            }
        }
        self.events.push(Event::CaughtUp);
        self.set_status(Status::Live);
    }

    pub(super) fn gap(&mut self, after: Option<ByteString>, cause: GapCause) {
        // Turns may have ended in the hole.
        self.turn = self.turn.wrapping_add(1);
        self.events.push(Event::Gap { after, cause });
    }
}
