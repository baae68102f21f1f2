//! How many events a second a store takes, each on disk before its session's next, and gives back.
//!
//! ```text
//! cargo run --release -p attache-relay --example store_throughput [DIR]
//! ```
//!
//! Without a folder the store goes to a temporary one, which may be in memory: name one on the disk
//! that matters.

use std::{
    error::Error,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use attache_protocol::SessionId;
use attache_relay::{
    SessionStatus, SqliteStore, Store,
    store::{After, CommitStats, NewFrame, Origin, SessionDetails, SessionRecord, WorkerRecord},
};
use futures_util::future::join_all;

/// How long each line is measured.
const RUN: Duration = Duration::from_secs(3);
/// As long as a short message of an agent.
const FRAME_BYTES: usize = 1_400;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join(format!("attache-throughput-{}", std::process::id())),
        PathBuf::from,
    );
    let store = SqliteStore::open(&folder)?;
    println!("{FRAME_BYTES} bytes an event, in {}", folder.display());
    println!("sessions  batch  events/s  appends/s  commits/s  appends/commit  ms/commit");
    for (sessions, batch) in [(1, 1), (1, 16), (8, 1), (64, 1), (64, 16), (256, 1)] {
        write(&store, sessions, batch).await?;
    }
    println!("readers  page  events/s  pages/s");
    for (readers, page) in [(1, 1), (1, 100), (64, 1), (64, 100)] {
        read(&store, readers, page).await?;
    }
    drop(store);
    if std::env::args_os().nth(1).is_none() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

async fn write(store: &SqliteStore, sessions: usize, batch: usize) -> Result<(), Box<dyn Error>> {
    let run = format!("{sessions}-{batch}-{}", std::process::id());
    let mut ids = Vec::new();
    for number in 0..sessions {
        let id = SessionId::parse(&format!("session_{run}-{number}"))?;
        store.create(&record(id.clone())).await?;
        ids.push(id);
    }
    let before = store.commits().unwrap_or_default();
    let began = Instant::now();
    let appends = join_all(
        ids.iter()
            .map(|id| append_until(store, id, batch, began + RUN)),
    )
    .await;
    let took = began.elapsed().as_secs_f64();
    let after = store.commits().unwrap_or_default();
    let appends = appends.into_iter().sum::<Result<u64, _>>()?;
    report(sessions, batch, appends, took, &before, &after);
    Ok(())
}

async fn read(store: &SqliteStore, readers: usize, page: usize) -> Result<(), Box<dyn Error>> {
    let ids = store.sessions(None, readers).await?.items;
    let began = Instant::now();
    let ids = ids.iter().cycle().take(readers);
    let read = join_all(ids.map(|one| read_until(store, &one.id, page, began + RUN))).await;
    let took = began.elapsed();
    let read = read.into_iter().collect::<Result<Vec<_>, _>>()?;
    let per_second = |count: usize| count as u128 * 1_000_000 / took.as_micros();
    let events = per_second(read.iter().map(|(_, events)| events).sum());
    let pages = per_second(read.iter().map(|(pages, _)| pages).sum());
    println!("{readers:>7}  {page:>4}  {events:>8}  {pages:>7}");
    Ok(())
}

/// From the first event on, again and again: how many pages and events.
async fn read_until(
    store: &SqliteStore,
    id: &SessionId,
    limit: usize,
    end: Instant,
) -> Result<(usize, usize), attache_relay::StoreError> {
    let (mut pages, mut events, mut after) = (0, 0, 0);
    while Instant::now() < end {
        let page = store
            .frames(id, After::Sequence(after), None, limit)
            .await?;
        pages += 1;
        events += page.frames.len();
        after = page.frames.last().map_or(0, |last| last.sequence);
    }
    Ok((pages, events))
}

async fn append_until(
    store: &SqliteStore,
    id: &SessionId,
    batch: usize,
    end: Instant,
) -> Result<u64, attache_relay::StoreError> {
    let mut appends = 0;
    while Instant::now() < end {
        let frames = (0..batch).map(|place| NewFrame {
            uuid: format!("9f1c2d3e-0000-4000-8000-{appends:08x}{place:04x}").into(),
            text: "x".repeat(FRAME_BYTES).into(),
            origin: Origin::Agent,
        });
        store
            .append(id, frames.collect(), SystemTime::now())
            .await?;
        appends += 1;
    }
    Ok(appends)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for people, who need no more digits"
)]
fn report(
    sessions: usize,
    batch: usize,
    appends: u64,
    took: f64,
    before: &CommitStats,
    after: &CommitStats,
) {
    let commits = (after.commits - before.commits) as f64;
    let writes = (after.writes - before.writes) as f64;
    let busy = after.took.saturating_sub(before.took).as_secs_f64();
    println!(
        "{sessions:>8}  {batch:>5}  {:>8.0}  {:>9.0}  {:>9.0}  {:>14.1}  {:>9.2}",
        appends as f64 * batch as f64 / took,
        appends as f64 / took,
        commits / took,
        writes / commits,
        busy / commits * 1e3,
    );
}

fn record(id: SessionId) -> SessionRecord {
    SessionRecord {
        id,
        title: "throughput".into(),
        status: SessionStatus::Running,
        details: SessionDetails::default(),
        worker: WorkerRecord::default(),
        created_at: SystemTime::now(),
        updated_at: SystemTime::now(),
    }
}
