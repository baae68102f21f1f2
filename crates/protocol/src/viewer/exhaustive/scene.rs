//! What a search is about: which part of the alphabet can happen.

use core::time::Duration;

use super::super::{History, Transport, ViewerConfig};
use crate::{
    ids::SessionId,
    policy::{Delays, Limit, RetryRule},
};

/// One part of the alphabet.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) transport: Transport,
    pub(super) pace: Pace,
    pub(super) history: History,
    /// What can come over the line. `OWN` stands for the id of a message of ours, `REQUEST` for that of a
    /// request of ours.
    pub(super) frames: &'static [&'static str],
    /// What a page can hold.
    pub(super) pages: &'static [&'static str],
    /// The tokens a source may give.
    pub(super) tokens: &'static [&'static str],
    /// With what statuses an attempt can be refused.
    pub(super) refusals: &'static [u16],
    /// The codes of close frames.
    pub(super) codes: &'static [u16],
    pub(super) sends: u8,
    pub(super) requests: u8,
    pub(super) decides: bool,
    pub(super) pauses_reading: bool,
}

/// How the delays of a scene relate to one another.
#[derive(Copy, Clone, Debug)]
pub(super) enum Pace {
    /// They differ, so deadlines pass in many orders, at many distances.
    Uneven,
    /// They are one or two times the same, so there are few distances, and all there are can be looked at.
    Even,
}

impl Scene {
    /// Nothing but a connection over `transport`.
    pub(super) const fn bare(transport: Transport) -> Self {
        Self {
            transport,
            pace: Pace::Uneven,
            history: History::None,
            frames: match transport {
                Transport::WebSocket => &[r#"{"type":"keep_alive"}"#],
                Transport::Sse => &[":\n\n"],
            },
            pages: &[r#"{"data":[],"has_more":false}"#],
            tokens: &["first", "second"],
            refusals: &[401, 404, 503],
            codes: &[1000, 1009, 1012, 4001, 4003],
            sends: 0,
            requests: 0,
            decides: false,
            pauses_reading: false,
        }
    }

    /// A connection of which there is little to tell, for what happens over it to be looked at to its end.
    pub(super) const fn narrow(transport: Transport) -> Self {
        Self {
            pace: Pace::Even,
            refusals: &[503],
            codes: &[1012],
            ..Self::bare(transport)
        }
    }

    /// Small numbers, and delays without chance.
    pub(super) fn config(&self) -> ViewerConfig {
        let secs = Duration::from_secs;
        let mut config = ViewerConfig::new(SessionId::parse("session_x").expect("plain"));
        config.transport = self.transport;
        config.history = self.history;
        let rule = |step, retries| RetryRule {
            delays: Delays::Constant(secs(step)),
            limit: Limit::Retries(retries),
        };
        let profile = &mut config.profile;
        profile.drops = rule(2, 2);
        profile.not_found = rule(1, 1);
        profile.too_large = rule(2, 1);
        profile.finished = rule(2, 1);
        profile.restart_window = Duration::ZERO;
        profile.retry_after_cap = Duration::ZERO;
        let liveness = &mut config.liveness;
        liveness.connect_deadline = secs(4);
        liveness.ping_after = secs(6);
        liveness.silence_deadline = secs(9);
        liveness.stream_silence = secs(9);
        liveness.probe_deadline = secs(2);
        liveness.stable_after = secs(5);
        liveness.close_deadline = secs(2);
        liveness.reconnect_delay = secs(1);
        liveness.reconnect_interval = secs(3);
        let patience = &mut config.patience;
        patience.token = secs(3);
        patience.http = secs(4);
        patience.catch_up = secs(8);
        patience.request = secs(10);
        patience.interrupt = secs(5);
        patience.watchdog = secs(12);
        let limits = &mut config.limits;
        limits.remembered = 8;
        limits.prompts = 1;
        limits.requests = 2;
        limits.outbox = 2;
        if self.pauses_reading {
            limits.events = 2;
            limits.held = 1;
        }
        if let Pace::Even = self.pace {
            Self::even_out(&mut config);
        }
        config
    }

    fn even_out(config: &mut ViewerConfig) {
        let once = Duration::from_secs(4);
        let twice = once * 2;
        let rule = |retries| RetryRule {
            delays: Delays::Constant(once),
            limit: Limit::Retries(retries),
        };
        let profile = &mut config.profile;
        profile.drops = rule(1);
        profile.not_found = rule(1);
        profile.too_large = rule(1);
        profile.finished = rule(1);
        let liveness = &mut config.liveness;
        liveness.connect_deadline = once;
        liveness.ping_after = once;
        liveness.silence_deadline = twice;
        liveness.stream_silence = twice;
        liveness.probe_deadline = once;
        liveness.stable_after = once;
        liveness.close_deadline = once;
        liveness.reconnect_delay = once;
        liveness.reconnect_interval = once;
        let patience = &mut config.patience;
        patience.token = once;
        patience.http = once;
        patience.catch_up = twice;
        patience.request = twice;
        patience.interrupt = once;
        patience.watchdog = twice;
    }
}
