//! What only a stream can do to a viewer: pieces, numbers, garbage, and a past that comes with the present.

use attache_protocol::{
    io::{Effect, NetworkFailure},
    viewer::{History, Source, Status, ViewerConfig},
};
use attache_testkit::{HttpPlan, Reading, TokenPlan, World, millis, secs};

use super::config;

fn with_history(history: History) -> ViewerConfig {
    let mut config = config();
    config.history = history;
    config
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("u{number}")).collect()
}

fn say_all(world: &mut World, range: std::ops::Range<usize>) {
    for id in ids(range) {
        world.server().say("assistant", &id);
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

fn streams(world: &World) -> Vec<String> {
    world
        .effects()
        .filter_map(|effect| match effect {
            Effect::OpenStream { request, .. } => Some(request.path.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_stream_that_is_cut_anywhere_reads_the_same() {
    for size in [1, 2, 3, 7, 64, 1000] {
        let mut world = World::new(with_history(History::All));
        world.server().stream_chunk = size;
        say_all(&mut world, 0..20);
        world.server().ask("r1", "ls");
        world.connect();
        world.run_until_live();
        say_all(&mut world, 20..40);
        world.run_for(secs(1));
        assert_eq!(world.messages(), ids(0..40), "{size}");
        assert_eq!(world.prompts(), ["asked r1"], "{size}");
        assert!(world.gaps().is_empty() && world.malformed().is_empty());
    }
}

#[test]
fn a_stream_is_opened_where_the_last_one_ended() {
    let mut world = live();
    world.cut();
    say_all(&mut world, 1..4);
    world.run_for(secs(5));
    world.cut();
    world.run_for(secs(5));
    let path = "/v1/code/sessions/cse_story/events/stream?from_sequence_num=";
    assert_eq!(
        streams(&world),
        [0, 1, 4].map(|number| format!("{path}{number}"))
    );
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
fn without_history_a_stream_begins_where_the_log_ends_and_loses_nothing_from_then_on() {
    let mut world = World::new(with_history(History::None));
    say_all(&mut world, 0..5);
    world.connect();
    world.run_until_live();
    assert_eq!(
        streams(&world),
        ["/v1/code/sessions/cse_story/events/stream?from_sequence_num=5"]
    );
    world.cut();
    say_all(&mut world, 5..8);
    world.run_for(secs(10));
    assert_eq!(world.messages(), ids(5..8));
    assert!(world.gaps().is_empty());
}

#[test]
fn the_question_where_the_log_ends_is_part_of_the_attempt() {
    for plan in [
        HttpPlan::Never,
        HttpPlan::Fail(NetworkFailure::Reset),
        HttpPlan::Status(503, None),
        HttpPlan::Status(429, Some(secs(5))),
        HttpPlan::Status(401, None),
        HttpPlan::Garbage("[]"),
    ] {
        let mut world = World::new(with_history(History::None));
        say_all(&mut world, 0..5);
        world.server().next_list(plan.clone());
        world.tokens().next(TokenPlan::Give("first"));
        world.tokens().next(TokenPlan::Give("second"));
        world.connect();
        world.run_until_live();
        say_all(&mut world, 5..7);
        world.run_for(secs(1));
        assert_eq!(world.messages(), ids(5..7), "{plan:?}");
        assert!(world.gaps().is_empty(), "{plan:?}");
        assert_eq!(world.opens().len(), 1, "{plan:?}");
    }
    for wait in 0..20 {
        let mut world = World::new(with_history(History::None));
        world.connect();
        world.run_for(millis(wait));
        world.close();
        world.run_for(secs(3));
        assert!(world.viewer().is_drained(), "{wait}");
        assert_eq!(world.server().open_sockets(), 0, "{wait}");
    }
}

#[test]
fn what_is_repeated_on_the_stream_is_delivered_once() {
    let mut world = live();
    say_all(&mut world, 1..4);
    for number in [1, 4, 2, 4, 1] {
        world.server().repeat(number);
    }
    // The same message under another number, and one that is not stored.
    world.server().emit(r#"{"type":"assistant","uuid":"u2"}"#);
    world.server().blurt(r#"{"type":"assistant","uuid":"u1"}"#);
    say_all(&mut world, 4..5);
    world.run_for(secs(1));
    assert_eq!(world.messages(), ids(0..5));
    assert!(world.gaps().is_empty());
}

#[test]
fn what_is_no_event_of_ours_is_skipped_or_told_and_nothing_else_is_lost() {
    let mut world = live();
    for text in [
        "event: novelty\ndata: {}\n\n",
        "data: {}\n\n",
        "retry: 1\n\n",
        "event: client_event\n\n",
        "garbage\n\n",
        "\u{feff}\n\n\n",
        "event: delivery_update\ndata: broken\n\n",
        "event: ephemeral_event\ndata: {\"payload\":{\"type\":\"keep_alive\"}}\n\n",
    ] {
        world.server().blurt_bytes(text);
    }
    world
        .server()
        .blurt_bytes(&b"event: \xff\xfe\ndata: \xff\n\n"[..]);
    world.run_for(secs(1));
    assert!(world.malformed().is_empty(), "{:?}", world.malformed());

    for text in [
        "event: client_event\ndata: broken\n\n",
        "event: client_event\ndata: {\"event_id\":\"x\"}\n\n",
        "event: client_event\ndata: {\"payload\":7}\n\n",
        "event: ephemeral_event\ndata: broken\n\n",
    ] {
        world.server().blurt_bytes(text);
    }
    world.run_for(secs(1));
    assert_eq!(world.malformed().len(), 4);
    say_all(&mut world, 1..3);
    world.run_for(secs(1));
    assert_eq!(world.messages(), ids(0..3));
    assert!(world.gaps().is_empty());
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn without_a_list_a_quiet_moment_ends_the_catch_up() {
    for status in [400, 404, 405, 501] {
        let mut world = World::new(with_history(History::Latest(3)));
        world.server().every_list(HttpPlan::Status(status, None));
        say_all(&mut world, 0..10);
        world.connect();
        world.run_for(secs(60));
        assert_eq!(*world.status(), Status::Live, "{status}");
        assert_eq!(world.catch_ups(), 1);
        assert_eq!(world.messages(), ids(7..10), "{status}");
        assert!(world.gaps().is_empty(), "{status}");
    }
}

#[test]
fn a_stream_that_nobody_reads_has_no_quiet_moment() {
    let mut config = with_history(History::All);
    config.limits.events = 4;
    let mut world = World::new(config);
    world.server().every_list(HttpPlan::Status(404, None));
    world.server().ask("r1", "ls");
    say_all(&mut world, 0..9);
    world.server().cancel("r1");
    world.read_events(Reading::NotAtAll);
    world.connect();
    world.run_for(secs(30));
    world.read_events(Reading::Eagerly);
    world.run_for(secs(3));
    assert_eq!(*world.status(), Status::Live);
    assert_eq!(world.messages(), ids(0..9));
    assert!(world.prompts().is_empty(), "{:?}", world.prompts());
}

#[test]
fn a_log_that_grows_meanwhile_loses_and_repeats_nothing() {
    let mut world = World::new(with_history(History::All));
    say_all(&mut world, 0..100);
    world.server().http_delay = secs(3);
    world.connect();
    for number in 100..200 {
        world.run_for(millis(50));
        say_all(&mut world, number..number + 1);
    }
    world.run_until_live();
    world.run_for(secs(1));
    assert_eq!(world.messages(), ids(0..200));
    assert_eq!(world.catch_ups(), 1);
}

#[test]
fn a_log_that_grows_without_a_pause_ends_the_catch_up_at_last() {
    let mut world = World::new(with_history(History::All));
    world.server().every_list(HttpPlan::Status(404, None));
    world.connect();
    for number in 0..400 {
        world.run_for(millis(500));
        say_all(&mut world, number..number + 1);
    }
    assert_eq!(*world.status(), Status::Live);
    assert!(world.gaps().is_empty());
}

#[test]
fn deltas_that_come_with_the_past_wait_for_its_end() {
    let mut world = World::new(with_history(History::All));
    say_all(&mut world, 0..2);
    world.server().http_delay = secs(2);
    world.connect();
    world.run_for(secs(1));
    world
        .server()
        .emit(r#"{"type":"stream_event","event":{"type":"x"}}"#);
    world.run_for(millis(500));
    assert_eq!(world.messages(), ids(0..2));
    world.run_until_live();
    assert_eq!(world.messages(), ["u0", "u1", "-"]);
}

#[test]
fn a_drop_while_the_latest_are_being_kept_loses_nothing() {
    let mut world = World::new(with_history(History::Latest(20)));
    say_all(&mut world, 0..50);
    world.server().http_delay = secs(2);
    world.connect();
    world.run_for(secs(1));
    assert_eq!(*world.status(), Status::CatchingUp);
    assert!(world.messages().is_empty());
    world.cut();
    say_all(&mut world, 50..60);
    world.run_for(secs(20));
    assert_eq!(world.messages(), ids(40..60));
    let path = "/v1/code/sessions/cse_story/events/stream?from_sequence_num=50";
    assert_eq!(streams(&world)[1], path);
}
