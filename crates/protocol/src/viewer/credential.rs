//! Tokens: one for every attempt, another one when the server refuses it.

use alloc::vec::Vec;

use super::{GapCause, Timer, Viewer, catchup::PageOutcome, phase::Phase};
use crate::{
    io::{Effect, Token, TokenReason, TokenRefusal, TokenRequestId},
    policy::{CloseCause, Outcome},
};

impl Viewer {
    pub(super) fn token_fetched(&mut self, id: TokenRequestId, token: Token) {
        match &mut self.phase {
            Phase::FetchingToken { id: awaited } if *awaited == id => {
                self.timers.disarm(Timer::Token);
                if self.rejected.as_ref() == Some(&token) {
                    self.finish(CloseCause::Unauthorized);
                } else {
                    self.open_line(token);
                }
            }
            Phase::Up(link) if link.refresh == Some(id) => {
                self.timers.disarm(Timer::Token);
                link.refresh = None;
                if link.token == token {
                    self.no_other_token();
                } else {
                    link.token = token;
                }
            }
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Up(_)
            | Phase::Waiting { .. }
            | Phase::Ending { .. }
            | Phase::Closing { .. }
            | Phase::Closed => {}
        }
    }

    pub(super) fn token_refused(&mut self, id: TokenRequestId, refusal: TokenRefusal) {
        let awaited = match &self.phase {
            Phase::FetchingToken { id } => Some(*id),
            Phase::Up(link) => link.refresh,
            Phase::Idle
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Waiting { .. }
            | Phase::Ending { .. }
            | Phase::Closing { .. }
            | Phase::Closed => None,
        };
        if awaited == Some(id) {
            self.timers.disarm(Timer::Token);
            self.without_token(refusal);
        }
    }

    /// The token source gave nothing, or nothing in time.
    pub(super) fn without_token(&mut self, refusal: TokenRefusal) {
        if let Phase::Up(link) = &mut self.phase {
            link.refresh = None;
            match refusal {
                TokenRefusal::SignedOut => self.no_other_token(),
                TokenRefusal::Unavailable => self.no_other_token_yet(),
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
        if let Some(posted) = self.outbox.no_other_token() {
            self.posted(posted);
        }
        if let Some(delivered) = self.posting.no_other_token() {
            self.control_delivered(delivered);
        }
        if self.catch_up.follows() && self.catch_up.wants_other_than().is_some() {
            self.catch_up.go_quiet();
            self.page(PageOutcome::Frames(Vec::new()));
        } else if self.catch_up.wants_other_than().is_some() {
            let outcome = self.catch_up.give_up(GapCause::Refused { status: 401 });
            self.page(outcome);
        }
    }

    /// What waits for another token tries again later.
    fn no_other_token_yet(&mut self) {
        if let Some(posted) = self.outbox.pause(&self.config.profile, &mut self.rng) {
            self.posted(posted);
        }
        let profile = &self.config.profile;
        if let Some(delay) = self.posting.wait_for_token(profile, &mut self.rng) {
            self.timers.arm(Timer::Control, self.now, delay);
        }
        if let Some(delay) = self.catch_up.pause(&self.config.profile, &mut self.rng) {
            self.page(PageOutcome::Again(delay));
        }
    }

    pub(super) fn refresh_token(&mut self) {
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
            || self.posting.wants_other_than() == Some(&link.token)
            || self.catch_up.wants_other_than() == Some(&link.token);
        if wanted && link.refresh.is_none() {
            let id = self.ids.token();
            link.refresh = Some(id);
            self.timers
                .arm(Timer::Token, self.now, self.config.patience.token);
            self.effects.push_back(Effect::FetchToken {
                id,
                reason: TokenReason::Rejected,
            });
        }
    }
}
