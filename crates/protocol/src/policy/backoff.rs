//! How long to wait before the next try.

use core::time::Duration;

use crate::rng::Rng;

/// The delays between tries.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Delays {
    /// Always the same.
    Constant(Duration),
    /// `step`, `2 × step`, `3 × step`, …
    Linear {
        /// The first delay, and the growth.
        step: Duration,
    },
    /// A window that doubles from `initial` to `cap`; the delay is drawn from its upper half ("equal
    /// jitter"), so it is never near zero and never shorter than the one before until the cap.
    Exponential {
        /// The first window.
        initial: Duration,
        /// The largest window.
        cap: Duration,
    },
}

impl Delays {
    /// The delay before retry number `retry` (from 1). Never longer than [`bound`](Self::bound).
    pub(crate) fn draw(self, retry: u32, rng: &mut Rng) -> Duration {
        let window = self.bound(retry);
        match self {
            Self::Constant(_) | Self::Linear { .. } => window,
            Self::Exponential { .. } => rng.between(window / 2, window),
        }
    }

    /// The longest delay that retry number `retry` (from 1) can be given.
    pub fn bound(self, retry: u32) -> Duration {
        match self {
            Self::Constant(delay) => delay,
            Self::Linear { step } => step.saturating_mul(retry.max(1)),
            Self::Exponential { initial, cap } => {
                let doublings = retry.max(1) - 1;
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                initial.saturating_mul(factor).min(cap)
            }
        }
    }
}
