//! How long a frame takes from the agent to each viewer of a session.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use attache_benches::table::Table;
use attache_protocol::viewer::{Event, History};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    Outcome,
    crowd::{self, Crowd},
    server::Server,
    worker::Worker,
};

const VIEWERS: usize = 200;
const FRAMES: usize = 250;
/// How far apart they are said.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the last one may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn measure(disk: &Path, table: &mut Table) -> Outcome<()> {
    eprintln!("a frame to {VIEWERS} viewers");
    let folder = tempfile::tempdir_in(disk)?;
    for (kind, name) in [
        ("stream_event", "live only"),
        ("assistant", "stored on disk first"),
    ] {
        let mut delays = delays(kind, folder.path()).await?;
        delays.sort_unstable();
        for (per_mille, label) in [(500, "p50"), (990, "p99"), (1000, "worst")] {
            let place = (delays.len() * per_mille / 1000).saturating_sub(1);
            let delay = delays.get(place).copied().unwrap_or_default();
            table.add(
                format!("agent to {VIEWERS} viewers, {name}: {label}"),
                delay.as_secs_f64() * 1e3,
                "ms",
            );
        }
    }
    Ok(())
}

/// From right before the agent's request to each viewer's event.
async fn delays(kind: &str, store: &Path) -> Outcome<Vec<Duration>> {
    let relay = Server::relay(0, Some(store)).await?;
    let options = crowd::options(&relay.url())?;
    let worker = Worker::start(&options).await?;
    let mut config = crowd::watcher(&worker.session)?;
    config.history = History::None;
    let start = Instant::now();
    let delays = Arc::new(Mutex::new(Vec::with_capacity(FRAMES * VIEWERS)));
    let listener = || {
        let delays = Arc::clone(&delays);
        move |event: &Event| {
            if let Event::Message(message) = event
                && let Some(said) = said_at(message.frame.as_str())
            {
                let delay = start.elapsed().saturating_sub(said);
                delays
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(delay);
            }
        }
    };
    let crowd = Crowd::open(VIEWERS, &config, &options, listener).await?;
    let mut pace = interval(PAUSE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..FRAMES {
        pace.tick().await;
        let said = start.elapsed().as_nanos();
        let frame = format!(
            r#"{{"type":"{kind}","uuid":"frame-{number}","said":{said},"text":"{}"}}"#,
            "x".repeat(150)
        );
        worker.say(&[frame]).await?;
    }
    let arrived = || delays.lock().unwrap_or_else(PoisonError::into_inner).len();
    let last = Instant::now();
    while arrived() < FRAMES * VIEWERS {
        if last.elapsed() > PATIENCE {
            let arrived = arrived();
            return Err(format!("only {arrived} of {} frames arrived", FRAMES * VIEWERS).into());
        }
        sleep(PAUSE).await;
    }
    crowd.close().await?;
    relay.stop().await?;
    let mut delays = delays.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *delays))
}

fn said_at(frame: &str) -> Option<Duration> {
    let (_, rest) = frame.split_once(r#""said":"#)?;
    let (number, _) = rest.split_once(',')?;
    number.parse().ok().map(Duration::from_nanos)
}
