//! From a token to a session to credentials: one question at a time, ever.

use core::time::Duration;

use super::{
    Timer, Worker, WorkerEvent,
    calls::Call,
    config::SessionChoice,
    endpoint,
    event::{WorkerCloseCause, WorkerStatus},
    judgement::{Judgement, judge},
    phase::{Goal, Phase, Reached, Step},
};
use crate::{
    io::{Effect, HttpResponse, NetworkFailure, Token, TokenReason, TokenRefusal, TokenRequestId},
    policy::{Delays, Outcome},
};

impl Worker {
    /// Asks for a token; a session and credentials follow from it.
    pub(super) fn fetch_token(&mut self, reason: TokenReason) {
        let id = self.ids.token();
        self.phase = Phase::FetchingToken(id);
        self.timers
            .arm(Timer::Token, self.now, self.config.patience.token);
        self.effects.push_back(Effect::FetchToken { id, reason });
        self.set_status(match (&self.session, self.reached) {
            (None, _) => WorkerStatus::Registering,
            (Some(_), Reached::Never) => WorkerStatus::Connecting,
            (Some(_), Reached::Once) => WorkerStatus::Rebuilding,
        });
    }

    pub(super) fn token_fetched(&mut self, id: TokenRequestId, token: &Token) {
        if !matches!(self.phase, Phase::FetchingToken(awaited) if awaited == id) {
            self.archive_token(id, Some(token));
            return;
        }
        self.timers.disarm(Timer::Token);
        if self.rejected.as_ref() == Some(token) {
            self.finish(WorkerCloseCause::Unauthorized);
            return;
        }
        self.token = Some(token.clone());
        match &self.session {
            Some(session) => {
                let request = endpoint::bridge(token, session, &self.instance);
                self.phase = Phase::Bridging;
                self.call(Call::Bridge, request);
            }
            None => self.register(token),
        }
    }

    pub(super) fn token_refused(&mut self, id: TokenRequestId, refusal: TokenRefusal) {
        if matches!(self.phase, Phase::FetchingToken(awaited) if awaited == id) {
            self.timers.disarm(Timer::Token);
            self.without_token(refusal);
        } else {
            self.archive_token(id, None);
        }
    }

    /// The token source gave nothing, or nothing in time.
    pub(super) fn without_token(&mut self, refusal: TokenRefusal) {
        // This answer is not awaited any more, whatever comes of it.
        self.phase = Phase::Pausing;
        match refusal {
            TokenRefusal::SignedOut => self.finish(WorkerCloseCause::SignedOut),
            TokenRefusal::Unavailable => self.try_again(Outcome::TokenUnavailable, None),
        }
    }

    pub(super) fn registered(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        match judge(answer) {
            Judgement::Fine(body) => match endpoint::read_registered(body) {
                Some(session) => {
                    self.failures = 0;
                    self.rejected = None;
                    self.session = Some(session.clone());
                    self.events.push(WorkerEvent::Registered(session));
                    if self.goal == Goal::Work {
                        self.fetch_token(TokenReason::Attempt);
                    } else {
                        self.archive(WorkerCloseCause::Requested);
                    }
                }
                // It exists; trying again would make another one.
                None => self.finish(WorkerCloseCause::Unreadable),
            },
            Judgement::Later { outcome, after } => self.try_again(outcome, after),
            Judgement::OtherCredential => self.token_rejected(),
            Judgement::Fenced => self.finish(WorkerCloseCause::Rejected { status: 409 }),
            Judgement::NotFound => self.finish(WorkerCloseCause::Rejected { status: 404 }),
            Judgement::LeaseLost => self.finish(WorkerCloseCause::Rejected { status: 410 }),
            Judgement::Refused(status) => self.finish(WorkerCloseCause::Rejected { status }),
        }
    }

    pub(super) fn bridged(&mut self, answer: Result<&HttpResponse, NetworkFailure>) {
        match judge(answer) {
            Judgement::Fine(body) => {
                let newest = self.credentials.as_ref().map_or(0, |known| known.epoch);
                match endpoint::read_credentials(body, self.now) {
                    Some(credentials) if credentials.epoch >= newest => {
                        let delay = self.config.refresh.after(credentials.lifetime);
                        self.timers.arm(Timer::Refresh, self.now, delay);
                        self.rejected = None;
                        self.credentials = Some(credentials);
                        self.open(Step::Read);
                    }
                    // The answer to a question that a later one has overtaken, or no answer at all.
                    Some(_) | None => {
                        let outcome = Outcome::Network(NetworkFailure::Protocol);
                        self.try_again(outcome, None);
                    }
                }
            }
            Judgement::Later { outcome, after } => self.try_again(outcome, after),
            Judgement::OtherCredential => self.token_rejected(),
            Judgement::Fenced => self.finish(WorkerCloseCause::Superseded),
            Judgement::NotFound => self.finish(WorkerCloseCause::SessionNotFound),
            Judgement::LeaseLost => self.give_start_up(WorkerCloseCause::Rejected { status: 410 }),
            Judgement::Refused(status) => self.give_start_up(WorkerCloseCause::Rejected { status }),
        }
    }

    /// Something on the way to running failed: it is tried again, at the start only so often.
    pub(super) fn try_again(&mut self, outcome: Outcome, asked: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        let start = &self.config.start;
        if self.reached == Reached::Never && self.failures >= start.attempts.max(1) {
            self.give_start_up(WorkerCloseCause::StartFailed { last: outcome });
            return;
        }
        let delay = match self.reached {
            Reached::Never => {
                let (initial, cap) = (start.base, start.cap);
                let window = Delays::Exponential { initial, cap }.bound(self.failures);
                let swing = window / 100 * start.jitter_percent.min(100);
                let least = window.saturating_sub(swing);
                self.rng.between(least, window.saturating_add(swing))
            }
            Reached::Once => self.backoff(self.failures),
        };
        let cap = self.config.liveness.retry_after_cap;
        let asked = asked.unwrap_or_default().min(cap);
        self.phase = Phase::Pausing;
        self.timers.arm(Timer::Start, self.now, delay.max(asked));
    }

    /// The credentials are no good any more, or soon will not be: everything is built anew from where
    /// it stands, and uploads wait meanwhile.
    pub(super) fn rebuild(&mut self) {
        self.drop_transport();
        self.fetch_token(TokenReason::Attempt);
    }

    /// The server has taken the lease away: it is asked for another one, at once the first time, and after a pause when
    /// it takes that away as well before it has taken anything else.
    pub(super) fn lease_lost(&mut self) {
        self.leases_lost = self.leases_lost.saturating_add(1);
        if self.leases_lost == 1 {
            self.rebuild();
            return;
        }
        self.drop_transport();
        if self.reached == Reached::Once {
            self.set_status(WorkerStatus::Rebuilding);
        }
        let gone = Outcome::Http {
            status: 410,
            retry_after: None,
        };
        self.try_again(gone, None);
    }

    /// Whether the credentials have run out or were refused: nothing goes out with them any more.
    pub(super) fn credentials_are_over(&self) -> bool {
        let until = self.credentials.as_ref().and_then(|known| known.until);
        until.is_some_and(|until| until <= self.now)
    }

    /// The server has taken something that was sent with the credentials.
    pub(super) fn credentials_taken(&mut self) {
        self.refusals = 0;
        self.leases_lost = 0;
    }

    /// The credentials were refused.
    pub(super) fn credentials_refused(&mut self) {
        if let Some(refused) = &mut self.credentials {
            refused.until = Some(self.now);
        }
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals >= self.config.liveness.refusals.max(1) {
            self.drop_transport();
            self.finish(WorkerCloseCause::Unauthorized);
        } else {
            self.rebuild();
        }
    }

    /// A delay that doubles with every failure, drawn from the upper half of its window.
    pub(super) fn backoff(&mut self, failures: u32) -> Duration {
        let liveness = &self.config.liveness;
        let delays = Delays::Exponential {
            initial: liveness.retry_base,
            cap: liveness.retry_cap,
        };
        delays.draw(failures, &mut self.rng)
    }

    fn register(&mut self, token: &Token) {
        let request = match &self.config.session {
            SessionChoice::Create(session) => endpoint::register(token, session),
            SessionChoice::Join(session) => {
                // Joining needs no registration; the session is known from the start.
                self.session = Some(session.clone());
                self.fetch_token(TokenReason::Attempt);
                return;
            }
        };
        self.phase = Phase::Registering;
        self.call(Call::Register, request);
    }

    /// The server refuses the person's token; only a different one helps, and only once.
    fn token_rejected(&mut self) {
        if self.rejected.is_some() {
            self.finish(WorkerCloseCause::Unauthorized);
        } else {
            self.rejected = self.token.take();
            self.fetch_token(TokenReason::Rejected);
        }
    }
}
