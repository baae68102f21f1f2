//! What holds in every state.

use alloc::{
    format,
    string::{String, ToString},
    vec,
};

use super::{
    super::{
        Status, Timer, Viewer,
        phase::{Line, Phase, Refresh},
    },
    digest,
    ledger::Stale,
    model::Attended,
    moves::{LineFact, Move, Reading, inputs_about},
};
use crate::{
    io::{Input, TokenRequestId},
    time::Timestamp,
};

pub(super) fn all(attended: &Attended) -> Result<(), String> {
    every_wait_has_a_deadline(&attended.viewer)?;
    the_status_tells_the_phase(&attended.viewer)?;
    queues_are_bounded(attended)?;
    let before = digest::raw(&attended.viewer);
    an_early_timeout_changes_nothing(attended, &before)?;
    stale_ids_change_nothing(attended, &before)?;
    closing_ends_in_time(attended)
}

fn every_wait_has_a_deadline(viewer: &Viewer) -> Result<(), String> {
    let mut wanted = match &viewer.phase {
        Phase::Idle | Phase::Closed | Phase::Ending { .. } => vec![],
        Phase::FetchingToken { .. } => vec![Timer::Token],
        Phase::Locating { .. } | Phase::Opening { .. } => vec![Timer::Connect],
        Phase::Waiting { .. } => vec![Timer::Retry],
        Phase::Closing { .. } => vec![Timer::Close],
        Phase::Up(link) => {
            let mut wanted = vec![Timer::Silence];
            if !matches!(link.refresh, Refresh::Idle { .. }) {
                wanted.push(Timer::Token);
            }
            if viewer.socket_up().is_some() {
                wanted.push(Timer::Ping);
            }
            wanted
        }
    };
    let is_closing = matches!(viewer.phase, Phase::Closing { .. } | Phase::Closed);
    if !is_closing {
        if viewer.outbox.in_flight().is_some() {
            wanted.push(Timer::Outbox);
        }
        if viewer.posting.in_flight().is_some() {
            wanted.push(Timer::Control);
        }
        if !viewer.requests.is_empty() {
            wanted.push(Timer::Request);
        }
        if viewer.catch_up.in_flight().is_some() {
            wanted.push(Timer::Page);
        }
    }
    let runs = viewer.catch_up.is_running();
    if runs && matches!(viewer.phase, Phase::Up(_) | Phase::Ending { .. }) {
        wanted.push(Timer::CatchUp);
    }
    if !runs && viewer.timers.deadline(Timer::Page).is_some() {
        return Err("a page is due that nobody wants".to_string());
    }
    match wanted
        .into_iter()
        .find(|timer| viewer.timers.deadline(*timer).is_none())
    {
        Some(timer) => Err(format!(
            "{:?} without a deadline for {timer:?}",
            viewer.phase
        )),
        None => Ok(()),
    }
}

fn the_status_tells_the_phase(viewer: &Viewer) -> Result<(), String> {
    let runs = viewer.catch_up.is_running();
    let told = match (&viewer.phase, &viewer.status) {
        (Phase::Idle, Status::Idle)
        | (
            Phase::FetchingToken { .. } | Phase::Locating { .. } | Phase::Opening { .. },
            Status::Connecting { .. },
        )
        | (Phase::Waiting { .. }, Status::Waiting { .. })
        | (Phase::Closing { .. }, Status::Closing)
        | (Phase::Closed, Status::Closed { .. })
        | (Phase::Ending { .. }, Status::CatchingUp) => true,
        (Phase::Up(_), Status::CatchingUp) => runs,
        (Phase::Up(_), Status::Live) => !runs,
        _ => false,
    };
    if told {
        Ok(())
    } else {
        Err(format!("{:?} is told as {:?}", viewer.phase, viewer.status))
    }
}

/// What describes the way makes room; what must be told may stand beyond the bound, but not pile up.
const BEYOND: usize = 8;

fn queues_are_bounded(attended: &Attended) -> Result<(), String> {
    let limits = &attended.viewer.config.limits;
    let mut viewer = attended.viewer.clone();
    let events = core::iter::from_fn(|| viewer.poll_event()).count();
    for (what, count, limit) in [
        ("events", events, limits.events + BEYOND),
        ("requests", viewer.requests.len(), limits.requests),
        (
            "messages",
            attended.ledger.open_sends().count(),
            limits.outbox,
        ),
        ("prompts", attended.ledger.open_prompts(), limits.prompts),
    ] {
        if count > limit {
            return Err(format!("{count} {what}, beyond {limit}"));
        }
    }
    Ok(())
}

/// Whatever comes of `happens`, the viewer is what it was `before`.
fn nothing_comes_of(
    attended: &Attended,
    before: &str,
    what: &str,
    happens: impl FnOnce(&mut Viewer),
) -> Result<(), String> {
    let mut viewer = attended.viewer.clone();
    happens(&mut viewer);
    let after = digest::raw(&viewer);
    if before == after {
        return Ok(());
    }
    let place = before
        .bytes()
        .zip(after.bytes())
        .position(|(before, after)| before != after)
        .unwrap_or_default();
    let from = place.saturating_sub(60);
    let part = |text: &str| -> String { text.chars().skip(from).take(160).collect() };
    Err(format!(
        "{what} changes something: …{}… became …{}…",
        part(before),
        part(&after)
    ))
}

fn an_early_timeout_changes_nothing(attended: &Attended, before: &str) -> Result<(), String> {
    let Some((due, _)) = attended.viewer.poll_timeout() else {
        return Ok(());
    };
    // What is due by the last time that was told is due at an older one as well.
    for at in [Timestamp::ORIGIN, attended.now] {
        if attended.now < due {
            nothing_comes_of(attended, before, "an early timeout", |viewer| {
                viewer.handle_timeout(at);
            })?;
        }
    }
    Ok(())
}

fn stale_ids_change_nothing(attended: &Attended, before: &str) -> Result<(), String> {
    // With the application at leisure, any input lets what was waiting go on.
    if attended.scene.pauses_reading {
        return Ok(());
    }
    for stale in &attended.stale {
        if let Stale::Question(id) = stale
            && attended.ledger.question == Some(*id)
        {
            continue;
        }
        for input in inputs_about(*stale, attended.scene) {
            let what = format!("the stale {input:?}");
            nothing_comes_of(attended, before, &what, |viewer| {
                viewer.handle_input(attended.now, input);
            })?;
        }
    }
    Ok(())
}

/// After the end nothing is there, nothing is due, and nothing comes of anything.
pub(super) fn the_end_leaves_nothing(attended: &Attended) -> Result<(), String> {
    if !attended.viewer.is_closed() {
        return Ok(());
    }
    if let Some(line) = &attended.ledger.line {
        return Err(format!("closed while {line:?} is there"));
    }
    if let Some(call) = attended.ledger.calls.values().next() {
        return Err(format!("closed while {call:?} is under way"));
    }
    if let Some(due) = attended.viewer.poll_timeout() {
        return Err(format!("closed, and {due:?} is due"));
    }
    let before = digest::raw(&attended.viewer);
    nothing_comes_of(attended, &before, "a wake-up after the end", |viewer| {
        viewer.handle_input(attended.now, Input::Woke);
        let _ = viewer.connect(attended.now);
        let _ = viewer.reconnect(attended.now);
        let _ = viewer.interrupt(attended.now);
        viewer.close(attended.now);
    })?;
    if attended.reading == Reading::Eagerly && !attended.ledger.is_closed {
        return Err("closed without a word".to_string());
    }
    Ok(())
}

/// Nobody answers any more, and it is over in time all the same.
fn closing_ends_in_time(attended: &Attended) -> Result<(), String> {
    let mut leaving = attended.clone();
    let limit = leaving.viewer.config.liveness.close_deadline;
    let end = leaving.now.checked_add(limit).ok_or("time ends")?;
    leaving.viewer.close(leaving.now);
    leaving.drain()?;
    while !leaving.viewer.is_closed() {
        let Some((due, _)) = leaving.viewer.poll_timeout() else {
            return Err("closing waits for ever".to_string());
        };
        if due > end {
            return Err(format!("closing lasts until {due:?}, not {end:?}"));
        }
        leaving.time(due)?;
        leaving.drain()?;
    }
    leaving.reading = Reading::Eagerly;
    leaving.drain()?;
    if leaving.ledger.is_closed && leaving.viewer.is_drained() && leaving.ledger.line.is_none() {
        Ok(())
    } else {
        Err(format!("closed, and left {:?}", leaving.ledger))
    }
}

/// A sign of life moves every deadline that waits for one.
pub(super) fn a_sign_of_life_moves_the_deadlines(
    attended: &Attended,
    step: &Move,
) -> Result<(), String> {
    let is_sign = matches!(step, Move::Line(LineFact::Pong | LineFact::Text(_)));
    let Phase::Up(link) = &attended.viewer.phase else {
        return Ok(());
    };
    if !is_sign || attended.ledger.line.map(|(line, _)| line) != Some(link.line) {
        return Ok(());
    }
    let liveness = &attended.viewer.config.liveness;
    let expected = match link.line {
        Line::Socket(_) => vec![
            (Timer::Ping, liveness.ping_after),
            (Timer::Silence, liveness.silence_deadline),
        ],
        Line::Stream(_) => vec![(Timer::Silence, liveness.stream_silence)],
    };
    for (timer, delay) in expected {
        let due = attended.viewer.timers.deadline(timer);
        if due != attended.now.checked_add(delay) {
            return Err(format!("{timer:?} is due at {due:?} after a sign of life"));
        }
    }
    Ok(())
}

/// While a token is awaited for calls, no other one is asked for.
pub(super) fn a_question_is_asked_once(
    attended: &Attended,
    step: &Move,
    before: Option<TokenRequestId>,
) -> Result<(), String> {
    let answers = matches!(
        step,
        Move::Token(_) | Move::NoToken(_) | Move::Deadline | Move::Oversleep
    );
    let after = attended.viewer.awaited_token();
    let is_up = matches!(attended.viewer.phase, Phase::Up(_));
    if !answers && before.is_some() && after != before && is_up {
        return Err(format!("{after:?} is asked while {before:?} is open"));
    }
    Ok(())
}
