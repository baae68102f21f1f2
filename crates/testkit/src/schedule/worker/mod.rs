//! The worker's schedules.
//!
//! | file | subject |
//! |---|---|
//! | `deeds` | what may happen in a step |
//! | `life` | a worker, its driver in virtual time, and every check on the way |
//! | `owed` | what the worker owes |
//! | `server` | a server that does everything right |
//! | `weather` | what goes wrong |
//! | `machine` | the worker itself, and a twin that must go the same way |
//! | `order` | calls as a server reads them |

mod deeds;
mod life;
mod machine;
mod order;
mod owed;
mod server;
mod weather;

use attache_protocol::{
    SessionId,
    time::Timestamp,
    worker::{Farewell, NewSession, SessionChoice, WorkerCloseCause, WorkerConfig},
};

pub(in crate::schedule) use self::{
    deeds::{pause, worker_trouble},
    life::Life,
    machine::{Act, Noise},
    owed::{Down, Promise},
    server::Server,
    weather::one_of,
};

use super::{Breach, Choices, Span, Tally};
use crate::{millis, secs};
use deeds::Deeds;
use life::Reading;

/// Runs a schedule of a worker against a server and a link on which everything goes wrong, as `choices` have it. Whenever
/// everything is mended, and at the end, nothing may be lost, repeated, reordered or left behind.
///
/// # Errors
/// The first promise that is broken.
pub fn worker(choices: &mut dyn Choices, span: &Span) -> Result<Tally, Breach> {
    let mut tally = Tally::default();
    let mut now = Timestamp::ORIGIN;
    let end = Timestamp::from_origin(span.virtual_time);
    while now < end && tally.steps < u64::from(span.steps) {
        let mut life = begin(choices, now);
        let lived = live(&mut life, choices, end, span.steps, &mut tally);
        let lived = lived.and_then(|()| finish(&mut life, choices, &mut tally));
        if let Err(what) = lived {
            return Err(Breach {
                what,
                at: life.now,
                transcript: life.machine.transcript(),
            });
        }
        tally.faults += life.counts.faults;
        tally.connections += life.counts.streams;
        tally.delivered += life.counts.delivered;
        now = life.now;
        if choices.is_spent() {
            break;
        }
    }
    Ok(tally)
}

/// A worker that has just been started, on a session of its own or on one where something was said before.
fn begin(choices: &mut dyn Choices, now: Timestamp) -> Life {
    let lifetime = one_of(choices, &[3600, 60, 600, 40, 3600, 5, 1], 600);
    let mut server = Server::new(secs(lifetime));
    let mut session = SessionChoice::Create(NewSession::default());
    if choices.below(4) == 3 {
        let id = server.create();
        if let Ok(id) = SessionId::parse(&id) {
            session = SessionChoice::Join(id);
        }
    }
    let mut config = WorkerConfig::new(session);
    if choices.below(4) == 3 {
        config.farewell = Farewell::Leave;
    }
    if choices.below(2) == 1 {
        config.start.attempts = u32::MAX;
    }
    if choices.below(2) == 1 {
        config.liveness.refusals = u32::MAX;
    }
    config.liveness.heartbeat_failures = one_of(choices, &[3, 1], 3);
    config.patience.http = one_of(choices, &[secs(10), secs(2), secs(30)], secs(10));
    config.limits.remembered = one_of(choices, &[2000, 300], 2000);
    config.limits.uploads = one_of(choices, &[1000, 3, 20], 1000);
    config.limits.batch = one_of(choices, &[100, 1, 3], 100);
    config.limits.batch_bytes = one_of(choices, &[4 << 20, 300], 4 << 20);
    config.limits.events = one_of(choices, &[1024, 1, 5], 1024);
    config.limits.requests = one_of(choices, &[256, 2], 256);
    config.limits.stream_event_bytes = one_of(choices, &[64 << 20, 4096], 4096);
    let seed = u8::try_from(choices.below(256)).unwrap_or(0);
    Life::new(config, [seed; 32], server, now)
}

/// Step after step, until the worker is closed or time is up.
fn live(
    life: &mut Life,
    choices: &mut dyn Choices,
    end: Timestamp,
    steps: u32,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut deeds = Deeds::default();
    life.act(&Act::Start)?;
    while life.now < end && tally.steps < u64::from(steps) && !choices.is_spent() {
        choices.begin_step();
        tally.steps += 1;
        if choices.below(40) == 39 {
            recover(life, tally)?;
        } else {
            deeds.next(life, choices, tally)?;
        }
        life.pass(pause(choices))?;
        if life.is_closed() {
            return Ok(());
        }
    }
    Ok(())
}

/// Mends everything, and waits until all is well.
fn recover(life: &mut Life, tally: &mut Tally) -> Result<(), String> {
    if life.is_closed() {
        return Ok(());
    }
    life.mend()?;
    let mended = life.now;
    let mut until = life.outlast_trouble(Life::is_closed)?;
    let budget = life.recovery_budget();
    let is_over = |life: &Life| life.is_closed() || life.unwell().is_none();
    while !life.pass_until(until.checked_add(budget).unwrap_or(until), is_over)? {
        // What had happened before may have come to its notice only now.
        let later = life.outlast_trouble(Life::is_closed)?;
        if later <= until {
            let what = life.unwell().unwrap_or_default();
            return Err(format!("{what}, {budget:?} after the last trouble"));
        }
        until = later;
    }
    if !life.is_closed() {
        let last = until.max(mended);
        let took = life.now.saturating_since(last);
        tally.worst_recovery = tally.worst_recovery.max(took);
    }
    Ok(())
}

/// The end: sometimes in good weather, where nothing is left undone, sometimes in any.
fn finish(life: &mut Life, choices: &mut dyn Choices, tally: &mut Tally) -> Result<(), String> {
    life.read(Reading::Eagerly)?;
    let weather = match choices.below(3) {
        0 => {
            recover(life, tally)?;
            Weather::Good
        }
        // What is under way may be lost still, nothing that begins from here on.
        1 => {
            life.mend()?;
            Weather::Good
        }
        _ => Weather::Any,
    };
    if !life.is_closed() {
        close(life, weather)?;
    }
    if !life.machine.worker.is_drained() {
        return Err("it is closed, and something is left to be taken".to_owned());
    }
    life.act(&Act::Timeout)?;
    life.pass(secs(100))
}

/// How things are when the worker is told to close.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Weather {
    Good,
    Any,
}

/// Closes, which takes no longer than it may, and leaves no session behind.
fn close(life: &mut Life, weather: Weather) -> Result<(), String> {
    let was_well = life.unwell().is_none() && life.has_good_credentials() && !life.awaits_trouble();
    life.act(&Act::Close)?;
    let budget = life.close_budget() + millis(1);
    let end = life.now.checked_add(budget).unwrap_or(life.now);
    if !life.pass_until(end, Life::is_closed)? {
        return Err(format!("it was told to close {budget:?} ago"));
    }
    let session = life.session();
    let is_archived = session.is_some_and(|session| life.server.is_archived(&session));
    let wants_archive = life.config.farewell == Farewell::Archive;
    let can_archive = weather == Weather::Good && life.has_good_token() && life.session().is_some();
    if wants_archive && can_archive && !is_archived && life.ended_itself() {
        return Err("the session is left behind".to_owned());
    }
    if !wants_archive && is_archived && !life.was_archived {
        return Err("the session is archived, and should have stayed".to_owned());
    }
    let was_well = was_well && weather == Weather::Good;
    if was_well && life.closed != Some(WorkerCloseCause::Requested) {
        return Err(format!(
            "it was told to close, and ended as {:?}",
            life.closed
        ));
    }
    // What an archived session is at is nobody's business.
    if was_well
        && !is_archived
        && let Some(what) = life.owed.open(&life.server, life.now)
    {
        return Err(format!("it closed, and {what}"));
    }
    Ok(())
}
