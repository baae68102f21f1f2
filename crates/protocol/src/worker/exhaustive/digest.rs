//! A worker as a text that leaves nothing out that makes a difference.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use super::super::{
    Worker,
    endpoint::Credentials,
    phase::{Phase, Reached},
};
use crate::{
    exhaustive::{Canonical, Counted},
    io::Token,
    time::Timestamp,
};

/// All of it. A new field does not compile past this.
pub(super) fn raw(worker: &Worker) -> String {
    let Worker {
        // The same in all states of a search.
        config: _,
        instance: _,
        // Feeds names, and the jitter of heartbeats, which the model takes out.
        rng: _,
        ids: _,
        now: _,
        timers,
        goal,
        phase,
        status,
        reached,
        failures,
        session,
        token,
        rejected,
        credentials,
        refusals,
        leases_lost,
        calls,
        stream,
        decoder,
        backlog,
        sequence,
        // What lengthens delays, which are fixed here.
        stream_failures: _,
        upload_failures: _,
        delivery_failures: _,
        report_failures: _,
        attentive,
        uploads,
        deliveries,
        requests,
        state,
        reporting,
        reported,
        heartbeat_failures,
        effects,
        events,
    } = worker;
    let waits = backlog.is_some();
    // The first one makes a difference.
    let has_lost_lease = *leases_lost > 0;
    // Attempts are counted at the start only.
    let attempts = (*reached == Reached::Never).then_some(failures);
    let tokens = [token.as_ref(), rejected.as_ref()].map(|token| token.map(Token::expose));
    let granted = credentials.as_ref().map(|granted| {
        let Credentials {
            token,
            server,
            epoch,
            lifetime,
            until,
        } = granted;
        (token.expose(), server, epoch, lifetime, until)
    });
    let untried: Vec<&str> = match phase {
        Phase::Archiving { untried, .. } => untried.iter().map(Token::expose).collect(),
        Phase::Idle
        | Phase::FetchingToken(_)
        | Phase::Registering
        | Phase::Bridging
        | Phase::Opening(_)
        | Phase::Running
        | Phase::Pausing
        | Phase::Closed => Vec::new(),
    };
    format!(
        "{timers:?} {goal:?} {phase:?} {untried:?} {status:?} {reached:?} {attempts:?} \
         {session:?} {tokens:?} {granted:?} {refusals} {has_lost_lease} {calls:?} {stream:?} {decoder:?} {waits} {sequence} \
         {attentive:?} {uploads:?} {deliveries:?} {requests:?} {state:?} {reporting:?} {reported:?} \
         {heartbeat_failures} {effects:?} {events:?}"
    )
}

pub(super) fn canonical(now: Timestamp, text: &str) -> String {
    let canonical = Canonical {
        now,
        // A worker asks for no age.
        oldest: Duration::ZERO,
        // What is tried again at once is tried a nanosecond later.
        grain: Duration::from_millis(1),
        counters: &[],
        counted: Counted::default(),
    };
    canonical.text(text)
}
