//! A viewer as a text that leaves nothing out.

use alloc::{format, string::String};
use core::time::Duration;

use super::super::{Transport, Viewer, catchup::QUESTIONS, phase::Phase};
use crate::{
    exhaustive::{Canonical, Counted, Counter, Matters},
    io::Token,
    time::Timestamp,
};

/// All of it. Its parts hide tokens: those that can make a difference are named here, the others are the
/// bearers of calls under way. A new field does not compile past this.
pub(super) fn raw(viewer: &Viewer) -> String {
    let Viewer {
        // The same in all states of a search.
        config: _,
        // Feeds names only, see `Canonical`.
        rng: _,
        ids: _,
        now: _,
        timers,
        phase,
        status,
        episode,
        rejected,
        last_forced,
        // Others are shown by their distance from them.
        pings: _,
        turn: _,
        inbox,
        backlog,
        catch_up,
        delivered,
        refused,
        prompts,
        outbox,
        posting,
        requests,
        watchdog,
        owes_first_answer,
        effects,
        events,
    } = viewer;
    let (held, opened_with) = match phase {
        Phase::Locating { token, .. }
        | Phase::Opening { token, .. }
        | Phase::Ending { token, .. } => (Some(token), None),
        Phase::Up(link) => (Some(&link.token), Some(&link.opened_with)),
        Phase::Idle
        | Phase::FetchingToken { .. }
        | Phase::Waiting { .. }
        | Phase::Closing { .. }
        | Phase::Closed => (None, None),
    };
    let forced_ago = last_forced
        .map(|last| viewer.now.saturating_since(last))
        .filter(|ago| *ago < viewer.config.liveness.reconnect_interval);
    let tokens = [
        held,
        opened_with,
        rejected.as_ref(),
        outbox.refused_token(),
        posting.refused_token(),
        catch_up.refused_token(),
    ]
    .map(|token| token.map(Token::expose));
    format!(
        "{timers:?} {phase:?} {status:?} {:?} {tokens:?} {forced_ago:?} {inbox:?} {:?} {catch_up:?} \
         {delivered:?} {refused:?} {prompts:?} {outbox:?} {posting:?} {requests:?} {watchdog:?} \
         {owes_first_answer:?} {effects:?} {events:?}",
        episode.spent(),
        // It is long due, and the later it is the same.
        backlog.is_some(),
    )
}

pub(super) fn canonical(viewer: &Viewer, now: Timestamp, text: &str) -> String {
    let canonical = Canonical {
        now,
        // A wake-up asks whether a failure was a second ago; nothing asks for a greater age.
        oldest: Duration::from_secs(1),
        grain: Duration::ZERO,
        counters: match viewer.config.transport {
            Transport::WebSocket => WEB_SOCKET,
            Transport::Sse => STREAM,
        },
        counted: Counted {
            pings: viewer.pings,
            turn: viewer.turn,
        },
    };
    canonical.text(text)
}

const WEB_SOCKET: &[Counter] = &counters(0);
/// Failures to learn where a stream's log ends are counted.
const STREAM: &[Counter] = &counters(QUESTIONS as u64);

const fn counters(failures: u64) -> [Counter; 7] {
    [
        ("AwaitsPong(", Matters::Latest(|counted| counted.pings)),
        ("ping:", Matters::Latest(|counted| counted.pings)),
        ("Turn(", Matters::Latest(|counted| counted.turn)),
        ("failures:", Matters::UpTo(failures)),
        // The next places to give, of prompts and of requests.
        ("asked:", Matters::UpTo(0)),
        ("opened:", Matters::UpTo(0)),
        ("order:", Matters::Rank),
    ]
}
