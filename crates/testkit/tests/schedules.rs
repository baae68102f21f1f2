//! Schedules: some hundreds of new ones, and every one that has ever failed.

#![allow(clippy::unwrap_used, reason = "what can't be read fails the test")]

use attache_testkit::schedule::{
    Breach, Choices, Record, Recorded, Recorder, Seeded, Span, Tally, shrunk, viewer,
};

/// A line for each: the kind, and the record that the simulator printed.
const FAILED_ONCE: &str = include_str!("schedules/failed_once.txt");

type Kind = fn(&mut dyn Choices, &Span) -> Result<Tally, Breach>;

fn keeps_every_promise(kind: Kind, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let result = kind(&mut Seeded::new(seed), &Span::default());
        assert!(result.is_ok(), "seed {seed}: {}", result.unwrap_err());
    }
}

#[test]
fn a_viewer_keeps_every_promise() {
    keeps_every_promise(viewer, 0..200);
}

#[test]
fn what_has_failed_once_does_not_fail_again() {
    for line in FAILED_ONCE.lines().filter(|line| !line.starts_with('#')) {
        let (kind, record) = line.split_once(' ').unwrap();
        let record: Record = record.parse().unwrap();
        let mut choices = Recorded::new(record);
        let result = match kind {
            "viewer" => viewer(&mut choices, &Span::default()),
            _ => panic!("{kind} is no kind of schedule"),
        };
        assert!(result.is_ok(), "{line}: {}", result.unwrap_err());
    }
}

#[test]
fn the_same_choices_make_the_same_schedule_recorded_or_not() {
    let mut recorder = Recorder::new(Seeded::new(11));
    let first = viewer(&mut recorder, &Span::default());
    let record = recorder.into_record();
    assert_eq!(viewer(&mut Seeded::new(11), &Span::default()), first);
    assert_eq!(viewer(&mut Recorded::new(record), &Span::default()), first);
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
