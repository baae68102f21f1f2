//! Tokens: one for every attempt, another one when the server refuses it.

use alloc::vec::Vec;

use super::{
    GapCause, Timer, Viewer,
    catchup::PageOutcome,
    phase::{Phase, Refresh},
};
use crate::{
    io::{Effect, Token, TokenReason, TokenRefusal, TokenRequestId},
    policy::{CloseCause, Outcome},
};

impl Viewer {
    /// The question to the token source that is open.
    pub(super) fn awaited_token(&self) -> Option<TokenRequestId> {
        match &self.phase {
            Phase::FetchingToken { id } => Some(*id),
            Phase::Up(link) => link.refresh.asked(),
            Phase::Idle
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Waiting { .. }
            | Phase::Ending { .. }
            | Phase::Closing { .. }
            | Phase::Closed => None,
        }
    }

    /// The open question has its answer.
    pub(super) fn token_fetched(&mut self, token: Token) {
        self.timers.disarm(Timer::Token);
        if let Phase::Up(link) = &mut self.phase {
            link.refresh = Refresh::Idle { failures: 0 };
            if link.token == token || self.rejected.as_ref() == Some(&token) {
                self.no_other_token();
            } else {
                link.token = token;
            }
        } else if self.rejected.as_ref() == Some(&token) {
            self.finish(CloseCause::Unauthorized);
        } else {
            self.open_line(token);
        }
    }

    /// The open question has none.
    pub(super) fn token_refused(&mut self, refusal: TokenRefusal) {
        self.timers.disarm(Timer::Token);
        self.without_token(refusal);
    }

    /// The token source has not answered in time, or may be asked again.
    pub(super) fn token_due(&mut self) {
        if let Phase::Up(link) = &mut self.phase
            && let Refresh::Pausing { failures } = link.refresh
        {
            link.refresh = Refresh::Idle { failures };
        } else {
            self.without_token(TokenRefusal::Unavailable);
        }
    }

    /// The token source gave nothing, or nothing in time.
    fn without_token(&mut self, refusal: TokenRefusal) {
        if let Phase::Up(link) = &mut self.phase {
            match refusal {
                TokenRefusal::SignedOut => {
                    link.refresh = Refresh::Idle { failures: 0 };
                    self.no_other_token();
                }
                TokenRefusal::Unavailable => {
                    let failures = link.refresh.failures().saturating_add(1);
                    link.refresh = Refresh::Pausing { failures };
                    let delays = self.config.profile.drops.delays;
                    let pause = delays.draw(failures, &mut self.rng);
                    self.timers.arm(Timer::Token, self.now, pause);
                }
            }
            return;
        }
        self.lose(match refusal {
            TokenRefusal::Unavailable => Outcome::TokenUnavailable,
            TokenRefusal::SignedOut => Outcome::SignedOut,
        });
    }

    /// What waits for another token will not get one.
    fn no_other_token(&mut self) {
        let Phase::Up(link) = &self.phase else { return };
        let token = link.token.clone();
        if let Some(posted) = self.outbox.no_other_token(&token) {
            self.posted(posted);
        }
        if let Some(delivered) = self.posting.no_other_token(&token) {
            self.control_delivered(delivered);
        }
        if self.catch_up.wants_other_than() != Some(&token) {
            return;
        }
        if self.catch_up.follows() {
            self.catch_up.go_quiet();
            self.page(PageOutcome::Frames(Vec::new()));
        } else {
            let outcome = self.catch_up.give_up(GapCause::Refused { status: 401 });
            self.page(outcome);
        }
    }

    pub(super) fn refresh_token(&mut self) {
        if let Phase::Ending { token, .. } = &self.phase {
            if self.catch_up.wants_other_than() == Some(token) {
                let outcome = self.catch_up.give_up(GapCause::Refused { status: 401 });
                self.page(outcome);
            }
            return;
        }
        let Phase::Up(link) = &mut self.phase else {
            return;
        };
        let wanted = self.outbox.wants_other_than() == Some(&link.token)
            || self.posting.wants_other_than() == Some(&link.token)
            || self.catch_up.wants_other_than() == Some(&link.token);
        if let Refresh::Idle { failures } = link.refresh
            && wanted
        {
            let id = self.ids.token();
            link.refresh = Refresh::Asked { id, failures };
            self.timers
                .arm(Timer::Token, self.now, self.config.patience.token);
            self.effects.push_back(Effect::FetchToken {
                id,
                reason: TokenReason::Rejected,
            });
        }
    }
}
