//! The life of a connection: attempts, links, ends.

use core::time::Duration;

use super::{
    CredentialPlacement, Event, GapCause, Status, Timer, Viewer,
    catchup::Start,
    phase::{Line, Link, Phase, Refresh, Subscription},
    requests::{Audience, Scope},
};
use crate::{
    attention::Attention,
    frame::control::{self, Fields},
    io::{Effect, Refusal, SocketEnding, TokenReason},
    policy::{CloseCause, Next, Outcome, SessionEnd},
};

/// The reason of a close frame that ends the session itself.
const SESSION_ENDED: &str = "session ended";
/// A wake-up brings the next attempt forward if the last failure is at least this long ago.
const WAKE_INTERVAL: Duration = Duration::from_secs(1);

impl Viewer {
    /// Starts an attempt by asking for a token.
    pub(super) fn attempt(&mut self, reason: TokenReason) {
        let id = self.ids.token();
        self.phase = Phase::FetchingToken { id };
        self.timers
            .arm(Timer::Token, self.now, self.config.patience.token);
        self.effects.push_back(Effect::FetchToken { id, reason });
        let attempt = self.episode.failures();
        self.set_status(Status::Connecting { attempt });
    }

    pub(super) fn line_opened(&mut self) {
        let Phase::Opening { line, token } = &self.phase else {
            return;
        };
        let (opened, token) = (*line, token.clone());
        self.timers.disarm(Timer::Connect);
        self.timers
            .arm(Timer::Stable, self.now, self.config.liveness.stable_after);
        let subscription = match opened {
            Line::Socket(id) => {
                match self.config.credential {
                    CredentialPlacement::Header => {}
                    CredentialPlacement::AuthFrame | CredentialPlacement::HeaderAndAuthFrame => {
                        let text = control::auth(&token);
                        self.effects.push_back(Effect::SendText { id, text });
                    }
                }
                Subscription::AwaitsPong(self.pings.wrapping_add(1))
            }
            Line::Stream(_) => {
                let limit = self.config.limits.stream_event_bytes;
                self.inbox.begin_stream(limit);
                Subscription::Made
            }
        };
        self.phase = Phase::Up(Link {
            line: opened,
            opened_with: token.clone(),
            token,
            refresh: Refresh::Idle { failures: 0 },
            attention: Attention::Undivided,
            subscription,
        });
        self.alive();
        self.ping();
        if self.config.initialize && !self.config.viewer_only {
            self.open_request(
                "initialize",
                &Fields::NONE,
                self.config.patience.request,
                Scope::Session,
                Audience::Viewer,
            );
        }
        if core::mem::take(&mut self.owes_first_answer) {
            self.start_watchdog();
        }
        let (history, limits) = (self.config.history, &self.config.limits);
        let start = match opened {
            Line::Socket(_) => self.catch_up.open(history, limits),
            Line::Stream(_) => self.catch_up.open_stream(history, limits),
        };
        match start {
            Start::Running => {
                self.timers
                    .arm(Timer::CatchUp, self.now, self.config.patience.catch_up);
                self.set_status(Status::CatchingUp);
            }
            Start::Nothing => self.go_live(true),
            Start::NoPosition => {
                self.gap(None, GapCause::NoPosition);
                self.go_live(false);
            }
        }
    }

    pub(super) fn socket_refused(&mut self, refusal: Refusal) {
        self.lose(match refusal {
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

    pub(super) fn socket_closed(&mut self, ending: &SocketEnding) {
        if let Phase::Closing { line } = &mut self.phase {
            *line = None;
            // The peer read everything before it agreed to close.
            if matches!(ending, SocketEnding::CloseFrame { .. }) {
                self.answers_delivered(u64::MAX);
            }
            self.close_if_done();
            return;
        }
        self.lose(match ending {
            SocketEnding::CloseFrame { code, reason } => Outcome::CloseFrame {
                code: *code,
                session: if &**reason == SESSION_ENDED {
                    SessionEnd::Ended
                } else {
                    SessionEnd::NotSaid
                },
            },
            SocketEnding::Lost(failure) => Outcome::Network(*failure),
        });
    }

    /// A sign of life.
    pub(super) fn alive(&mut self) {
        if let Phase::Up(link) = &mut self.phase {
            link.attention = Attention::Undivided;
            if let Line::Socket(_) = link.line {
                let ping_after = self.config.liveness.ping_after;
                self.timers.arm(Timer::Ping, self.now, ping_after);
            }
            self.arm_silence();
        }
    }

    /// From now on silence counts.
    fn arm_silence(&mut self) {
        let liveness = &self.config.liveness;
        let deadline = match self.line() {
            Some(Line::Stream(_)) => liveness.stream_silence,
            Some(Line::Socket(_)) | None => liveness.silence_deadline,
        };
        self.timers.arm(Timer::Silence, self.now, deadline);
    }

    /// The pong to ping number `ping` came.
    pub(super) fn pong(&mut self, ping: u64) {
        self.answers_delivered(ping);
        if let Phase::Up(link) = &self.phase
            && matches!(link.subscription, Subscription::AwaitsPong(awaited) if awaited <= ping)
        {
            self.subscribed();
        }
    }

    /// The server is known to send us everything from now on.
    pub(super) fn subscribed(&mut self) {
        if let Phase::Up(link) = &mut self.phase
            && link.subscription != Subscription::Made
        {
            link.subscription = Subscription::Made;
            self.timers.disarm(Timer::Page);
        }
    }

    /// Sends a ping over a socket; the pong to it proves that everything before was read.
    pub(super) fn ping(&mut self) {
        if let Some(id) = self.socket_up() {
            self.pings = self.pings.wrapping_add(1);
            let payload = self.pings;
            self.effects.push_back(Effect::SendPing { id, payload });
        }
    }

    /// The silence deadline passed.
    pub(super) fn silent(&mut self) {
        let reading = self.wants_read();
        let Phase::Up(link) = &mut self.phase else {
            return;
        };
        if link.attention == Attention::Undivided && reading {
            self.abort_line();
            self.lose(Outcome::Silence);
            return;
        }
        if reading {
            link.attention = Attention::Undivided;
        }
        self.arm_silence();
        self.ping();
    }

    /// The machine woke up, or its network changed.
    pub(super) fn woke(&mut self) {
        match &self.phase {
            Phase::Up(_) => {
                self.ping();
                let probe = self.config.liveness.probe_deadline;
                let sooner = self
                    .timers
                    .deadline(Timer::Silence)
                    .is_none_or(|deadline| deadline.saturating_since(self.now) > probe);
                if sooner {
                    self.timers.arm(Timer::Silence, self.now, probe);
                }
            }
            Phase::Waiting { since } if self.now.saturating_since(*since) >= WAKE_INTERVAL => {
                self.timers.disarm(Timer::Retry);
                self.attempt(TokenReason::Attempt);
            }
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Waiting { .. }
            | Phase::Ending { .. }
            | Phase::Closing { .. }
            | Phase::Closed => {}
        }
    }

    /// Drops whatever there is and tries again for free.
    pub(super) fn force(&mut self) {
        self.last_forced = Some(self.now);
        self.abort_line();
        self.lose(Outcome::Forced);
    }

    /// The attempt or the link is over; its line is gone already.
    pub(super) fn lose(&mut self, outcome: Outcome) {
        let (for_calls, used) = match &self.phase {
            Phase::Up(link) => (Some(link.token.clone()), Some(link.opened_with.clone())),
            Phase::Locating { token, .. } | Phase::Opening { token, .. } => {
                (None, Some(token.clone()))
            }
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Waiting { .. }
            | Phase::Ending { .. }
            | Phase::Closing { .. }
            | Phase::Closed => (None, None),
        };
        self.stand_down();
        let next = self.episode.fail(
            self.now,
            outcome,
            &self.config.profile,
            self.config.liveness.reconnect_delay,
            &mut self.rng,
        );
        if let (Next::Stop(cause), Some(token)) = (next, for_calls)
            && cause != CloseCause::Unauthorized
            && self.catch_up.is_running()
        {
            self.phase = Phase::Ending { cause, token };
            self.stop_following(cause);
            return;
        }
        self.link_lost();
        match next {
            Next::Retry { after } => {
                self.phase = Phase::Waiting { since: self.now };
                self.timers.arm(Timer::Retry, self.now, after);
                let attempt = self.episode.failures();
                let next_attempt_at = self.timers.deadline(Timer::Retry).unwrap_or(self.now);
                self.set_status(Status::Waiting {
                    attempt,
                    next_attempt_at,
                    cause: outcome,
                });
            }
            Next::NewToken => {
                self.rejected = used;
                self.attempt(TokenReason::Rejected);
            }
            Next::Stop(cause) => self.finish(cause),
        }
    }

    /// What waits for the attempt or the link waits no more.
    pub(super) fn stand_down(&mut self) {
        for timer in [
            Timer::Token,
            Timer::Connect,
            Timer::Retry,
            Timer::Ping,
            Timer::Silence,
            Timer::Stable,
            Timer::Watchdog,
        ] {
            self.timers.disarm(timer);
        }
        self.watchdog.stop();
    }

    pub(super) fn set_status(&mut self, status: Status) {
        if self.status != status {
            self.status = status.clone();
            self.events.push(Event::Status(status));
        }
    }

    pub(super) fn link_lost(&mut self) {
        self.refused.clear();
        self.posting.forget_refusals();
        self.inbox.clear();
        self.cancel_page();
        self.timers.disarm(Timer::Page);
        self.timers.disarm(Timer::CatchUp);
        for (request_id, state) in self.prompts.link_lost() {
            self.events
                .push(Event::PermissionChanged { request_id, state });
        }
    }

    pub(super) fn cancel_page(&mut self) {
        if let Some(id) = self.catch_up.link_lost() {
            self.effects.push_back(Effect::CancelHttp { id });
        }
    }
}
