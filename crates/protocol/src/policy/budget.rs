//! What has been spent since the link was last stable.

use core::time::Duration;

use super::{
    CloseCause, Limit, NewToken, Outcome, Profile, RetryClass, RetryRule, Verdict, verdict,
};
use crate::{rng::Rng, time::Timestamp};

/// A run of failures: from the first one until a link has stayed up long enough. A connection that
/// opens and dies at once is part of the run, so flapping spends the budget like refusal does.
#[derive(Clone, Debug, Default)]
pub struct Episode {
    started: Option<Timestamp>,
    failures: u32,
    drops: u32,
    not_found: u32,
    too_large: u32,
    finished: u32,
    new_tokens: u32,
}

/// What follows a failure.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Try again after this delay.
    Retry {
        /// From now.
        after: Duration,
    },
    /// Ask the token source again; a different token may be tried at once.
    NewToken,
    /// Stop for good.
    Stop(CloseCause),
}

impl Episode {
    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and says what follows.
    pub(crate) fn fail(
        &mut self,
        now: Timestamp,
        outcome: Outcome,
        profile: &Profile,
        forced_delay: Duration,
        rng: &mut Rng,
    ) -> Next {
        let verdict = verdict(outcome);
        if verdict == Verdict::Free {
            return Next::Retry {
                after: forced_delay,
            };
        }
        let started = *self.started.get_or_insert(now);
        let elapsed = now.saturating_since(started);
        self.failures = self.failures.saturating_add(1);
        match verdict {
            Verdict::Free => Next::Retry {
                after: forced_delay,
            },
            Verdict::Stop(cause) => Next::Stop(cause),
            Verdict::NewToken => {
                let allowed = match profile.new_token {
                    NewToken::TryOnce => 1,
                    NewToken::Never => 0,
                };
                if self.new_tokens < allowed {
                    self.new_tokens += 1;
                    Next::NewToken
                } else {
                    Next::Stop(CloseCause::Unauthorized)
                }
            }
            Verdict::Restart { retry_after } => {
                let first = self.drops == 0;
                let Some(regular) = spend(&mut self.drops, &profile.drops, elapsed, rng) else {
                    return Next::Stop(CloseCause::Exhausted { last: outcome });
                };
                let asked = retry_after.unwrap_or_default().min(profile.retry_after_cap);
                let spread = rng.between(Duration::ZERO, profile.restart_window);
                let after = if first {
                    asked.saturating_add(regular.max(spread))
                } else {
                    regular.max(asked)
                };
                Next::Retry { after }
            }
            Verdict::Retry(class) => {
                let (spent, rule, exhausted) = match class {
                    RetryClass::Drop => (&mut self.drops, &profile.drops, None),
                    RetryClass::NotFound => (
                        &mut self.not_found,
                        &profile.not_found,
                        Some(CloseCause::SessionNotFound),
                    ),
                    RetryClass::TooLarge => (
                        &mut self.too_large,
                        &profile.too_large,
                        Some(CloseCause::TooLarge),
                    ),
                    RetryClass::Finished => (&mut self.finished, &profile.finished, None),
                };
                match spend(spent, rule, elapsed, rng) {
                    Some(after) => Next::Retry { after },
                    None => {
                        Next::Stop(exhausted.unwrap_or(CloseCause::Exhausted { last: outcome }))
                    }
                }
            }
        }
    }

    /// What has been spent, class by class.
    #[cfg(test)]
    pub(crate) fn spent(&self) -> [u32; 6] {
        [
            self.failures,
            self.drops,
            self.not_found,
            self.too_large,
            self.finished,
            self.new_tokens,
        ]
    }

    /// The link has been up long enough: the run of failures is over.
    pub(crate) fn end(&mut self) {
        *self = Self::default();
    }
}

/// Takes one retry from a budget: its delay, or `None` when nothing is left.
fn spend(spent: &mut u32, rule: &RetryRule, elapsed: Duration, rng: &mut Rng) -> Option<Duration> {
    let slowed = match rule.limit {
        Limit::Retries(retries) if *spent >= retries => return None,
        Limit::Retries(_) => None,
        Limit::SlowDown { after, every } => (elapsed >= after).then_some(every),
    };
    *spent = spent.saturating_add(1);
    let regular = rule.delays.draw(*spent, rng);
    Some(slowed.unwrap_or(regular))
}

#[cfg(test)]
mod tests;
