//! What a worker is told before it starts. Every number has a default and can be changed.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::ids::SessionId;

/// Everything a [`Worker`](super::Worker) needs to know. The token source is the driver's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Which session the agent gets.
    pub session: SessionChoice,
    /// What happens to the session at the end.
    pub farewell: Farewell,
    /// How a start is retried.
    pub start: StartRetries,
    /// When credentials are renewed.
    pub refresh: RefreshRule,
    /// How a dead connection is noticed, and how it is made again.
    pub liveness: WorkerLiveness,
    /// How long answers are waited for.
    pub patience: WorkerPatience,
    /// How much is kept.
    pub limits: WorkerLimits,
}

impl WorkerConfig {
    /// The defaults, for `session`.
    pub fn new(session: SessionChoice) -> Self {
        Self {
            session,
            farewell: Farewell::Archive,
            start: StartRetries::default(),
            refresh: RefreshRule::default(),
            liveness: WorkerLiveness::default(),
            patience: WorkerPatience::default(),
            limits: WorkerLimits::default(),
        }
    }
}

/// Which session the agent gets.
#[derive(Clone, Debug)]
pub enum SessionChoice {
    /// A new one.
    Create(NewSession),
    /// One that exists. Another worker on it is fenced off.
    Join(SessionId),
}

/// A session to create.
#[derive(Clone, Debug, Default)]
pub struct NewSession {
    /// What people see in lists.
    pub title: Option<String>,
    /// The folder the agent works in.
    pub cwd: Option<String>,
    /// Free tags.
    pub tags: Vec<String>,
}

/// What happens to the session when the worker closes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It is archived.
    Archive,
    /// It stays, for another worker to join.
    Leave,
}

/// How a start is retried: network failures, timeouts and 5xx.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StartRetries {
    /// Attempts in all. 3.
    pub attempts: u32,
    /// The first delay; it doubles. 500 ms.
    pub base: Duration,
    /// The longest delay. 4 s.
    pub cap: Duration,
    /// The delay varies by this share in both directions, in percent. 25.
    pub jitter_percent: u32,
}

impl Default for StartRetries {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(4),
            jitter_percent: 25,
        }
    }
}

/// When credentials are renewed: `ahead` of their end, but never sooner than `soonest` and never later than
/// `latest_percent` of their life.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RefreshRule {
    /// How long before the end. 300 s.
    pub ahead: Duration,
    /// Never sooner than this. 30 s. A shorter life is renewed at `latest_percent` of it.
    pub soonest: Duration,
    /// Never later than this share of the life. 80.
    pub latest_percent: u32,
}

impl Default for RefreshRule {
    fn default() -> Self {
        Self {
            ahead: Duration::from_secs(300),
            soonest: Duration::from_secs(30),
            latest_percent: 80,
        }
    }
}

impl RefreshRule {
    /// When credentials that live for `lifetime` are renewed. Never zero.
    pub fn after(&self, lifetime: Duration) -> Duration {
        let latest = lifetime / 100 * self.latest_percent.min(100);
        let ahead = lifetime.saturating_sub(self.ahead);
        ahead
            .max(self.soonest)
            .min(latest)
            .max(Duration::from_secs(1))
    }
}

/// How a dead connection is noticed, and how it is made again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerLiveness {
    /// A stream without a byte for this long is dead. 45 s.
    pub stream_silence: Duration,
    /// The first delay before a call or a stream is tried again; it doubles. 1 s.
    pub retry_base: Duration,
    /// The longest delay. 30 s.
    pub retry_cap: Duration,
    /// A longer `Retry-After` is cut to this. 5 min.
    pub retry_after_cap: Duration,
    /// The distance of heartbeats, give or take a tenth. 20 s.
    pub heartbeat: Duration,
    /// Heartbeats that fail this often in a row make everything be built anew. 3.
    pub heartbeat_failures: u32,
    /// Refusals of fresh credentials in a row that end the session. 3.
    pub refusals: u32,
}

impl Default for WorkerLiveness {
    fn default() -> Self {
        Self {
            stream_silence: Duration::from_secs(45),
            retry_base: Duration::from_secs(1),
            retry_cap: Duration::from_secs(30),
            retry_after_cap: Duration::from_secs(300),
            heartbeat: Duration::from_secs(20),
            heartbeat_failures: 3,
            refusals: 3,
        }
    }
}

/// How long answers are waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerPatience {
    /// The token source. 15 s.
    pub token: Duration,
    /// One HTTP call. 10 s.
    pub http: Duration,
    /// The agent's answer to `initialize`; after that the worker gives the least good answer itself, for
    /// viewers wait 10 s. 8 s.
    pub initialize: Duration,
    /// The agent's answer to any other request; after that the worker answers with an error. 60 s.
    pub request: Duration,
    /// The whole farewell: from [`close`](super::Worker::close) to the end, in any state and whatever the
    /// server does. With some time for whoever carries it out, `close` returns within 2 s. 1.8 s.
    pub close: Duration,
    /// Reporting idle and sending what is left, at the end. Never so long that less than a third of
    /// [`close`](Self::close) is left for an archive that may take as long. 1.1 s.
    pub flush: Duration,
    /// Archiving, at the end, but not beyond [`close`](Self::close). 1.5 s.
    pub archive: Duration,
}

impl WorkerPatience {
    /// What flushing may take of the farewell: a session that stays open is worse than words that are
    /// lost, so the archive has its share.
    pub(super) fn flush_share(&self) -> Duration {
        let kept = self.archive.min(self.close / 3);
        self.flush.min(self.close.saturating_sub(kept))
    }
}

impl Default for WorkerPatience {
    fn default() -> Self {
        Self {
            token: Duration::from_secs(15),
            http: Duration::from_secs(10),
            initialize: Duration::from_secs(8),
            request: Duration::from_secs(60),
            close: Duration::from_millis(1800),
            flush: Duration::from_millis(1100),
            archive: Duration::from_millis(1500),
        }
    }
}

/// How much is kept, in counts and bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerLimits {
    /// Frames waiting to be uploaded; at the limit [`wants_write`](super::Worker::wants_write) turns
    /// false. 1000.
    pub uploads: usize,
    /// Their bytes. 32 MiB.
    pub upload_bytes: usize,
    /// Frames in one upload. 100.
    pub batch: usize,
    /// Their bytes; a larger frame goes alone. 4 MiB.
    pub batch_bytes: usize,
    /// Undelivered events; at the limit [`wants_read`](super::Worker::wants_read) turns false. 1024.
    pub events: usize,
    /// Their bytes. 64 MiB.
    pub event_bytes: usize,
    /// The largest event of the stream. 64 MiB.
    pub stream_event_bytes: usize,
    /// How many ids are remembered in each direction, to drop what comes twice. 2000.
    pub remembered: usize,
    /// Open requests of viewers; one more is answered with an error. When so many answers of the worker's
    /// own wait to be uploaded, [`wants_read`](super::Worker::wants_read) turns false. 256.
    pub requests: usize,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            uploads: 1000,
            upload_bytes: 32 * MIB,
            batch: 100,
            batch_bytes: 4 * MIB,
            events: 1024,
            event_bytes: 64 * MIB,
            stream_event_bytes: 64 * MIB,
            remembered: 2000,
            requests: 256,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_hour_is_renewed_five_minutes_ahead_at_the_latest_after_four_fifths() {
        let rule = RefreshRule::default();
        assert_eq!(rule.after(SECOND * 1000), SECOND * 700);
        assert_eq!(rule.after(SECOND * 3600), SECOND * 2880);
        assert_eq!(rule.after(SECOND * 310), SECOND * 30);
        assert_eq!(rule.after(SECOND * 20), SECOND * 16);
        assert_eq!(rule.after(Duration::ZERO), SECOND);
    }

    proptest! {
        #[test]
        fn a_refresh_is_never_too_soon_and_never_too_late(
            seconds in prop_oneof![0..10_000_u64, any::<u64>(), Just(u64::MAX)],
        ) {
            let lifetime = Duration::from_secs(seconds);
            let rule = RefreshRule::default();
            let after = rule.after(lifetime);
            let latest = lifetime / 100 * 80;
            prop_assert!(after >= SECOND);
            prop_assert!(after <= latest.max(SECOND));
            prop_assert!(after >= rule.soonest.min(latest));
        }
    }
}
