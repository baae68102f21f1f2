//! The numbers of the retry policy, in two named presets.

use core::time::Duration;

use super::Delays;

/// When to retry, for how long, and how far apart. Every number may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// For ordinary drops and failed connects.
    pub drops: RetryRule,
    /// For close 4001 and HTTP 404: the session may come back after compacting.
    pub not_found: RetryRule,
    /// For messages over a size limit.
    pub too_large: RetryRule,
    /// For a polite close without a reason (1000) and for 1008.
    pub finished: RetryRule,
    /// What a refused credential is worth.
    pub new_token: NewToken,
    /// The first delay after an announced restart is drawn from the whole of this window, so that a
    /// fleet does not come back at once. Zero: no spreading.
    pub restart_window: Duration,
    /// A longer `Retry-After` is cut to this. Zero: it is ignored.
    pub retry_after_cap: Duration,
}

/// The delays and the limit of one class of failures.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RetryRule {
    /// How far apart.
    pub delays: Delays,
    /// How many, or how long.
    pub limit: Limit,
}

/// When a class's budget is used up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After so many retries: stop.
    Retries(u32),
    /// After the episode has lasted so long: never stop, but slow down.
    SlowDown {
        /// How long the delays follow their rule.
        after: Duration,
        /// The distance of the tries from then on.
        every: Duration,
    },
}

/// What happens when the server refuses a credential.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NewToken {
    /// The source is asked once more; a different token is tried once.
    TryOnce,
    /// It is the end.
    Never,
}

impl Profile {
    /// The documented behaviour of the reference client: 5 retries 2 s apart; for 4001 3 retries after
    /// 2 s, 4 s and 6 s; for 4003 none.
    pub fn reference() -> Self {
        const STEP: Duration = Duration::from_secs(2);
        let drops = RetryRule {
            delays: Delays::Constant(STEP),
            limit: Limit::Retries(5),
        };
        Self {
            drops,
            not_found: RetryRule {
                delays: Delays::Linear { step: STEP },
                limit: Limit::Retries(3),
            },
            too_large: RetryRule {
                limit: Limit::Retries(1),
                ..drops
            },
            finished: drops,
            new_token: NewToken::Never,
            restart_window: Duration::ZERO,
            retry_after_cap: Duration::ZERO,
        }
    }

    /// The default: doubling windows from 1 s to 30 s with equal jitter for 30 minutes, then one try a
    /// minute; never gives up on a network that may come back.
    pub fn resilient() -> Self {
        Self::RESILIENT
    }

    pub(crate) const RESILIENT: Self = {
        const STEP: Duration = Duration::from_secs(2);
        let delays = Delays::Exponential {
            initial: Duration::from_secs(1),
            cap: Duration::from_secs(30),
        };
        Self {
            drops: RetryRule {
                delays,
                limit: Limit::SlowDown {
                    after: Duration::from_secs(30 * 60),
                    every: Duration::from_secs(60),
                },
            },
            not_found: RetryRule {
                delays: Delays::Linear { step: STEP },
                limit: Limit::Retries(3),
            },
            too_large: RetryRule {
                delays,
                limit: Limit::Retries(1),
            },
            finished: RetryRule {
                delays,
                limit: Limit::Retries(3),
            },
            new_token: NewToken::TryOnce,
            restart_window: Duration::from_secs(10),
            retry_after_cap: Duration::from_secs(300),
        }
    };
}

impl Default for Profile {
    fn default() -> Self {
        Self::resilient()
    }
}
