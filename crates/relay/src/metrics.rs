//! What a relay counts, for Prometheus.

use core::time::Duration;
use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet, text},
    metrics::{MetricType, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    outgoing::Ending,
    store::{COMMIT_BOUNDS, Origin, Store},
};

/// The numbers of one relay. None of them names a session or a person.
pub(crate) struct Metrics {
    registry: Registry,
    sessions: Gauge,
    agents: Gauge,
    connections: Gauge,
    viewers: Family<Label, Gauge>,
    events_in: Family<Label, Counter>,
    bytes_in: Family<Label, Counter>,
    events_out: Family<Label, Counter>,
    bytes_out: Family<Label, Counter>,
    appends: Histogram,
    refused: Family<Label, Counter>,
    dropped: Family<Label, Counter>,
    limited: Family<Label, Counter>,
    lagged: Counter,
}

/// How a viewer is connected.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    Sse,
}

/// Who something was sent to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Viewer,
    Worker,
}

/// What somebody did too often.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Requests,
    Posts,
    BadCredentials,
    Connections,
}

/// One label and its value.
type Label = [(&'static str, &'static str); 1];

impl Transport {
    fn label(self) -> Label {
        [match self {
            Self::WebSocket => ("transport", "websocket"),
            Self::Sse => ("transport", "sse"),
        }]
    }
}

impl Reader {
    fn label(self) -> Label {
        [match self {
            Self::Viewer => ("to", "viewer"),
            Self::Worker => ("to", "worker"),
        }]
    }
}

impl Limit {
    fn label(self) -> Label {
        [match self {
            Self::Requests => ("what", "requests"),
            Self::Posts => ("what", "posts"),
            Self::BadCredentials => ("what", "bad_credentials"),
            Self::Connections => ("what", "connections"),
        }]
    }
}

fn speaker(origin: Origin) -> Label {
    [match origin {
        Origin::Agent => ("from", "agent"),
        Origin::Viewer => ("from", "viewer"),
        Origin::Relay => ("from", "relay"),
    }]
}

impl Metrics {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        // From a tenth of a millisecond to more than a second.
        const FIRST: f64 = 0.000_1;
        let buckets = (0..15).map(|power| FIRST * f64::from(1 << power));
        let mut metrics = Self {
            registry: Registry::with_prefix("attache"),
            sessions: Gauge::default(),
            agents: Gauge::default(),
            connections: Gauge::default(),
            viewers: Family::default(),
            events_in: Family::default(),
            bytes_in: Family::default(),
            events_out: Family::default(),
            bytes_out: Family::default(),
            appends: Histogram::new(buckets),
            refused: Family::default(),
            dropped: Family::default(),
            limited: Family::default(),
            lagged: Counter::default(),
        };
        metrics.register(store);
        metrics
    }

    fn register(&mut self, store: Arc<dyn Store>) {
        let Self {
            registry,
            sessions,
            agents,
            connections,
            viewers,
            events_in,
            bytes_in,
            events_out,
            bytes_out,
            appends,
            refused,
            dropped,
            limited,
            lagged,
        } = self;
        registry.register("sessions", "Sessions in memory", sessions.clone());
        registry.register("workers", "Sessions whose agent is there", agents.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register("viewers", "Connected viewers", viewers.clone());
        registry.register(
            "events_in",
            "Frames stored, by who said them",
            events_in.clone(),
        );
        registry.register_with_unit(
            "events_in",
            "Bytes of the frames stored",
            Unit::Bytes,
            bytes_in.clone(),
        );
        registry.register(
            "events_out",
            "Frames sent, by who got them",
            events_out.clone(),
        );
        registry.register_with_unit(
            "events_out",
            "Bytes of the frames sent",
            Unit::Bytes,
            bytes_out.clone(),
        );
        registry.register_with_unit(
            "append",
            "How long frames took until they were stored, the wait for others included",
            Unit::Seconds,
            appends.clone(),
        );
        registry.register(
            "refused",
            "Requests and sockets turned away",
            refused.clone(),
        );
        registry.register("dropped", "Viewers given up by the relay", dropped.clone());
        registry.register("rate_limited", "What was done too often", limited.clone());
        registry.register(
            "lagged",
            "Times that a viewer was too slow for its stream, and went on from the log",
            lagged.clone(),
        );
        registry.register_collector(Box::new(Commits(store)));
    }

    /// Everything, in Prometheus' text format.
    pub(crate) fn text(&self, sessions: usize, agents: usize) -> Result<String, core::fmt::Error> {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.sessions.set(number(sessions));
        self.agents.set(number(agents));
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// A connection is there until what is returned is dropped.
    pub(crate) fn connected(&self) -> Present {
        Present::in_gauge(&self.connections)
    }

    /// A viewer is there until what is returned is dropped.
    pub(crate) fn viewer(&self, by: Transport) -> Present {
        Present::in_gauge(&self.viewers.get_or_create(&by.label()))
    }

    /// A frame was stored.
    pub(crate) fn stored(&self, origin: Origin, bytes: usize) {
        let from = speaker(origin);
        self.events_in.get_or_create(&from).inc();
        self.bytes_in.get_or_create(&from).inc_by(bytes as u64);
    }

    /// Frames were sent.
    pub(crate) fn sent(&self, by: Reader, events: usize, bytes: usize) {
        self.events_out
            .get_or_create(&by.label())
            .inc_by(events as u64);
        self.bytes_out
            .get_or_create(&by.label())
            .inc_by(bytes as u64);
    }

    /// The store was asked to keep frames, and has answered.
    pub(crate) fn appended(&self, took: Duration) {
        self.appends.observe(took.as_secs_f64());
    }

    /// A request or a socket was turned away.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// A viewer was given up.
    pub(crate) fn dropped(&self, why: Ending) {
        let reason = why.label();
        self.dropped.get_or_create(&[("reason", reason)]).inc();
    }

    /// A viewer was too slow for its stream.
    pub(crate) fn lagged(&self) {
        self.lagged.inc();
    }

    /// Somebody did something too often.
    pub(crate) fn limited(&self, by: Limit) {
        self.limited.get_or_create(&by.label()).inc();
    }
}

/// Counts somebody or something while it is there.
pub(crate) struct Present(Gauge);

impl Present {
    fn in_gauge(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What the store counts itself.
struct Commits(Arc<dyn Store>);

impl Collector for Commits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), core::fmt::Error> {
        let Some(stats) = self.0.commits() else {
            return Ok(());
        };
        let bounds = COMMIT_BOUNDS.iter().map(Duration::as_secs_f64);
        let mut buckets: Vec<(f64, u64)> = bounds.zip(stats.within).collect();
        let within: u64 = stats.within.iter().sum();
        buckets.push((f64::INFINITY, stats.commits.saturating_sub(within)));
        encoder
            .encode_descriptor(
                "commit",
                "How long the store's commits took",
                Some(&Unit::Seconds),
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(
                stats.took.as_secs_f64(),
                stats.commits,
                &buckets,
                None,
            )?;
        for (name, help, count) in [
            ("commit_failures", "Commits that failed", stats.failed),
            ("commit_writes", "Writes in the commits", stats.writes),
        ] {
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
        }
        Ok(())
    }
}

impl core::fmt::Debug for Commits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Commits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn numbers_are_shown_under_their_names() {
        let metrics = Metrics::new(Arc::new(MemoryStore::new()));
        let _here = metrics.viewer(Transport::Sse);
        drop(metrics.viewer(Transport::WebSocket));
        metrics.stored(Origin::Agent, 10);
        metrics.sent(Reader::Viewer, 2, 20);
        metrics.appended(Duration::from_millis(1));
        metrics.refused("unauthenticated");
        metrics.dropped(Ending::TooSlow);
        metrics.limited(Limit::Posts);
        metrics.lagged();
        let text = metrics.text(3, 1).unwrap();
        for line in [
            "attache_sessions 3",
            "attache_workers 1",
            "attache_viewers{transport=\"sse\"} 1",
            "attache_viewers{transport=\"websocket\"} 0",
            "attache_events_in_total{from=\"agent\"} 1",
            "attache_events_in_bytes_total{from=\"agent\"} 10",
            "attache_events_out_total{to=\"viewer\"} 2",
            "attache_events_out_bytes_total{to=\"viewer\"} 20",
            "attache_append_seconds_count 1",
            "attache_refused_total{reason=\"unauthenticated\"} 1",
            "attache_dropped_total{reason=\"too_slow\"} 1",
            "attache_lagged_total 1",
            "attache_rate_limited_total{what=\"posts\"} 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
        }
    }
}
