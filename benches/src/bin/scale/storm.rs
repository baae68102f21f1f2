//! How viewers come back when the relay is restarted.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use attache_benches::table::Table;
use attache_protocol::viewer::{Event, Status};
use tokio::time::sleep;

use crate::{
    Outcome,
    crowd::{self, Crowd},
    float,
    server::Server,
    worker::Worker,
};

pub(crate) const VIEWERS: usize = 5_000;
/// A viewer that comes back also asks over HTTP for what it has missed.
pub(crate) const SOCKETS_EACH: usize = 2;
/// In how long the most attempts are looked for.
const WINDOW: Duration = Duration::from_millis(100);
/// How long it may take until all are back.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);

/// When viewers began to connect, and when they were live.
#[derive(Default)]
struct Seen {
    attempts: Vec<Instant>,
    live: Vec<Instant>,
}

/// How the relay ends.
#[derive(Copy, Clone, PartialEq, Eq)]
enum End {
    /// It tells everybody that it will be back.
    Announced,
    Crash,
}

pub(crate) async fn measure(count: usize, disk: &Path, table: &mut Table) -> Outcome<()> {
    eprintln!("{count} viewers whose relay restarts");
    let folder = tempfile::tempdir_in(disk)?;
    let mut relay = Server::relay(0, Some(folder.path())).await?;
    let options = crowd::options(&relay.url())?;
    let worker = Worker::start(&options).await?;
    // With something in the log, there is a position to go on from.
    worker
        .say(&[r#"{"type":"assistant","uuid":"first"}"#.to_owned()])
        .await?;
    let config = crowd::watcher(&worker.session)?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let listener = || {
        let seen = Arc::clone(&seen);
        move |event: &Event| {
            let Event::Status(status) = event else {
                return;
            };
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match status {
                Status::Connecting { .. } => seen.attempts.push(Instant::now()),
                Status::Live => seen.live.push(Instant::now()),
                Status::Idle
                | Status::CatchingUp
                | Status::Waiting { .. }
                | Status::Closing
                | Status::Closed { .. } => {}
            }
        }
    };
    let crowd = Crowd::open(count, &config, &options, listener).await?;
    for (end, name) in [
        (End::Announced, "announced restart"),
        (End::Crash, "crash and restart"),
    ] {
        // So that the episode before is over.
        sleep(config.liveness.stable_after).await;
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
        let start = Instant::now();
        let port = relay.port();
        match end {
            End::Announced => relay.stop().await?,
            End::Crash => relay.kill().await?,
        }
        relay = Server::relay(port, Some(folder.path())).await?;
        let up = start.elapsed();
        let back = || {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .live
                .len()
                >= count
        };
        while !(back() && crowd.live() == count) {
            if start.elapsed() > PATIENCE {
                let live = crowd.live();
                return Err(format!("only {live} of {count} viewers are back").into());
            }
            sleep(LOOK).await;
        }
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        report(
            &format!("{count} viewers, {name}"),
            start,
            up,
            &mut seen,
            table,
        );
    }
    crowd.close().await?;
    relay.stop().await
}

fn report(name: &str, start: Instant, up: Duration, seen: &mut Seen, table: &mut Table) {
    let since = |at: Option<&Instant>| {
        let at = at.map(|at| at.saturating_duration_since(start));
        at.unwrap_or_default().as_secs_f64()
    };
    seen.live.sort_unstable();
    table.add(
        format!("{name}: relay is back after"),
        up.as_secs_f64(),
        "s",
    );
    let half = seen.live.get(seen.live.len() / 2);
    table.add(format!("{name}: half are live after"), since(half), "s");
    table.add(
        format!("{name}: all are live after"),
        since(seen.live.last()),
        "s",
    );
    let attempts = seen.attempts.len() as u64;
    table.add(format!("{name}: connects in all"), float(attempts), "");
    let most = float(most_within(WINDOW, &mut seen.attempts));
    table.add(
        format!("{name}: connects in the worst {WINDOW:?}"),
        most,
        "",
    );
}

/// The most of `instants` that lie within any `window`.
fn most_within(window: Duration, instants: &mut [Instant]) -> u64 {
    instants.sort_unstable();
    let mut most = 0;
    let mut first = instants.iter().peekable();
    let mut within = 0;
    for last in instants.iter() {
        within += 1;
        while first.next_if(|first| **first + window < *last).is_some() {
            within -= 1;
        }
        most = most.max(within);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_within_a_window_are_counted_wherever_it_lies() {
        let start = Instant::now();
        let mut instants =
            [900, 0, 10, 105, 108, 400, 109].map(|ms| start + Duration::from_millis(ms));
        assert_eq!(most_within(WINDOW, &mut instants), 4);
        assert_eq!(most_within(WINDOW, &mut []), 0);
    }
}
