//! An application that takes no events for a long time costs nothing meanwhile and loses nothing.

use std::time::Duration;

use attache_protocol::viewer::{History, Status};
use attache_testkit::{Call, HttpPlan, Reading, World, secs};

use super::config;

const HOUR: Duration = secs(3600);

/// Wake-ups of an hour that the line asks for: a ping is due every 30 s, silence every 40 s, and a catch-up
/// looks every 2 min whether it gets on.
const WAKE_UPS: usize = 120 + 90 + 30;

fn wake_ups(world: &World) -> usize {
    let calls = world.record_so_far();
    let is_timeout = |call: &Call| matches!(call, Call::Timeout);
    calls.iter().filter(|(_, call)| is_timeout(call)).count()
}

#[test]
fn a_past_that_nobody_takes_waits_without_wake_ups_and_is_there_afterwards() {
    let mut config = config();
    config.history = History::All;
    config.limits.events = 8;
    config.limits.page = 10;
    let mut world = World::new(config);
    let ids: Vec<String> = (0..300).map(|number| format!("u{number}")).collect();
    for id in &ids {
        world.server().say("assistant", id);
    }
    world.read_events(Reading::NotAtAll);
    world.connect();
    world.run_for(secs(10));
    assert_eq!(*world.status(), Status::CatchingUp);
    let before = wake_ups(&world);

    world.run_for(HOUR);
    let cost = wake_ups(&world) - before;
    assert!(cost <= WAKE_UPS, "{cost} wake-ups");

    let before = world.elapsed();
    world.read_events(Reading::Eagerly);
    world.run_until_live();
    assert!(world.elapsed() - before < secs(2));
    assert_eq!(world.messages(), ids);
    assert!(world.gaps().is_empty());
}

#[test]
fn a_page_that_is_to_be_asked_for_again_waits_for_room_as_well() {
    let mut config = config();
    config.history = History::All;
    config.limits.events = 2;
    let mut world = World::new(config);
    world.server().say("assistant", "u0");
    world.server().next_list(HttpPlan::Status(503, None));
    world.read_events(Reading::NotAtAll);
    world.connect();
    world.run_for(secs(60));
    let before = wake_ups(&world);

    world.run_for(HOUR);
    let cost = wake_ups(&world) - before;
    assert!(cost <= WAKE_UPS, "{cost} wake-ups");

    world.read_events(Reading::Eagerly);
    world.run_until_live();
    assert_eq!(world.messages(), ["u0"]);
    assert!(world.gaps().is_empty());
}
