//! A session that is over: loaded to its end, and not tried again.

#![allow(
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]

use attache_protocol::{
    policy::CloseCause,
    viewer::{History, Transport},
};
use attache_testkit::{HttpPlan, Upgrade, World, config, config_over, millis, secs};

/// What a stream of a session that is over ends with.
const ENDED: &str = "event: session_ended\ndata: {}\n\n";

fn with_all_history() -> attache_protocol::viewer::ViewerConfig {
    let mut config = config();
    config.history = History::All;
    config
}

#[test]
fn a_session_that_has_ended_is_not_tried_again() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.server().close(1000, "session ended");
    world.run_until_closed();
    assert_eq!(world.closed(), Some(CloseCause::SessionEnded));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn a_session_that_ends_while_it_is_being_loaded_is_loaded_to_its_end() {
    let mut world = World::new(with_all_history());
    let ids: Vec<String> = (0..300).map(|number| format!("u{number}")).collect();
    for id in &ids {
        world.server().say("assistant", id);
    }
    world.server().http_delay = millis(200);
    world.server().next_upgrade(Upgrade::AcceptThenEnd);
    world.connect();
    world.run_until_closed();
    assert_eq!(world.messages(), ids);
    assert!(world.gaps().is_empty());
    assert_eq!(world.closed(), Some(CloseCause::SessionEnded));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn a_session_that_ended_in_the_gap_is_loaded_to_its_end() {
    let mut world = World::new(with_all_history());
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u0");
    world.run_for(secs(1));
    world.server().next_upgrade(Upgrade::AcceptThenEnd);
    world.cut();
    world.server().say("assistant", "u1");
    world.server().say("assistant", "u2");
    world.run_until_closed();
    assert_eq!(world.messages(), ["u0", "u1", "u2"]);
    assert_eq!(world.closed(), Some(CloseCause::SessionEnded));
}

#[test]
fn an_ended_session_that_cannot_be_loaded_ends_all_the_same() {
    for plan in [
        HttpPlan::Never,
        HttpPlan::Status(500, None),
        HttpPlan::Status(401, None),
    ] {
        let mut world = World::new(with_all_history());
        world.server().every_list(plan.clone());
        world.server().next_upgrade(Upgrade::AcceptThenEnd);
        world.connect();
        world.run_for(secs(200));
        assert_eq!(world.closed(), Some(CloseCause::SessionEnded), "{plan:?}");
        assert_eq!(world.gaps().len(), 1, "{plan:?}");
        assert!(world.viewer().is_drained());
    }
}

#[test]
fn a_close_does_not_wait_for_an_ended_session_to_load() {
    let mut world = World::new(with_all_history());
    world.server().every_list(HttpPlan::Never);
    world.server().next_upgrade(Upgrade::AcceptThenEnd);
    world.connect();
    world.run_for(secs(1));
    world.close();
    world.run_for(secs(3));
    assert!(world.closed().is_some());
    assert!(world.viewer().is_drained());
    assert_eq!(world.viewer().poll_timeout(), None);
}

#[test]
fn a_stream_that_says_that_the_session_has_ended_is_not_opened_again() {
    let mut world = World::new(config_over(Transport::Sse));
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u0");
    world.server().blurt_bytes(ENDED);
    world.run_until_closed();
    assert_eq!(world.messages(), ["u0"]);
    assert_eq!(world.closed(), Some(CloseCause::SessionEnded));
    assert_eq!(world.server().open_sockets(), 0);
    world.run_for(secs(60));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn the_end_of_a_session_that_ended_long_ago_is_shown_once_it_is_loaded() {
    for history in [History::All, History::Latest(2), History::None] {
        let mut config = config_over(Transport::Sse);
        config.history = history;
        let mut world = World::new(config);
        for id in ["u0", "u1", "u2"] {
            world.server().say("assistant", id);
        }
        // Nobody says where its log ends.
        world.server().every_list(HttpPlan::Status(404, None));
        world.connect();
        world.run_for(millis(300));
        world.server().blurt_bytes(ENDED);
        world.run_until_closed();
        assert_eq!(world.closed(), Some(CloseCause::SessionEnded));
        let expected: &[&str] = match history {
            History::All => &["u0", "u1", "u2"],
            History::Latest(_) => &["u1", "u2"],
            History::None => &[],
        };
        assert_eq!(world.messages(), expected, "{history:?}");
        assert!(world.gaps().is_empty());
    }
}
