//! A list of history that is missing, wrong, forgetful or slow: exactly one gap, never a loop.

#![allow(
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]

use attache_protocol::{
    io::NetworkFailure,
    viewer::{Event, GapCause, History, Status, ViewerConfig},
};
use attache_testkit::{HttpPlan, TokenPlan, World, config, secs};

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
fn a_server_without_a_list_is_one_gap_an_open() {
    for status in [404, 405] {
        let mut world = World::new(config());
        world.server().every_list(HttpPlan::Status(status, None));
        world.connect();
        world.run_until_live();
        assert_eq!(world.gaps(), [(None, GapCause::NoHistory)]);
        world.server().say("assistant", "u0");
        world.run_for(secs(1));
        world.cut();
        world.server().say("assistant", "lost");
        world.run_for(secs(10));
        assert_eq!(world.gaps()[1..], [(Some("u0"), GapCause::NoHistory)]);
        assert_eq!(*world.status(), Status::Live);
        world.server().say("assistant", "u1");
        world.run_for(secs(1));
        assert_eq!(world.messages(), ["u0", "u1"]);
    }
}

#[test]
fn a_list_that_disappears_is_one_gap() {
    let mut world = live();
    world.server().every_list(HttpPlan::Status(404, None));
    world.cut();
    world.server().say("assistant", "lost");
    world.run_for(secs(10));
    assert_eq!(world.gaps().len(), 1);
    assert_eq!(*world.status(), Status::Live);
    world.server().say("assistant", "u1");
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["u0", "u1"]);
}

#[test]
fn what_is_no_longer_retained_is_a_gap_and_the_rest_is_loaded() {
    let mut world = live();
    world.cut();
    world.server().forget_everything();
    say_all(&mut world, &ids(1..4));
    world.run_for(secs(10));
    assert_eq!(world.gaps(), [(Some("u0"), GapCause::NotRetained)]);
    assert_eq!(world.messages(), ids(0..4));
}

#[test]
fn a_refused_list_is_a_gap() {
    let mut world = live();
    world.cut();
    world.server().every_list(HttpPlan::Status(422, None));
    world.run_for(secs(10));
    assert_eq!(
        world.gaps(),
        [(Some("u0"), GapCause::Refused { status: 422 })]
    );
    assert_eq!(*world.status(), Status::Live);
}

#[test]
fn a_list_that_fails_is_tried_again() {
    for plan in [
        HttpPlan::Status(500, None),
        HttpPlan::Status(429, Some(secs(3))),
        HttpPlan::Fail(NetworkFailure::Reset),
        HttpPlan::LoseAnswer,
        HttpPlan::Never,
    ] {
        let mut world = live();
        world.cut();
        world.server().say("assistant", "u1");
        world.server().next_list(plan.clone());
        world.run_for(secs(30));
        assert_eq!(world.messages(), ["u0", "u1"], "{plan:?}");
        assert!(world.gaps().is_empty(), "{plan:?}");
        assert_eq!(*world.status(), Status::Live, "{plan:?}");
    }
}

#[test]
fn a_list_that_fails_for_two_minutes_is_a_gap() {
    let mut world = live();
    world.cut();
    world.server().say("assistant", "lost");
    world.server().every_list(HttpPlan::Status(500, None));
    world.run_for(secs(110));
    assert_eq!(*world.status(), Status::CatchingUp);
    world.run_for(secs(30));
    assert_eq!(world.gaps(), [(Some("u0"), GapCause::Unreachable)]);
    assert_eq!(*world.status(), Status::Live);
    world.server().say("assistant", "u1");
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["u0", "u1"]);
}

#[test]
fn a_list_that_cannot_be_read_is_a_gap() {
    for body in ["", "not JSON", "[]", r#"{"data":7}"#, "{}"] {
        let mut world = live();
        world.cut();
        world.server().every_list(HttpPlan::Garbage(body));
        world.run_for(secs(150));
        assert_eq!(world.gaps(), [(Some("u0"), GapCause::Unreadable)], "{body}");
        assert_eq!(*world.status(), Status::Live, "{body}");
    }
}

#[test]
fn a_page_over_the_limit_is_a_gap() {
    let mut world = live();
    world.cut();
    world
        .server()
        .every_list(HttpPlan::Fail(NetworkFailure::TooLarge));
    world.run_for(secs(150));
    assert_eq!(world.gaps(), [(Some("u0"), GapCause::Unreadable)]);
}

#[test]
fn a_list_that_never_ends_is_left() {
    let mut world = live();
    world.cut();
    world.server().every_list(HttpPlan::Garbage(
        r#"{"data":[],"has_more":true,"first_id":null,"last_id":null}"#,
    ));
    world.run_for(secs(300));
    assert_eq!(*world.status(), Status::Live);
    assert_eq!(world.gaps().len(), 1);
    assert!(world.pages().len() < 100, "{} pages", world.pages().len());
}

#[test]
fn a_list_with_unusable_entries_loses_only_those() {
    let mut world = live();
    world.cut();
    world.server().next_list(HttpPlan::Garbage(
        r#"{"data":[{"type":"assistant","uuid":"u1"},7,{"uuid":"x"},{"type":"assistant","uuid":"u2"}],"has_more":false,"first_id":"u1","last_id":"u2"}"#,
    ));
    world.run_for(secs(10));
    assert_eq!(world.messages(), ["u0", "u1", "u2"]);
    assert_eq!(world.malformed().len(), 2);
}

#[test]
fn a_list_that_wants_another_token_gets_one_once() {
    let mut world = live();
    world.cut();
    world.server().say("assistant", "u1");
    world.run_until(secs(10), |world| {
        matches!(world.status(), Status::Connecting { .. })
    });
    world.tokens().always(TokenPlan::Give("second"));
    world.server().next_list(HttpPlan::Status(401, None));
    world.run_for(secs(20));
    assert_eq!(world.messages(), ["u0", "u1"]);
    assert!(world.gaps().is_empty());
}

#[test]
fn a_list_that_refuses_every_token_is_a_gap() {
    let mut world = live();
    world.server().every_list(HttpPlan::Status(401, None));
    world.cut();
    world.run_for(secs(150));
    assert_eq!(
        world.gaps(),
        [(Some("u0"), GapCause::Refused { status: 401 })]
    );
    assert_eq!(*world.status(), Status::Live);
    assert!(world.tokens().asked() < 6);
}

#[test]
fn a_list_that_repeats_itself_is_left() {
    let mut world = live();
    world.cut();
    for page in [
        r#"{"data":[{"type":"assistant","uuid":"u1"}],"has_more":true,"first_id":"u1","last_id":"u1"}"#,
        r#"{"data":[{"type":"assistant"}],"has_more":true}"#,
    ] {
        world.server().every_list(HttpPlan::Garbage(page));
        world.run_for(secs(300));
        assert_eq!(*world.status(), Status::Live, "{page}");
        assert!(world.pages().len() < 100, "{} pages", world.pages().len());
        world.cut();
        world.run_for(secs(300));
    }
}

#[test]
fn a_position_that_is_lost_repeats_nothing_however_long_the_past_is() {
    let mut world = World::new(with_history(History::All));
    say_all(&mut world, &ids(0..6000));
    world.connect();
    world.run_until_live();
    world.run_for(secs(20));
    world.cut();
    say_all(&mut world, &ids(6000..6010));
    world.server().next_list(HttpPlan::Status(410, None));
    world.run_for(secs(60));
    assert_eq!(*world.status(), Status::Live);
    let messages = world.messages();
    assert_eq!(messages[..6000], ids(0..6000));
    assert_eq!(messages[messages.len() - 10..], ids(6000..6010));
}

#[test]
fn a_live_frame_that_is_not_in_the_list_does_not_cost_the_position() {
    for status in [404, 400, 410] {
        let mut world = live();
        world.server().unknown_position = status;
        world
            .server()
            .blurt(r#"{"type":"tool_progress","uuid":"unlisted","tool_use_id":"t"}"#);
        world.run_for(secs(1));
        world.cut();
        say_all(&mut world, &ids(1..4));
        world.run_for(secs(60));
        assert_eq!(
            world.messages(),
            ["u0", "unlisted", "u1", "u2", "u3"],
            "{status}"
        );
        if status != 410 {
            assert!(world.gaps().is_empty(), "{status}: {:?}", world.gaps());
        }
    }
}

#[test]
fn a_gap_in_a_history_that_is_shown_in_part_stands_where_it_is() {
    let mut config = with_history(History::Latest(10));
    config.limits.page = 2;
    let mut world = World::new(config);
    say_all(&mut world, &ids(0..6));
    world.server().next_list(HttpPlan::Serve);
    world.server().next_list(HttpPlan::Garbage("{"));
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u6");
    world.run_for(secs(1));
    assert_eq!(world.gaps(), [(Some("u1"), GapCause::Unreadable)]);
    let order: Vec<&str> = world
        .events()
        .filter_map(|event| match event {
            Event::Message(message) => message.frame.uuid().map(|uuid| &**uuid),
            Event::Gap { .. } => Some("gap"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["u0", "u1", "gap", "u6"]);
}
