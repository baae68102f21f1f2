//! How often somebody may do something.

use core::{
    hash::Hash,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::net::IpAddr;

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock as _, DefaultClock},
};

use super::identity::Credential;
use crate::RateLimit;

/// After so many checks those who have been quiet are forgotten.
const FORGET_EVERY: u32 = 4096;

/// The limits of one relay.
pub(crate) struct Limits {
    /// Requests with one credential.
    pub(crate) requests: Limiter<Credential>,
    /// What is said with one credential.
    pub(crate) posts: Limiter<Credential>,
    /// Bad credentials from one address.
    pub(crate) strangers: Limiter<IpAddr>,
}

/// One limit, for each `K` on its own.
pub(crate) struct Limiter<K: Clone + Hash + Eq> {
    governor: Option<DefaultKeyedRateLimiter<K>>,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl Limits {
    pub(crate) fn new(options: &crate::RelayOptions) -> Self {
        Self {
            requests: Limiter::new(options.requests),
            posts: Limiter::new(options.posts),
            strangers: Limiter::new(options.bad_credentials),
        }
    }
}

impl<K: Clone + Hash + Eq> Limiter<K> {
    fn new(limit: RateLimit) -> Self {
        let quota = NonZeroU32::new(limit.per_second).map(|per_second| {
            let burst = NonZeroU32::new(limit.burst).unwrap_or(NonZeroU32::MIN);
            Quota::per_second(per_second).allow_burst(burst)
        });
        Self {
            governor: quota.map(DefaultKeyedRateLimiter::keyed),
            clock: DefaultClock::default(),
            checks: AtomicU32::new(0),
        }
    }

    /// Counts one more, or says how long it has to wait.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        let Some(governor) = &self.governor else {
            return Ok(());
        };
        if self.checks.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            governor.retain_recent();
        }
        governor
            .check_key(key)
            .map_err(|early| early.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_too_fast_waits_and_the_others_do_not() {
        let limiter = Limiter::new(RateLimit {
            per_second: 1,
            burst: 3,
        });
        for _ in 0..3 {
            assert_eq!(limiter.check(&"one"), Ok(()));
        }
        let wait = limiter.check(&"one").unwrap_err();
        assert!(
            !wait.is_zero() && wait <= Duration::from_secs(1),
            "{wait:?}"
        );
        assert_eq!(limiter.check(&"other"), Ok(()));
    }

    #[test]
    fn zero_is_no_limit() {
        let limiter = Limiter::new(RateLimit {
            per_second: 0,
            burst: 0,
        });
        assert!((0..10_000).all(|_| limiter.check(&()).is_ok()));
    }
}
