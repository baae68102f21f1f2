//! Schedules of a worker, each held against what a worker owes.

use attache_testkit::schedule::{Seeded, Span, Tally, worker};

const SEEDS: u64 = 200;

#[test]
fn no_schedule_of_a_worker_breaks_a_promise() {
    let mut all = Tally::default();
    for seed in 0..SEEDS {
        match worker(&mut Seeded::new(seed), &Span::default()) {
            Ok(tally) => all.add(&tally),
            Err(breach) => panic!("seed {seed}: {breach}"),
        }
    }
    assert!(all.faults > SEEDS && all.delivered > SEEDS && all.sent > SEEDS);
}

#[test]
fn the_same_seed_gives_the_same_schedule() {
    let run = |seed| worker(&mut Seeded::new(seed), &Span::default());
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed));
    }
}
