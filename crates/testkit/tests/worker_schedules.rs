//! Schedules of a worker, alone and with a viewer, each held against what is owed.

use attache_testkit::schedule::{Breach, Choices, Seeded, Span, Tally, both, worker};

type Schedule = fn(&mut dyn Choices, &Span) -> Result<Tally, Breach>;

fn run(schedule: Schedule, seeds: std::ops::Range<u64>) -> Tally {
    let mut all = Tally::default();
    for seed in seeds {
        match schedule(&mut Seeded::new(seed), &Span::default()) {
            Ok(tally) => all.add(&tally),
            Err(breach) => panic!("seed {seed}: {breach}"),
        }
    }
    all
}

#[test]
fn no_schedule_of_a_worker_breaks_a_promise() {
    let all = run(worker, 0..200);
    assert!(all.faults > 2000 && all.delivered > 1000 && all.sent > 1000 && all.prompts > 100);
}

#[test]
fn no_schedule_of_a_viewer_and_a_worker_breaks_a_promise() {
    let all = run(both, 0..60);
    assert!(all.faults > 2000 && all.delivered > 1000 && all.prompts > 100);
    assert_eq!(all.delivered, all.sent);
}

#[test]
fn the_same_seed_gives_the_same_schedule() {
    for schedule in [worker as Schedule, both] {
        for seed in 0..10 {
            let seed = seed..seed + 1;
            assert_eq!(run(schedule, seed.clone()), run(schedule, seed));
        }
    }
}
