//! What holds in every state.

use alloc::{
    format,
    string::{String, ToString},
    vec,
};

use super::{
    super::{
        Timer, Worker, WorkerStatus,
        calls::Call,
        phase::{Goal, Phase, Reached, Step, Stream},
    },
    digest,
    ledger::Stale,
    model::Attended,
    moves::{Answer, Move, inputs_about},
};
use crate::{io::Input, time::Timestamp};

pub(super) fn all(attended: &Attended) -> Result<(), String> {
    every_wait_has_a_deadline(&attended.worker)?;
    the_status_tells_the_phase(&attended.worker)?;
    let before = digest::raw(&attended.worker);
    an_early_timeout_changes_nothing(attended, &before)?;
    stale_ids_change_nothing(attended, &before)?;
    closing_ends_in_time(attended)
}

fn every_wait_has_a_deadline(worker: &Worker) -> Result<(), String> {
    let mut wanted = match &worker.phase {
        Phase::Idle | Phase::Closed => vec![],
        Phase::FetchingToken(_) => vec![Timer::Token],
        Phase::Registering | Phase::Bridging | Phase::Opening(Step::Read | Step::Report) => {
            vec![Timer::Calls]
        }
        Phase::Opening(Step::Stream) => vec![Timer::Silence],
        Phase::Pausing => vec![Timer::Start],
        Phase::Running => vec![Timer::Heartbeat, Timer::Refresh],
        Phase::Archiving { .. } => vec![Timer::Archive],
    };
    match worker.stream {
        Stream::Down => {
            if matches!(worker.phase, Phase::Running) {
                return Err("running without a stream".to_string());
            }
        }
        Stream::Opening(_) | Stream::Open(_) => wanted.push(Timer::Silence),
        Stream::Pausing { .. } => wanted.push(Timer::Stream),
    }
    if !worker.calls.kinds().is_empty() {
        wanted.push(Timer::Calls);
    }
    if worker.goal == Goal::Leave && !worker.is_closed() {
        wanted.push(Timer::Close);
    }
    let archives = worker.calls.is_open(Call::Archive);
    let as_it_should = if let Phase::Archiving { awaited, .. } = &worker.phase {
        archives || awaited.is_some()
    } else {
        !archives
    };
    if !as_it_should {
        return Err(format!(
            "{:?} with an archive call: {archives}",
            worker.phase
        ));
    }
    match wanted
        .into_iter()
        .find(|timer| worker.timers.deadline(*timer).is_none())
    {
        Some(timer) => Err(format!(
            "{:?} without a deadline for {timer:?}",
            worker.phase
        )),
        None => Ok(()),
    }
}

fn the_status_tells_the_phase(worker: &Worker) -> Result<(), String> {
    let told = match (&worker.phase, &worker.status) {
        (Phase::Closed, WorkerStatus::Closed(_)) => true,
        (Phase::Closed, _) | (_, WorkerStatus::Closed(_)) => false,
        _ if worker.goal == Goal::Leave => worker.status == WorkerStatus::Closing,
        (Phase::Running, status) => match worker.stream {
            Stream::Open(_) => *status == WorkerStatus::Running,
            Stream::Down | Stream::Opening(_) | Stream::Pausing { .. } => {
                matches!(status, WorkerStatus::Deaf { .. })
            }
        },
        (_, status) => !matches!(status, WorkerStatus::Running | WorkerStatus::Closing),
    };
    if told {
        Ok(())
    } else {
        Err(format!("{:?} is told as {:?}", worker.phase, worker.status))
    }
}

/// Whatever comes of `happens`, the worker is what it was `before`.
fn nothing_comes_of(
    attended: &Attended,
    before: &str,
    what: &str,
    happens: impl FnOnce(&mut Worker),
) -> Result<(), String> {
    let mut worker = attended.worker.clone();
    happens(&mut worker);
    let after = digest::raw(&worker);
    if before == after {
        Ok(())
    } else {
        Err(format!(
            "{what} changes something:\n{before}\nbecame\n{after}"
        ))
    }
}

fn an_early_timeout_changes_nothing(attended: &Attended, before: &str) -> Result<(), String> {
    let Some((due, _)) = attended.worker.poll_timeout() else {
        return Ok(());
    };
    // What is due by the last time that was told is due at an older one as well.
    for at in [Timestamp::ORIGIN, attended.now] {
        if attended.now < due {
            nothing_comes_of(attended, before, "an early timeout", |worker| {
                worker.handle_timeout(at);
            })?;
        }
    }
    Ok(())
}

fn stale_ids_change_nothing(attended: &Attended, before: &str) -> Result<(), String> {
    for stale in &attended.stale {
        if let Stale::Question(id) = stale
            && attended.ledger.question == Some(*id)
        {
            continue;
        }
        for input in inputs_about(*stale) {
            let what = format!("the stale {input:?}");
            nothing_comes_of(attended, before, &what, |worker| {
                worker.handle_input(attended.now, input);
            })?;
        }
    }
    Ok(())
}

/// A sign of life moves the deadline that waits for one.
pub(super) fn a_sign_of_life_moves_the_deadline(
    attended: &Attended,
    step: &Move,
) -> Result<(), String> {
    let worker = &attended.worker;
    if !matches!((step, worker.stream), (Move::Bytes(_), Stream::Open(_))) {
        return Ok(());
    }
    let due = worker.timers.deadline(Timer::Silence);
    let patience = worker.config.liveness.stream_silence;
    if due == attended.now.checked_add(patience) {
        Ok(())
    } else {
        Err(format!("silence is due at {due:?} after a sign of life"))
    }
}

/// Failures on the way to running are forgotten when what they were about succeeds, refusals of credentials when the
/// server takes something; and both are an end before there are too many.
pub(super) fn only_success_gives_budgets_back(
    attended: &Attended,
    step: &Move,
    failures: u32,
) -> Result<(), String> {
    let worker = &attended.worker;
    let has_run = matches!((step, &worker.phase), (Move::Opened, Phase::Running));
    let is_registered = matches!(step, Move::Answer(Call::Register, Answer::Good));
    if worker.failures < failures && !has_run && !is_registered {
        let left = worker.failures;
        return Err(format!("of {failures} failures, {left} are known"));
    }
    if matches!(worker.phase, Phase::Archiving { .. } | Phase::Closed) {
        return Ok(());
    }
    let refusals = attended.ledger.refusals;
    if worker.refusals != refusals {
        let known = worker.refusals;
        return Err(format!("of {refusals} refusals, {known} are known"));
    }
    let is_starting = worker.reached == Reached::Never;
    let has_failed = is_starting && worker.failures >= worker.config.start.attempts;
    if has_failed || refusals >= worker.config.liveness.refusals {
        let failures = worker.failures;
        return Err(format!(
            "{failures} failures, {refusals} refusals, and it goes on"
        ));
    }
    Ok(())
}

/// After the end nothing is there, nothing is due, and nothing comes of anything.
pub(super) fn the_end_leaves_nothing(attended: &Attended) -> Result<(), String> {
    if !attended.worker.is_closed() {
        if attended.ledger.is_fenced {
            return Err("it goes on though another worker owns the session".to_string());
        }
        return Ok(());
    }
    if let Some(stream) = &attended.ledger.stream {
        return Err(format!("closed while {stream:?} is there"));
    }
    if let Some(call) = attended.ledger.calls.values().next() {
        return Err(format!("closed while {call:?} is under way"));
    }
    if let Some(due) = attended.worker.poll_timeout() {
        return Err(format!("closed, and {due:?} is due"));
    }
    let before = digest::raw(&attended.worker);
    nothing_comes_of(attended, &before, "a wake-up after the end", |worker| {
        worker.handle_input(attended.now, Input::Woke);
        let _ = worker.start(attended.now);
        worker.close(attended.now);
    })?;
    if attended.ledger.is_closed {
        Ok(())
    } else {
        Err("closed without a word".to_string())
    }
}

/// Nobody answers any more: it is over in time all the same, and the archive has been tried.
fn closing_ends_in_time(attended: &Attended) -> Result<(), String> {
    let mut leaving = attended.clone();
    let limit = leaving.worker.config.patience.close;
    let end = leaving.now.checked_add(limit).ok_or("time ends")?;
    let worker = &leaving.worker;
    let outlasts = |until: Option<Timestamp>| until.is_none_or(|until| until > end);
    let has_credentials = worker
        .credentials
        .as_ref()
        .is_some_and(|granted| outlasts(granted.until));
    let may_archive = worker.session.is_some() && (worker.token.is_some() || has_credentials);
    let is_started = !matches!(worker.phase, Phase::Idle | Phase::Closed);
    leaving.worker.close(leaving.now);
    leaving.drain()?;
    while !leaving.worker.is_closed() {
        let Some((due, _)) = leaving.worker.poll_timeout() else {
            return Err("closing waits for ever".to_string());
        };
        if due > end {
            return Err(format!("closing lasts until {due:?}, not {end:?}"));
        }
        leaving.time(due)?;
        leaving.drain()?;
    }
    if is_started && may_archive && !leaving.ledger.was_archived {
        return Err("closed, and the session was not archived".to_string());
    }
    the_end_leaves_nothing(&leaving)
}
