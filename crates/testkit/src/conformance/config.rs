//! The machines' configuration in trials: everything as usual, only sooner.

use std::time::Duration;

use attache_protocol::{
    SessionId,
    policy::{Delays, Limit, Profile, RetryRule},
    viewer::{History, Transport, ViewerConfig},
    worker::{NewSession, SessionChoice, WorkerConfig},
};

use crate::millis;

/// How long retries of a viewer may go on.
const LONG: Duration = Duration::from_secs(60);

/// A viewer that notices in a fraction of a second what usually takes half a minute, and loads
/// everything there is.
pub fn viewer_config(session: SessionId, transport: Transport) -> ViewerConfig {
    let mut config = ViewerConfig::new(session);
    config.transport = transport;
    config.history = History::All;
    config.profile = profile();
    let liveness = &mut config.liveness;
    liveness.connect_deadline = millis(250);
    liveness.ping_after = millis(80);
    liveness.silence_deadline = millis(220);
    liveness.stream_silence = millis(220);
    liveness.probe_deadline = millis(150);
    liveness.close_deadline = millis(300);
    liveness.reconnect_delay = millis(20);
    let patience = &mut config.patience;
    patience.http = millis(300);
    patience.interrupt = millis(500);
    config
}

/// A worker that is as quick.
pub fn worker_config() -> WorkerConfig {
    let mut config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
    config.start.attempts = 8;
    config.start.base = millis(20);
    config.start.cap = millis(60);
    let liveness = &mut config.liveness;
    liveness.stream_silence = millis(220);
    liveness.retry_base = millis(20);
    liveness.retry_cap = millis(60);
    liveness.retry_after_cap = millis(60);
    liveness.heartbeat = millis(200);
    let patience = &mut config.patience;
    patience.http = millis(300);
    patience.flush = millis(600);
    patience.archive = millis(400);
    config
}

fn profile() -> Profile {
    let delays = Delays::Exponential {
        initial: millis(30),
        cap: millis(60),
    };
    let mut profile = Profile::resilient();
    profile.drops = RetryRule {
        delays,
        limit: Limit::SlowDown {
            after: LONG,
            every: millis(60),
        },
    };
    profile.not_found.delays = Delays::Linear { step: millis(20) };
    profile.too_large.delays = delays;
    profile.finished.delays = delays;
    profile.restart_window = millis(40);
    profile.retry_after_cap = millis(60);
    profile
}
