//! Schedules: some hundreds of new ones, and every one that has ever failed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what can't be read fails the test"
)]

use attache_testkit::schedule::{
    Breach, Choices, Record, Recorded, Recorder, Seeded, Span, Tally, both, shrunk, viewer, worker,
};

/// A line for each: the kind, and the record that the simulator printed.
const FAILED_ONCE: &str = include_str!("schedules/failed_once.txt");

type Kind = fn(&mut dyn Choices, &Span) -> Result<Tally, Breach>;

fn keeps_every_promise(kind: Kind, seeds: std::ops::Range<u64>) -> Tally {
    let mut all = Tally::default();
    for seed in seeds {
        match kind(&mut Seeded::new(seed), &Span::default()) {
            Ok(tally) => all.add(&tally),
            Err(breach) => panic!("seed {seed}: {breach}"),
        }
    }
    all
}

#[test]
fn a_viewer_keeps_every_promise() {
    keeps_every_promise(viewer, 0..200);
}

#[test]
fn a_worker_keeps_every_promise() {
    let all = keeps_every_promise(worker, 0..200);
    assert!(all.faults > 2000 && all.delivered > 1000 && all.sent > 1000 && all.prompts > 100);
}

#[test]
fn a_viewer_and_a_worker_keep_every_promise_to_each_other() {
    let all = keeps_every_promise(both, 0..60);
    assert!(all.faults > 2000 && all.delivered > 1000 && all.prompts > 100);
    assert_eq!(all.delivered, all.sent);
}

#[test]
fn what_has_failed_once_does_not_fail_again() {
    for line in FAILED_ONCE.lines().filter(|line| !line.starts_with('#')) {
        let (kind, record) = line.split_once(' ').unwrap();
        let record: Record = record.parse().unwrap();
        let mut choices = Recorded::new(record);
        let result = match kind {
            "viewer" => viewer(&mut choices, &Span::default()),
            "worker" => worker(&mut choices, &Span::default()),
            "both" => both(&mut choices, &Span::default()),
            _ => panic!("{kind} is no kind of schedule"),
        };
        assert!(result.is_ok(), "{line}: {}", result.unwrap_err());
    }
}

#[test]
fn the_same_choices_make_the_same_schedule_recorded_or_not() {
    for kind in [viewer as Kind, worker, both] {
        let mut recorder = Recorder::new(Seeded::new(11));
        let first = kind(&mut recorder, &Span::default());
        let record = recorder.into_record();
        assert_eq!(kind(&mut Seeded::new(11), &Span::default()), first);
        assert_eq!(kind(&mut Recorded::new(record), &Span::default()), first);
    }
}

#[test]
fn a_schedule_ends_when_nothing_more_is_decided() {
    let nothing = Record::default();
    let tally = viewer(&mut Recorded::new(nothing), &Span::default()).unwrap();
    assert_eq!((tally.steps, tally.connections), (0, 1));
}

#[test]
fn a_record_of_a_schedule_can_be_made_small() {
    let mut recorder = Recorder::new(Seeded::new(3));
    viewer(&mut recorder, &Span::default()).unwrap();
    let span = Span::default();
    let small = shrunk(recorder.into_record(), 300, |record| {
        let tally = viewer(&mut Recorded::new(record.clone()), &span);
        tally.is_ok_and(|tally| tally.prompts > 0 && tally.delivered > 0)
    });
    assert!(small.steps.len() < 10, "{small}");
}
