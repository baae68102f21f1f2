//! Viewers that wait for something to happen.

use std::time::{Duration, Instant};

use attache_benches::{
    process::{Process, Usage},
    table::{Goal, Table},
};
use attache_protocol::viewer::{Event, History};
use tokio::time::sleep;

use crate::{
    Outcome,
    crowd::{self, Crowd},
    float,
    server::Server,
    worker::Worker,
};

pub(crate) const VIEWERS: usize = 10_000;
/// One round of the relay's pings.
const IDLE: Duration = Duration::from_secs(15);
const KIB_PER_VIEWER: Goal = Goal::AtMost(16.0);

pub(crate) async fn measure(
    count: usize,
    read_buffer: Option<usize>,
    table: &mut Table,
) -> Outcome<()> {
    eprintln!("{count} viewers that wait");
    let relay = Server::relay(0, None).await?;
    let mut options = crowd::options(&relay.url())?;
    if let Some(bytes) = read_buffer {
        options.websocket.read_buffer_size = bytes;
    }
    let worker = Worker::start(&options).await?;
    let mut config = crowd::watcher(&worker.session)?;
    config.history = History::None;

    let (here, there) = (Process::this(), relay.process());
    let before = [here.usage()?, there.usage()?];
    let start = Instant::now();
    let crowd = Crowd::open(count, &config, &options, || |_: &Event| {}).await?;
    let opened = start.elapsed();
    let open = [here.usage()?, there.usage()?];
    sleep(IDLE).await;
    let idle = [here.usage()?, there.usage()?];
    let live = crowd.live();
    if live != count || crowd.drops() > 0 {
        let drops = crowd.drops();
        return Err(format!("only {live} of {count} viewers are live, after {drops} drops").into());
    }
    crowd.close().await?;
    relay.stop().await?;

    let kib = |before: Usage, now: Usage| {
        float(now.resident.saturating_sub(before.resident)) / 1024.0 / float(count as u64)
    };
    let share = |before: Usage, now: Usage| {
        100.0 * now.cpu.saturating_sub(before.cpu).as_secs_f64() / IDLE.as_secs_f64()
    };
    let [memory, of_relay] = pairs(before, idle, kib);
    let [busy, relay_busy] = pairs(open, idle, share);
    let name = match read_buffer {
        Some(bytes) => format!("{count} viewers, read buffer of {bytes} bytes"),
        None => format!("{count} viewers"),
    };
    table.add(format!("{name}: all live after"), opened.as_secs_f64(), "s");
    table.add_with_goal(
        format!("{name}: memory of each, in their process"),
        memory,
        "KiB",
        KIB_PER_VIEWER,
    );
    table.add(
        format!("{name}: memory of each, in the relay"),
        of_relay,
        "KiB",
    );
    table.add(format!("{name}: idle, theirs"), busy, "% of a core");
    table.add(
        format!("{name}: idle, the relay's"),
        relay_busy,
        "% of a core",
    );
    Ok(())
}

fn pairs(
    before: [Usage; 2],
    after: [Usage; 2],
    difference: impl Fn(Usage, Usage) -> f64,
) -> [f64; 2] {
    let ([here, there], [here_after, there_after]) = (before, after);
    [difference(here, here_after), difference(there, there_after)]
}
