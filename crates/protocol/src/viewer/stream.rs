//! A stream of server-sent events: opening it, and what its events are.

use alloc::string::String;
use core::time::Duration;

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Event, GapCause, Source, Status, Timer, Viewer,
    catchup::{Arrived, Begin, Extent, NextPage, PageOutcome, read_last_event},
    endpoint,
    phase::{Line, Phase},
};
use crate::{
    frame::{
        Frame, FrameError, FrameKind, detached,
        relay::DeliveryUpdate,
        sse::{SseEvent, SseItem},
    },
    io::{Effect, HttpResponse, NetworkFailure, Refusal, Token},
    kept_id::KeptId,
    number::Number,
    policy::{CloseCause, Outcome, SessionEnd},
};

/// A stream that brings no stored event for this long has caught up, when nobody says where the log ends.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// The status of a position that the server does not have.
const GONE: u16 = 410;

impl Viewer {
    /// Asks for the stream from where it was left, or first where the log ends.
    pub(super) fn open_stream(&mut self, token: Token) {
        let begin = self
            .catch_up
            .begin(self.config.history, &self.config.limits);
        self.timers.arm(
            Timer::Connect,
            self.now,
            self.config.liveness.connect_deadline,
        );
        match begin {
            Begin::After(number) => self.open_stream_at(Some(number), token),
            Begin::Anywhere => self.open_stream_at(None, token),
            Begin::AtEnd => {
                let request = endpoint::list_events(&self.config, &token, &NextPage::LastEvent);
                let id = self.ids.http();
                self.phase = Phase::Locating { call: id, token };
                self.effects.push_back(Effect::SendHttp { id, request });
            }
        }
    }

    fn open_stream_at(&mut self, after: Option<u64>, token: Token) {
        let id = self.ids.stream();
        let request = endpoint::stream(&self.config, &token, after);
        let line = Line::Stream(id);
        self.phase = Phase::Opening { line, token };
        self.effects.push_back(Effect::OpenStream { id, request });
    }

    /// The question where the log ends was answered, or not.
    pub(super) fn located(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        let Phase::Locating { token, .. } = &self.phase else {
            return;
        };
        let token = token.clone();
        match answer {
            Ok(response) => match response.status {
                200..=299 => {
                    let end = read_last_event(&response.body);
                    if let Some(number) = end {
                        self.catch_up.located(number);
                    }
                    self.open_stream_at(end, token);
                }
                status @ (401 | 403 | 408 | 425 | 429 | 500..=599) => self.lose(Outcome::Http {
                    status,
                    retry_after: response.retry_after,
                }),
                // There is no list. If there is no session either, the stream will tell.
                _ => self.open_stream_at(None, token),
            },
            Err(failure) => self.lose(Outcome::Network(failure)),
        }
    }

    pub(super) fn stream_closed(&mut self, ending: Refusal) {
        if let Phase::Opening { token, .. } = &self.phase
            && matches!(ending, Refusal::Http { status: GONE, .. })
        {
            let token = token.clone();
            if let Some(hole) = self.catch_up.position_gone(&self.config.limits) {
                self.page(hole);
                self.open_stream(token);
                return;
            }
        }
        self.lose(match ending {
            Refusal::Http {
                status,
                retry_after,
            } => Outcome::Http {
                status,
                retry_after,
            },
            Refusal::Network(failure) => Outcome::Network(failure),
        });
    }

    /// One item of the stream. Its proposed delay does not change the policy.
    pub(super) fn item(&mut self, item: SseItem) {
        match item {
            SseItem::Event(event) => self.stream_event(event),
            SseItem::Retry(_) => {}
            SseItem::TooLarge { id } => {
                let number = id.and_then(|id| id.parse().ok());
                let extent = number.map_or(Extent::Unknown, Extent::UpTo);
                self.stream_hole(extent, GapCause::Unreadable);
                self.stream_moved();
            }
        }
    }

    fn stream_event(&mut self, event: SseEvent) {
        match &*event.event {
            "client_event" => self.stored_event(event),
            "ephemeral_event" => match Envelope::read(&event.data) {
                Some(envelope) => self.frame(envelope.payload),
                None => self.frame(event.data),
            },
            "delivery_update" => self.delivery_update(&event.data),
            "catch_up_truncated" => {
                let first = read_first_kept(&event.data);
                let last_lost = first.map(|first| first.saturating_sub(1));
                if last_lost.is_none_or(|last| self.catch_up.is_ahead(last)) {
                    let extent = last_lost.map_or(Extent::Unknown, Extent::UpTo);
                    self.stream_hole(extent, GapCause::NotRetained);
                }
            }
            "session_ended" => self.session_ended(),
            // New kinds say nothing to this version.
            _ => {}
        }
    }

    /// The session is over, and everything that is stored came before this.
    fn session_ended(&mut self) {
        self.abort_line();
        self.lose(Outcome::CloseFrame {
            code: 1000,
            session: SessionEnd::Ended,
        });
    }

    fn stored_event(&mut self, event: SseEvent) {
        let envelope = Envelope::read(&event.data);
        let own_id = || event.id.as_ref()?.parse().ok();
        let number = envelope.as_ref().and_then(|envelope| envelope.number);
        let number: Option<u64> = number.or_else(own_id);
        if let Some(number) = number {
            match self.catch_up.arrived(number) {
                Arrived::Before => return,
                Arrived::Next => {}
                Arrived::AfterHole => self.stream_hole(Extent::UpToHere, GapCause::NotRetained),
            }
        }
        match envelope {
            Some(envelope) => self.stored_frame(envelope),
            None => self.malformed(FrameError::NoType.into(), event.data),
        }
        if let Some(cursor) = self.catch_up.sequence_cursor()
            && !self.catch_up.keeps_tail()
        {
            self.events.mark(cursor);
        }
        self.stream_moved();
    }

    fn stored_frame(&mut self, envelope: Envelope) {
        let Envelope {
            payload,
            event_id,
            said_by,
            ..
        } = envelope;
        let frame = match Frame::classify(payload) {
            Ok(frame) => frame,
            Err(malformed) => {
                self.malformed(malformed.error.into(), malformed.text);
                return;
            }
        };
        self.watchdog.heard(&frame);
        self.timers.disarm(Timer::Watchdog);
        // What a viewer asks the agent for, this one included, is not ours to answer.
        let is_request = matches!(frame.kind(), FrameKind::ControlRequest { .. });
        if is_request && said_by == SaidBy::Viewer {
            return;
        }
        let id = frame.uuid().or(event_id.as_ref()).map(KeptId::from);
        let is_known = id.as_ref().is_some_and(|id| self.delivered.contains(id));
        let admitted = self.catch_up.admits(is_known);
        if let Some(id) = &id
            && (admitted || is_known)
        {
            self.catch_up.named(id);
        }
        if !admitted {
            return;
        }
        if frame.uuid().is_none() {
            // The server's name for it serves as well.
            if is_known {
                return;
            }
            if let Some(id) = &id {
                self.delivered.insert(id);
            }
        }
        let source = if self.catch_up.is_running() {
            self.catch_up.loaded(&frame);
            self.catch_up.source()
        } else {
            Source::Live
        };
        self.route(frame, source);
    }

    /// Something is missing.
    fn stream_hole(&mut self, extent: Extent, cause: GapCause) {
        if let Some(hole) = self.catch_up.hole(extent, cause) {
            self.gap(hole.after, hole.cause);
        }
        if !self.catch_up.is_running() {
            // An end of a prompt may be in the hole.
            for (request_id, state) in self.prompts.link_lost() {
                self.events
                    .push(Event::PermissionChanged { request_id, state });
            }
            self.prompts.hole();
        }
    }

    /// The stream got on: perhaps far enough.
    fn stream_moved(&mut self) {
        if !self.catch_up.follows() {
            return;
        }
        if self.catch_up.awaits_quiet() {
            self.timers.arm(Timer::Page, self.now, QUIET);
        } else {
            self.timers
                .arm(Timer::CatchUp, self.now, self.config.patience.catch_up);
        }
        self.end_following();
    }

    /// Ends the catch-up if the stream has come far enough, or begins the stream anew if all of it was
    /// looked through for nothing.
    pub(super) fn end_following(&mut self) {
        if self.catch_up.is_done() {
            self.finish_catch_up();
        } else if let Some(hole) = self.catch_up.nothing_known() {
            if let PageOutcome::Gap(edge, cause) = hole {
                self.gap(edge, cause);
            }
            let Phase::Up(link) = &self.phase else { return };
            // What calls are made with by now may have been refused to a line.
            let is_refused = self.rejected.as_ref() == Some(&link.token);
            let token = if is_refused {
                link.opened_with.clone()
            } else {
                link.token.clone()
            };
            self.abort_line();
            self.stand_down();
            self.link_lost();
            self.open_stream(token);
            let attempt = self.episode.failures();
            self.set_status(Status::Connecting { attempt });
        }
    }

    /// The session is over, and so is the stream that brought what had been missed.
    pub(super) fn stop_following(&mut self, cause: CloseCause) {
        if !self.catch_up.follows() {
            return;
        }
        if let Some(id) = self.catch_up.in_flight() {
            self.effects.push_back(Effect::CancelHttp { id });
        }
        let outcome = self.catch_up.stop_following();
        self.page(outcome);
        if !self.is_closed() {
            self.finish(cause);
        }
    }

    /// How far a message of ours has got.
    fn delivery_update(&mut self, data: &ByteString) {
        if let Ok(update) = serde_json::from_str::<DeliveryUpdate>(data) {
            self.message_advanced(&update);
        }
    }
}

/// An event of the stream, without its payload's content.
struct Envelope {
    number: Option<u64>,
    event_id: Option<ByteString>,
    said_by: SaidBy,
    payload: ByteString,
}

/// Whose an event is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum SaidBy {
    Viewer,
    /// The agent's side, the relay, or nobody says.
    Other,
}

impl Envelope {
    fn read(data: &ByteString) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            #[serde(default)]
            event_id: Option<String>,
            #[serde(default)]
            sequence_num: Option<Number>,
            #[serde(default)]
            source: Option<String>,
            #[serde(borrow)]
            payload: &'a RawValue,
        }
        let event: Wire<'_> = serde_json::from_str(data).ok()?;
        let said_by = match event.source.as_deref() {
            Some("client") => SaidBy::Viewer,
            Some(_) | None => SaidBy::Other,
        };
        Some(Self {
            said_by,
            number: event.sequence_num.as_ref().and_then(Number::get),
            event_id: event.event_id.map(ByteString::from),
            payload: detached(data.slice_ref(event.payload.get()), data.len()),
        })
    }
}

/// The number of the first event that is kept.
fn read_first_kept(data: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Wire {
        first_sequence_num: Number,
    }
    let wire: Wire = serde_json::from_str(data).ok()?;
    wire.first_sequence_num.get()
}
