//! Everybody is killed at any moment, in real processes, round after round: nothing is lost, nothing
//! comes twice, no prompt is left open.
//!
//! `ATTACHE_CRASH_ROUNDS` sets the number of rounds, `ATTACHE_CRASH_SEED` repeats a run as far as chance
//! is the test's own.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what tests are made of is test code"
)]

#[path = "../end_to_end/agent.rs"]
mod agent;
mod chance;
mod process;
mod program;
mod record;
mod view;
mod world;

use std::{
    env,
    time::{Duration, SystemTime},
};

use chance::Chance;
use process::Party;
use record::Tally;
use tokio::time::Instant;
use world::{Act, VIEWERS, World};

/// Rounds in one session. Its log grows with each, and is read in each.
const ROUNDS_IN_A_WORLD: usize = 25;
/// Sessions at once: most of a round is waiting.
const WORLDS_AT_ONCE: usize = 4;
/// Everything is said and everybody is killed within so long.
const TRAFFIC: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_nothing_is_lost_repeated_or_left_open() {
    let worlds = variable("ATTACHE_CRASH_ROUNDS").unwrap_or(100);
    let worlds = usize::try_from(worlds).unwrap().div_ceil(ROUNDS_IN_A_WORLD);
    let rounds = worlds * ROUNDS_IN_A_WORLD;
    let seed = variable("ATTACHE_CRASH_SEED").unwrap_or_else(now);
    println!("ATTACHE_CRASH_SEED={seed} ATTACHE_CRASH_ROUNDS={rounds}");
    // Built before anybody waits for it.
    agent::scripted_agent();
    let start = Instant::now();
    let mut tally = Tally::default();
    let mut chance = Chance::from(seed);
    let seeds: Vec<_> = (0..worlds).map(|_| chance.number()).collect();
    for seeds in seeds.chunks(WORLDS_AT_ONCE) {
        let mut running = tokio::task::JoinSet::new();
        for (place, &seed) in seeds.iter().enumerate() {
            let manners = [Manners::Interrupting, Manners::LettingFinish][place % 2];
            running.spawn(live(seed, manners));
        }
        while let Some(lived) = running.join_next().await {
            tally.add(lived.unwrap());
        }
    }
    println!("{rounds} rounds in {:?}: {tally:?}", start.elapsed());
    assert!(rounds < 100 || tally.is_all());
}

async fn live(seed: u64, manners: Manners) -> Tally {
    let mut world = World::new(seed).await;
    for round in 0..ROUNDS_IN_A_WORLD {
        let plan = plan(world.chance(), round, manners);
        world.play(plan).await;
        world.settle(round).await;
    }
    world.end().await
}

/// Whether people interrupt the agent. Where nobody does, no message may go without its result.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Manners {
    Interrupting,
    LettingFinish,
}

/// What happens in a round, and when.
fn plan(chance: &mut Chance, round: usize, manners: Manners) -> Vec<(Duration, Act)> {
    let mut plan = Vec::new();
    for number in 0..3 + chance.below(6) {
        let viewer = chance.below(VIEWERS);
        let act = match chance.below(100) {
            0..30 => Act::Say(viewer, "tool".to_owned()),
            30..40 => Act::Say(viewer, "say 8".to_owned()),
            40..50 => Act::Say(viewer, "slow 12 5".to_owned()),
            50..70 if manners == Manners::Interrupting => Act::Interrupt(viewer),
            _ => Act::Say(viewer, format!("no. {round}.{number}")),
        };
        plan.push((chance.moment(TRAFFIC), act));
    }
    let mut parties = [
        Party::Relay,
        Party::Bridge,
        Party::Viewer(0),
        Party::Viewer(1),
        Party::Follower,
    ];
    // Some at once, some one after the other, some before they have really begun.
    for _ in 0..=chance.below(3) {
        chance.shuffle(&mut parties);
        let together = &parties[..=chance.below(parties.len() - 1)];
        plan.push((chance.moment(TRAFFIC), Act::Kill(together.to_vec())));
    }
    plan
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap().as_micros()).unwrap()
}
