//! Nothing is lost on the read side, nothing comes twice, and what is missing is said.

use attache_protocol::{
    io::{NetworkFailure, Refusal},
    viewer::{History, Source, Status, ViewerConfig},
};
use attache_testkit::{HttpPlan, Upgrade, World, millis, secs};

use super::config;

fn with_history(history: History) -> ViewerConfig {
    let mut config = config();
    config.history = history;
    config
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("u{number}")).collect()
}

fn say_all(world: &mut World, ids: &[String]) {
    for id in ids {
        world.server().say("assistant", id);
    }
}

/// A live world in which `u0` has been delivered.
fn live() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u0");
    world.run_for(secs(1));
    world
}

#[test]
fn a_gap_of_2_s_at_100_messages_a_second_loses_none() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    let all = ids(0..600);
    for (number, id) in all.iter().enumerate() {
        if number == 200 {
            world.server().go_down();
        }
        if number == 400 {
            world.server().come_up();
        }
        world.server().say("assistant", id);
        world.run_for(millis(10));
    }
    world.run_until_live();
    world.run_for(secs(1));
    assert_eq!(world.messages(), all);
    assert!(world.gaps().is_empty());
    assert_eq!(world.catch_ups(), 2);
}

#[test]
fn messages_lost_on_the_wire_at_the_moment_of_the_cut_are_loaded() {
    let mut world = live();
    say_all(&mut world, &ids(1..4));
    world.cut();
    world.run_for(secs(10));
    assert_eq!(world.messages(), ids(0..4));
    assert_eq!(
        world.sources(),
        [
            Source::Live,
            Source::Backfill,
            Source::Backfill,
            Source::Backfill
        ]
    );
}

#[test]
fn the_first_open_loads_as_much_of_the_past_as_was_asked_for() {
    for (history, expected) in [
        (History::None, 0..0),
        (History::Latest(30), 320..350),
        (History::All, 0..350),
    ] {
        let mut world = World::new(with_history(history));
        say_all(&mut world, &ids(0..350));
        world.connect();
        world.run_until_live();
        assert_eq!(world.messages(), ids(expected), "{history:?}");
        assert!(
            world
                .sources()
                .iter()
                .all(|source| *source == Source::History)
        );
        assert!(world.gaps().is_empty());
        assert_eq!(world.catch_ups(), 1);
    }
}

#[test]
fn what_comes_live_and_in_the_list_is_delivered_once() {
    let mut world = live();
    world.cut();
    world.server().next_list(HttpPlan::Status(503, None));
    world.run_until(secs(10), |world| *world.status() == Status::CatchingUp);
    // The first page fails; by the time the second is read these stand in it, and came live too.
    say_all(&mut world, &ids(1..6));
    world.run_until_live();
    world.run_for(secs(1));
    assert_eq!(world.messages(), ids(0..6));
}

#[test]
fn deltas_are_live_only() {
    let mut world = live();
    let delta = r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}}"#;
    world.server().emit(delta);
    world.server().emit(delta);
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["u0", "-", "-"]);
    world.cut();
    world.server().emit(delta);
    world.run_for(secs(5));
    assert_eq!(world.messages(), ["u0", "-", "-"]);
    assert!(world.gaps().is_empty());
}

#[test]
fn frames_keep_their_bytes() {
    let mut world = live();
    let odd = r#"{ "type" : "novelty","uuid":"odd", "n":1.0,"a":{"b" : [ ]}}"#;
    world.server().emit(odd);
    world.run_for(secs(1));
    world.cut();
    let odder = r#"{"type":"novelty" ,"uuid":"odder","x":1e2}"#;
    world.server().emit(odder);
    world.run_for(secs(10));
    let texts: Vec<String> = world
        .events()
        .filter_map(|event| match event {
            attache_protocol::viewer::Event::Message(message) => {
                Some(message.frame.as_str().to_owned())
            }
            _ => None,
        })
        .collect();
    assert_eq!(texts[1..], [odd, odder]);
}

#[test]
fn a_session_that_was_empty_at_first_loses_nothing() {
    for history in [History::All, History::Latest(10)] {
        let mut world = World::new(with_history(history));
        world.connect();
        world.run_until_live();
        world.server().go_down();
        say_all(&mut world, &ids(0..3));
        world.run_for(secs(3));
        world.server().come_up();
        world.run_for(secs(60));
        assert_eq!(world.messages(), ids(0..3), "{history:?}");
        assert!(world.gaps().is_empty(), "{history:?}");
    }
}

#[test]
fn a_drop_during_the_catch_up_of_the_latest_loses_nothing() {
    for cut_after in [300, 500, 700, 1100] {
        let mut world = World::new(with_history(History::Latest(20)));
        say_all(&mut world, &ids(0..450));
        world.server().http_delay = millis(200);
        world.connect();
        world.run_for(millis(cut_after));
        world.cut();
        say_all(&mut world, &ids(450..455));
        world.run_for(secs(20));
        let messages = world.messages();
        assert_eq!(messages.last(), Some(&"u454"), "{cut_after}");
        assert!(messages.len() >= 20, "{cut_after}: {}", messages.len());
        let tail = ids(455 - messages.len()..455);
        assert_eq!(messages, tail, "{cut_after}");
    }
}

#[test]
fn many_drops_in_a_row_lose_nothing() {
    let mut world = World::new(with_history(History::All));
    world.connect();
    world.run_until_live();
    let all = ids(0..400);
    for (number, id) in all.iter().enumerate() {
        world.server().say("assistant", id);
        if number % 7 == 3 {
            world.cut();
        }
        world.run_for(millis(number as u64 % 13 * 50));
    }
    world.run_for(secs(120));
    assert_eq!(world.messages(), all);
    assert!(world.gaps().is_empty());
}

#[test]
fn a_flood_during_the_catch_up_stays_in_bounds_and_loses_nothing() {
    let mut config = config();
    config.limits.held = 16;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u0");
    world.run_for(secs(1));
    world.cut();
    world.server().http_delay = secs(3);
    world.run_until(secs(10), |world| *world.status() == Status::CatchingUp);
    say_all(&mut world, &ids(1..300));
    world.run_for(secs(120));
    assert_eq!(world.messages(), ids(0..300));
    assert!(world.gaps().is_empty());
}

#[test]
fn a_link_that_cannot_be_reopened_loses_nothing_once_it_can() {
    let mut world = live();
    let refused = Refusal::Network(NetworkFailure::Dns);
    world.server().every_upgrade(Upgrade::Refuse(refused));
    world.cut();
    say_all(&mut world, &ids(1..400));
    world.run_for(secs(6 * 3600));
    world.server().come_up();
    world.run_for(secs(120));
    assert_eq!(world.messages(), ids(0..400));
    assert!(world.gaps().is_empty());
}

#[test]
fn a_message_that_comes_before_the_page_that_holds_it_is_not_overtaken() {
    let mut world = live();
    for round in 0..20 {
        world.cut();
        world.server().http_delay = millis(round * 30);
        for step in 0..10 {
            world.server().say("assistant", &format!("r{round}s{step}"));
            world.run_for(millis(70));
        }
        world.run_for(secs(15));
    }
    let expected: Vec<String> = std::iter::once("u0".to_owned())
        .chain((0..20).flat_map(|round| (0..10).map(move |step| format!("r{round}s{step}"))))
        .collect();
    assert_eq!(world.messages(), expected);
}

#[test]
fn a_flood_of_bytes_during_the_catch_up_stays_in_bounds_and_loses_nothing() {
    let mut config = config();
    config.limits.held_bytes = 2_000;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u0");
    world.run_for(secs(1));
    for round in 0..3 {
        world.cut();
        world.server().http_delay = secs(3);
        world.run_until(secs(20), |world| *world.status() == Status::CatchingUp);
        say_all(&mut world, &ids(1 + round * 100..101 + round * 100));
        world.run_for(secs(30));
    }
    assert_eq!(world.messages(), ids(0..301));
    assert!(world.gaps().is_empty());
}

#[test]
fn frames_held_when_the_link_drops_again_are_not_lost_and_not_repeated() {
    let mut world = live();
    world.server().http_delay = secs(2);
    for round in 0..5 {
        world.cut();
        world.run_until(secs(20), |world| *world.status() == Status::CatchingUp);
        say_all(&mut world, &ids(1 + round * 10..11 + round * 10));
        world.run_for(millis(100));
    }
    world.run_for(secs(60));
    assert_eq!(world.messages(), ids(0..51));
    assert!(world.gaps().is_empty());
}

#[test]
fn a_live_message_sent_twice_is_delivered_once() {
    let mut world = live();
    for _ in 0..3 {
        world.server().blurt(r#"{"type":"assistant","uuid":"u0"}"#);
        world.server().blurt(r#"{"type":"assistant","uuid":"u1"}"#);
    }
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["u0", "u1"]);
}
