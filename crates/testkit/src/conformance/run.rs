//! Running trials.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use attache_protocol::{
    viewer::{Event, Status},
    worker::{WorkerEvent, WorkerStatus},
};

use super::{
    adapter::{Adapter, Next, Place},
    config::{viewer_config, worker_config},
    leaks::Census,
    report::{Outcome, Report},
    server::SessionServer,
    trial::{Side, Trial},
    viewer, worker,
};

/// Trials at a time: they mostly wait.
const AT_ONCE: usize = 24;

/// Longer than it takes to connect.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs trials, many at a time; in the end, nothing of them all may be left.
pub fn run(adapter: &dyn Adapter, trials: &[Trial]) -> Report {
    let before = Census::take(adapter.tasks());
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::with_capacity(trials.len()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(trials.len()) {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run_one(adapter, trial);
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    outcomes.push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let left = before.settles(|| adapter.tasks());
    Report::new(adapter.name(), outcomes, before, left.err())
}

/// Runs trials one by one: nothing of any of them may be left before the next one begins.
pub fn run_one_by_one(adapter: &dyn Adapter, trials: &[Trial]) -> Report {
    let before = Census::take(adapter.tasks());
    let outcomes = trials.iter().map(|trial| {
        let mut outcome = run_one(adapter, trial);
        if let Err(left) = before.settles(|| adapter.tasks()) {
            outcome.fail(format!("something is left: {left}"));
        }
        outcome
    });
    Report::new(adapter.name(), outcomes.collect(), before, None)
}

/// Connects and closes so many times, one after the other.
///
/// # Errors
/// What went wrong, or what is left in the end.
pub fn connect_and_close(adapter: &dyn Adapter, side: Side, times: usize) -> Result<(), String> {
    let server = SessionServer::start().map_err(|error| error.to_string())?;
    let before = Census::take(adapter.tasks());
    for cycle in 0..times {
        let place = Place::new(format!("http://{}", server.address()));
        let connected = if let Some(transport) = side.transport() {
            let config = viewer_config(server.session(), transport);
            let mut viewer = adapter.open_viewer(config, place)?;
            let is_live = wait_for(
                |left| viewer.next_event(left),
                |event| matches!(event, Event::Status(Status::Live)),
            );
            is_live && viewer.close().is_some()
        } else {
            let mut worker = adapter.open_worker(worker_config(), place)?;
            let is_running = wait_for(
                |left| worker.next_event(left),
                |event| matches!(event, WorkerEvent::Status(WorkerStatus::Running)),
            );
            is_running && worker.close().is_some()
        };
        if !connected {
            return Err(format!("cycle {cycle} did not connect, or did not close"));
        }
    }
    // The server's own threads of old connections end a little later.
    before.settles(|| adapter.tasks())
}

/// Whether such an event comes.
fn wait_for<E>(mut next: impl FnMut(Duration) -> Next<E>, is_wanted: impl Fn(&E) -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    loop {
        match next(until.saturating_duration_since(Instant::now())) {
            Next::Event(event) if is_wanted(&event) => return true,
            Next::Event(_) | Next::Nothing if Instant::now() < until => {}
            Next::Event(_) | Next::Nothing | Next::Over => return false,
        }
    }
}

fn run_one(adapter: &dyn Adapter, trial: &Trial) -> Outcome {
    let began = Instant::now();
    let told = tell(adapter, trial);
    Outcome::new(trial.clone(), told, began.elapsed())
}

/// What could not be judged, if there was anything.
fn tell(adapter: &dyn Adapter, trial: &Trial) -> Result<Option<String>, String> {
    let result = catch_unwind(AssertUnwindSafe(|| match trial.side.transport() {
        Some(transport) => viewer::run(adapter, trial, transport),
        None => worker::run(adapter, trial),
    }));
    result.unwrap_or_else(|_| Err("panicked".to_owned()))
}
