//! Many sessions and many viewers on one relay, and some of them read nothing.
//!
//! `ATTACHE_SCALE_SESSIONS=1000 cargo test -p attache-relay --test scale -- --nocapture` is the
//! full size. With `ATTACHE_SCALE_RELAY=127.0.0.1:PORT` the crowd goes to a relay of another process
//! (started with open credentials), over sockets: mind its limit of open files, and this one's.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod crowd;
mod door;
mod memory;
mod session;

use core::time::Duration;
use std::{env, sync::Arc, time::Instant};

use attache_relay::{MemoryStore, Relay, RelayOptions};
use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use crate::{
    door::Door,
    memory::Megabytes,
    session::{ROUNDS, Session},
};

const VIEWERS_PER_SESSION: usize = 10;
/// One viewer in a hundred reads nothing.
const SESSIONS_PER_STALLED_VIEWER: usize = 10;
/// How many frames may wait for a viewer.
const ROOM: usize = 256;
/// What one viewer that reads nothing may cost while it does: its queue, and what is on its way.
const STALLED_MEGABYTES: usize = 1;
/// What the rest may cost besides.
const SLACK_MEGABYTES: usize = 64;
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_costs_bounded_memory_and_whoever_reads_nothing_delays_nobody() {
    let sessions = env::var("ATTACHE_SCALE_SESSIONS").map_or(100, |count| count.parse().unwrap());
    timeout(PATIENCE, serve(sessions)).await.unwrap();
}

async fn serve(count: usize) {
    let far = env::var("ATTACHE_SCALE_RELAY").ok();
    let is_far = far.is_some();
    let door = match far {
        Some(address) => Door::Far(address),
        None => Door::Near(near().router()),
    };
    let door = Arc::new(door);
    let (empty, started) = (Megabytes::used(), Instant::now());
    let each = async |number: usize| {
        let stalls = number.is_multiple_of(SESSIONS_PER_STALLED_VIEWER);
        // In one such session it is a socket that is not read, in the next a stream.
        let first_is_socket = (number / SESSIONS_PER_STALLED_VIEWER).is_multiple_of(2);
        Session::start(&door, VIEWERS_PER_SESSION, first_is_socket, stalls).await
    };
    let mut sessions: Vec<Session> = stream::iter(0..count)
        .map(each)
        .buffer_unordered(32)
        .collect()
        .await;
    let viewers = count * VIEWERS_PER_SESSION;
    let connected = Megabytes::used();
    println!(
        "{count} sessions, {viewers} viewers in {:?}; {} KiB of memory a viewer, both ends",
        started.elapsed(),
        connected.since(empty) * 1024 / viewers,
    );

    let quiet = latency_of_one(&mut sessions).await;
    let started = Instant::now();
    let stored = stream::iter(&mut sessions)
        .map(Session::speak)
        .buffer_unordered(count)
        .collect::<Vec<_>>()
        .await;
    let (frames, bytes) = stored.iter().fold((0, 0), |(frames, bytes), one| {
        (frames + one.0, bytes + one.1)
    });
    let busy = Megabytes::used();
    let took = started.elapsed();
    let stalled = latency_of_one(&mut sessions).await;
    println!(
        "{ROUNDS} rounds in all sessions: {frames} frames, {} deliveries in {took:?}; {} MiB more \
         memory, {} MiB of it log",
        frames * VIEWERS_PER_SESSION,
        busy.since(connected),
        bytes >> 20,
    );
    println!(
        "one frame to one session: {quiet:?} before, {stalled:?} while somebody reads nothing"
    );

    let who_stalls = count.div_ceil(SESSIONS_PER_STALLED_VIEWER);
    let bound = 4 * (bytes >> 20) + who_stalls * STALLED_MEGABYTES + SLACK_MEGABYTES;
    assert!(busy.since(connected) < bound, "more than {bound} MiB");
    assert!(stalled < quiet * 10 + Duration::from_millis(50));
    let mut worst = Duration::ZERO;
    for session in sessions {
        worst = worst.max(session.end(!is_far).await);
    }
    println!("the slowest delivery under load took {worst:?}");
}

fn near() -> Relay {
    let mut options = RelayOptions::default();
    options.viewer_buffer_frames = ROOM;
    // Whoever reads nothing stays until the end.
    options.write_timeout = PATIENCE;
    options.viewer_silence = PATIENCE;
    Relay::new(Arc::new(MemoryStore::new()), options)
}

/// How long a frame takes to everybody who reads, with nothing else going on: the median.
async fn latency_of_one(sessions: &mut [Session]) -> Duration {
    let mut all = Vec::new();
    // Those with somebody who reads nothing among them.
    for session in sessions
        .iter_mut()
        .filter(|session| session.stalls())
        .take(20)
    {
        let started = Instant::now();
        session.round(1).await;
        all.push(started.elapsed());
    }
    all.sort_unstable();
    all[all.len() / 2]
}
