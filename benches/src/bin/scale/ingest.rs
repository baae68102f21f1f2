//! How many events of agents the relay stores, each on disk before its agent says the next.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use attache_benches::table::Table;
use attache_tokio::Options;
use futures_util::future::try_join_all;

use crate::{
    Outcome, crowd,
    server::Server,
    worker::{Worker, counters},
};

/// How long each is measured.
const RUN: Duration = Duration::from_secs(4);
/// As long as a short message of an agent.
const FRAME_BYTES: usize = 1_400;

pub(crate) async fn measure(disk: &Path, table: &mut Table) -> Outcome<()> {
    eprintln!("agents that speak, {FRAME_BYTES} bytes at a time");
    let folder = tempfile::tempdir_in(disk)?;
    let relay = Server::relay(0, Some(folder.path())).await?;
    let options = crowd::options(&relay.url())?;
    for (agents, batch) in [(1, 1), (1, 100), (64, 1), (64, 16)] {
        speak(agents, batch, &options, table).await?;
    }
    relay.stop().await
}

async fn speak(agents: usize, batch: usize, options: &Options, table: &mut Table) -> Outcome<()> {
    let workers = try_join_all((0..agents).map(|_| Worker::start(options))).await?;
    let before = Commits::of(&counters(options).await?)?;
    let start = Instant::now();
    let said = try_join_all(
        workers
            .iter()
            .map(|worker| speak_until(worker, batch, start + RUN)),
    );
    let requests = said.await?.into_iter().sum::<u32>();
    let took = start.elapsed().as_secs_f64();
    let after = Commits::of(&counters(options).await?)?;

    let events = f64::from(requests) * f64::from(u32::try_from(batch)?);
    let commits = after.count - before.count;
    let name = format!("{agents} agents, {batch} events a request");
    table.add(format!("{name}: stored on disk"), events / took, "events/s");
    table.add(format!("{name}: in one commit"), events / commits, "events");
    let each = (after.seconds - before.seconds) / commits;
    table.add(format!("{name}: a commit takes"), each * 1e3, "ms");
    Ok(())
}

async fn speak_until(worker: &Worker, batch: usize, end: Instant) -> Outcome<u32> {
    let text = "x".repeat(FRAME_BYTES);
    let mut requests = 0;
    while Instant::now() < end {
        let frame = |place| {
            format!(
                r#"{{"type":"assistant","uuid":"{requests:08x}-{place:04x}-4000-8000-000000000000","message":"{text}"}}"#
            )
        };
        let frames: Vec<_> = (0..batch).map(frame).collect();
        worker.say(&frames).await?;
        requests += 1;
    }
    Ok(requests)
}

struct Commits {
    count: f64,
    seconds: f64,
}

impl Commits {
    fn of(counters: &[(String, f64)]) -> Outcome<Self> {
        let find = |name: &str| {
            let found = counters.iter().find(|(one, _)| one == name);
            found
                .map(|(_, number)| *number)
                .ok_or_else(|| format!("the relay does not tell {name}"))
        };
        Ok(Self {
            count: find("attache_commit_seconds_count")?,
            seconds: find("attache_commit_seconds_sum")?,
        })
    }
}
