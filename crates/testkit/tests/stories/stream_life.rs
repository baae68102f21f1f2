//! How long a stream lives, and what its end means.

use attache_protocol::{
    io::{Effect, Refusal},
    policy::{CloseCause, Profile},
    viewer::{History, Status, ViewerConfig},
};
use attache_testkit::{Reading, TokenPlan, Upgrade, World, secs};

use super::config;

const SESSION_ENDED: &str = "event: session_ended\ndata: {}\n\n";

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

#[test]
fn an_idle_stream_lives_on_comments_alone() {
    let mut world = live();
    world.run_for(secs(3600));
    assert_eq!(*world.status(), Status::Live);
    assert_eq!(world.opens().len(), 1);
    let pings = world.times(|effect| matches!(effect, Effect::SendPing { .. }));
    assert!(pings.is_empty());
}

#[test]
fn a_stream_that_is_silent_for_45_s_is_opened_again() {
    let mut world = live();
    let began = world.elapsed();
    world.server().comments = false;
    world.server().freeze();
    say_all(&mut world, 1..3);
    world.run_for(secs(44));
    assert_eq!(world.opens().len(), 1);
    world.run_for(secs(6));
    assert_eq!(world.opens().len(), 2);
    assert!(world.opens()[1] - began > secs(44));
    assert_eq!(world.messages(), ids(0..3));
}

#[test]
fn a_stream_that_is_never_answered_is_given_up_after_15_s() {
    let mut world = World::new(config());
    world.server().next_upgrade(Upgrade::Never);
    world.connect();
    world.run_until_live();
    let opens = world.opens();
    assert!(opens[1] - opens[0] >= secs(15) && opens[1] - opens[0] < secs(20));
}

#[test]
fn after_a_wake_up_a_stream_that_brings_nothing_is_replaced_within_5_s() {
    let mut world = live();
    world.run_for(secs(16));
    world.wake();
    world.run_for(secs(4));
    assert_eq!(world.opens().len(), 1);
    world.run_for(secs(5));
    assert_eq!(world.opens().len(), 2);

    world.run_for(secs(2));
    world.wake();
    world.server().blurt_bytes(":\n");
    world.run_for(secs(10));
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn refusals_of_the_stream_mean_what_the_table_says() {
    let refuse = |status, retry_after| {
        Upgrade::Refuse(Refusal::Http {
            status,
            retry_after,
        })
    };
    for (status, cause) in [
        (400, CloseCause::Rejected { status: 400 }),
        (409, CloseCause::Rejected { status: 409 }),
        (401, CloseCause::Unauthorized),
        (403, CloseCause::Unauthorized),
        (404, CloseCause::SessionNotFound),
    ] {
        let mut world = live();
        world.server().every_upgrade(refuse(status, None));
        world.cut();
        world.run_until_closed();
        assert_eq!(world.closed(), Some(cause), "{status}");
    }
    let mut world = live();
    world.server().next_upgrade(refuse(503, Some(secs(40))));
    world.cut();
    world.run_for(secs(300));
    let opens = world.opens();
    assert_eq!(opens.len(), 3);
    assert!(opens[2] - opens[1] >= secs(40));
    assert_eq!(*world.status(), Status::Live);
}

#[test]
fn a_refused_token_is_replaced_once_and_the_stream_goes_on_where_it_was() {
    let mut world = live();
    world.server().accept_only("second");
    world.tokens().next(TokenPlan::Give("first"));
    world.tokens().next(TokenPlan::Give("second"));
    world.cut();
    say_all(&mut world, 1..3);
    world.run_for(secs(10));
    assert_eq!(*world.status(), Status::Live);
    assert_eq!(world.messages(), ids(0..3));
}

#[test]
fn a_stream_that_says_that_the_session_is_over_is_believed() {
    let mut world = live();
    world.server().blurt_bytes(SESSION_ENDED);
    world.run_until_closed();
    assert_eq!(world.closed(), Some(CloseCause::SessionEnded));
}

#[test]
fn what_came_before_the_end_of_the_session_is_shown() {
    let mut world = World::new(with_history(History::Latest(3)));
    say_all(&mut world, 0..10);
    world.server().http_delay = secs(5);
    world.connect();
    world.run_for(secs(1));
    world.server().blurt_bytes(SESSION_ENDED);
    world.server().close(1000, "");
    world.run_until_closed();
    assert_eq!(world.messages(), ids(7..10));
    assert_eq!(world.closed(), Some(CloseCause::SessionEnded));
    assert!(world.gaps().is_empty());
}

#[test]
fn the_budget_is_used_up_before_the_end() {
    let mut config = config();
    config.profile = Profile::reference();
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    world.run_for(secs(20));
    world.server().go_down();
    world.run_until_closed();
    assert_eq!(world.opens().len(), 6);
    assert!(matches!(world.closed(), Some(CloseCause::Exhausted { .. })));
}

#[test]
fn a_proposed_delay_does_not_change_the_policy() {
    let mut world = live();
    world.server().blurt_bytes("retry: 3600000\n\n");
    world.run_for(secs(1));
    world.cut();
    world.run_for(secs(5));
    assert_eq!(*world.status(), Status::Live);
}

#[test]
fn an_application_that_takes_nothing_stops_the_stream_and_loses_nothing() {
    let mut config = with_history(History::All);
    config.limits.events = 8;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    world.read_events(Reading::NotAtAll);
    say_all(&mut world, 0..100);
    world.run_for(secs(300));
    assert!(!world.viewer().wants_read());
    assert_eq!(world.opens().len(), 1, "silence is not held against it");
    world.read_events(Reading::Eagerly);
    world.run_for(secs(60));
    assert_eq!(world.messages(), ids(0..100));
}
