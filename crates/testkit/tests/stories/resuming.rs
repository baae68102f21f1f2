//! A cursor covers exactly what the application has taken, and another process goes on from there.

use attache_protocol::{
    io::{NetworkFailure, Refusal},
    viewer::{Cursor, Event, GapCause, History},
};
use attache_testkit::{HttpPlan, Reading, Upgrade, World, millis, secs};

use super::{config, monkey::Dice};

/// Takes up to `count` events, one after the other.
fn take(world: &mut World, count: u64) {
    for _ in 0..count {
        if !world.take_event() {
            return;
        }
    }
}

fn resume(world: &mut World, seed: u8) {
    let mut config = config();
    config.history = History::All;
    config.patience.catch_up = secs(3600);
    // As it is kept in a file.
    let kept = world.viewer().cursor().map(|cursor| cursor.to_string());
    config.resume_from = kept.map(|text| text.parse::<Cursor>().unwrap());
    world.begin_anew(config, [seed; 32]);
}

#[test]
fn stopped_at_any_event_and_begun_anew_nothing_is_lost_and_nothing_comes_twice() {
    for seed in 0..60_u8 {
        let mut dice = Dice::new(u64::from(seed));
        let mut first = config();
        first.history = History::All;
        first.patience.catch_up = secs(3600);
        let mut world = World::with_seed(first, [seed; 32]);
        world.read_events(Reading::NotAtAll);
        world.connect();
        let mut said = 0;
        for round in 0..150 {
            for _ in 0..dice.throw(6) {
                world.server().say("assistant", &format!("u{said}"));
                said += 1;
            }
            match dice.throw(12) {
                0 => world.server().ask(&format!("r{round}"), "ls"),
                1 if round > 0 => world.server().cancel(&format!("r{}", dice.throw(round))),
                2 => world.cut(),
                3 => world.server().freeze(),
                4 => world.server().next_list(HttpPlan::Status(503, None)),
                5 => world
                    .server()
                    .next_upgrade(Upgrade::Refuse(Refusal::Network(NetworkFailure::Refused))),
                6 => world
                    .server()
                    .emit(r#"{"type":"stream_event","event":{"type":"x"}}"#),
                7..=9 => take(&mut world, dice.throw(20)),
                _ => {
                    take(&mut world, dice.throw(10));
                    resume(&mut world, seed.wrapping_add(u8::try_from(round).unwrap()));
                }
            }
            world.run_for(millis(dice.throw(2000)));
        }
        resume(&mut world, seed);
        world.server().come_up();
        world.read_events(Reading::Eagerly);
        world.run_for(secs(300));
        let all: Vec<String> = (0..said).map(|number| format!("u{number}")).collect();
        let seen: Vec<&str> = world
            .messages()
            .into_iter()
            .filter(|uuid| *uuid != "-")
            .collect();
        assert_eq!(seen, all, "seed {seed}");
        assert!(world.gaps().is_empty(), "seed {seed}: {:?}", world.gaps());
    }
}

#[test]
fn nothing_taken_is_nothing_covered() {
    let mut world = World::new(config());
    for number in 0..3 {
        world.server().say("assistant", &format!("u{number}"));
    }
    world.read_events(Reading::NotAtAll);
    world.connect();
    world.run_for(secs(5));
    assert_eq!(world.viewer().cursor(), None);
    while world.messages().len() < 2 {
        assert!(world.take_event());
    }
    resume(&mut world, 9);
    world.read_events(Reading::Eagerly);
    world.run_for(secs(5));
    assert_eq!(world.messages(), ["u0", "u1", "u2"]);
}

#[test]
fn until_something_is_taken_the_cursor_is_the_one_handed_in() {
    let mut config = config();
    let cursor: Cursor = "seq:7".parse().unwrap();
    config.resume_from = Some(cursor.clone());
    let world = World::new(config);
    assert_eq!(world.viewer().cursor(), Some(cursor));
}

#[test]
fn a_cursor_into_a_log_that_is_gone_is_one_gap_and_the_whole_log() {
    let mut world = World::new(config());
    for number in 0..5 {
        world.server().say("assistant", &format!("u{number}"));
    }
    world.connect();
    world.run_until_live();
    world.cut();
    world.server().go_down();
    world.server().forget_everything();
    world.server().recount();
    for number in 5..7 {
        world.server().say("assistant", &format!("u{number}"));
    }
    world.server().come_up();
    resume(&mut world, 9);
    world.run_for(secs(10));
    let expected: Vec<String> = (0..7).map(|number| format!("u{number}")).collect();
    assert_eq!(world.messages(), expected);
    let causes: Vec<GapCause> = world.gaps().iter().map(|(_, cause)| *cause).collect();
    assert_eq!(causes, [GapCause::NotRetained]);
    assert!(world.events().any(|event| matches!(event, Event::CaughtUp)));
}

#[test]
fn a_frame_that_comes_again_does_not_lead_the_cursor_back() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    for uuid in ["u1", "u2", "u3"] {
        world.server().say("assistant", uuid);
    }
    world.run_for(secs(1));
    let cursor = world.viewer().cursor();
    assert!(cursor.is_some());
    world.server().blurt(r#"{"type":"assistant","uuid":"u1"}"#);
    world.server().repeat(1);
    world.run_for(secs(1));
    assert_eq!(world.viewer().cursor(), cursor);
    assert_eq!(world.messages(), ["u1", "u2", "u3"]);
}
