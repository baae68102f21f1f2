//! What a search is about: which part of the alphabet can happen.

use core::time::Duration;

use super::super::{NewSession, SessionChoice, WorkerConfig};
use crate::ids::SessionId;

/// The tokens a source may give.
pub(super) const TOKENS: [&str; 2] = ["first", "second"];

/// What the agent says, with its `uuid`.
pub(super) const FRAMES: [(&str, &str); 2] = [
    ("u1", r#"{"type":"assistant","uuid":"u1"}"#),
    ("u2", r#"{"type":"assistant","uuid":"u2"}"#),
];

/// One part of the alphabet.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) pace: Pace,
    pub(super) session: Session,
    /// What can come over the stream.
    pub(super) events: &'static [&'static str],
    /// With what statuses a call can be refused.
    pub(super) statuses: &'static [u16],
    pub(super) uploads: usize,
    /// Whether the agent reports and acknowledges.
    pub(super) works: bool,
}

/// How the delays of a scene relate to one another.
#[derive(Copy, Clone, Debug)]
pub(super) enum Pace {
    /// They differ, so deadlines pass in many orders, at many distances.
    Uneven,
    /// They are one or two times the same, so there are few distances, and all there are can be looked at.
    Even,
}

#[derive(Copy, Clone, Debug)]
pub(super) enum Session {
    Created,
    Joined,
}

impl Scene {
    /// Small numbers, and delays without chance.
    pub(super) fn config(&self) -> WorkerConfig {
        let secs = Duration::from_secs;
        let mut config = WorkerConfig::new(match self.session {
            Session::Created => SessionChoice::Create(NewSession::default()),
            Session::Joined => SessionChoice::Join(SessionId::parse("cse_x").expect("plain")),
        });
        config.start.attempts = 2;
        config.start.base = secs(2);
        config.start.cap = secs(2);
        config.start.jitter_percent = 0;
        config.refresh.ahead = secs(5);
        config.refresh.soonest = secs(1);
        let liveness = &mut config.liveness;
        liveness.stream_silence = secs(9);
        liveness.retry_base = Duration::ZERO;
        liveness.retry_cap = Duration::ZERO;
        liveness.retry_after_cap = Duration::ZERO;
        liveness.heartbeat = secs(100);
        liveness.heartbeat_failures = 2;
        liveness.refusals = 2;
        let patience = &mut config.patience;
        patience.token = secs(3);
        patience.http = secs(4);
        patience.initialize = secs(5);
        patience.request = secs(6);
        patience.close = secs(3);
        patience.flush = secs(2);
        patience.archive = secs(1);
        let limits = &mut config.limits;
        limits.remembered = 4;
        limits.requests = 1;
        limits.uploads = 2;
        limits.batch = 1;
        if let Pace::Even = self.pace {
            Self::even_out(&mut config);
        }
        config
    }

    fn even_out(config: &mut WorkerConfig) {
        let once = Duration::from_secs(4);
        let twice = once * 2;
        config.start.base = once;
        config.start.cap = once;
        // Of a lifetime of five times.
        config.refresh.ahead = once;
        config.refresh.soonest = once;
        let liveness = &mut config.liveness;
        liveness.stream_silence = twice;
        liveness.heartbeat = twice;
        let patience = &mut config.patience;
        patience.token = once;
        patience.http = once;
        patience.initialize = once;
        patience.request = twice;
        patience.close = twice;
        patience.flush = once;
        patience.archive = once;
    }
}
