//! How many events a second a store takes, each on disk before the next.
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
    store::{CommitStats, NewFrame, Origin, SessionDetails, SessionRecord, WorkerRecord},
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
        measure(&store, sessions, batch).await?;
    }
    drop(store);
    if std::env::args_os().nth(1).is_none() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

async fn measure(store: &SqliteStore, sessions: usize, batch: usize) -> Result<(), Box<dyn Error>> {
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
