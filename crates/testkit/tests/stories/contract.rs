//! The contract every machine keeps, whatever it is about.

use std::time::Duration;

use attache_protocol::{
    io::{Effect, Input},
    time::Timestamp,
    viewer::{Decision, Event, History, Status, Viewer, ViewerConfig},
};
use attache_testkit::{Call, Drain, HttpPlan, Replay, Upgrade, World, millis, secs};

use super::config;

const SEED: [u8; 32] = [9; 32];

fn story_config() -> ViewerConfig {
    let mut config = config();
    config.history = History::All;
    config.initialize = true;
    config
}

/// A story in which everything happens.
fn story() -> World {
    let mut world = World::with_seed(story_config(), SEED);
    for number in 0..150 {
        world.server().say("assistant", &format!("h{number}"));
    }
    world.server().next_upgrade(Upgrade::Never);
    world.server().next_upgrade(Upgrade::AcceptThenClose(1012));
    world.server().next_list(HttpPlan::Status(503, None));
    world.connect();
    world.send("early");
    world.run_for(secs(60));
    world.server().ask("r1", "ls");
    world.server().ask("r2", "rm");
    world.run_for(secs(1));
    world.decide("r1", &Decision::allow()).unwrap();
    world.server().next_post(HttpPlan::LoseAnswer);
    world.send("second");
    world.interrupt().unwrap();
    world.server().blurt("broken\n{\"type\":\"keep_alive\"}");
    world.run_for(secs(5));
    world.cut();
    world.server().cancel("r2");
    world.server().say("assistant", "in the gap");
    world.run_for(secs(45));
    world.server().freeze();
    world.run_for(secs(100));
    world.reconnect().unwrap();
    world.wake();
    world.run_for(secs(30));
    world.close();
    world.run_for(secs(5));
    world
}

#[test]
fn the_same_seed_and_inputs_give_the_same_transcript() {
    let world = story();
    let calls = &world.record_so_far();
    let first = Replay::new(story_config(), SEED, calls, Drain::EffectsFirst);
    let again = Replay::new(story_config(), SEED, calls, Drain::EffectsFirst);
    assert_eq!(first, again);
    let effects: Vec<Effect> = world.effects().cloned().collect();
    assert_eq!(first.effects, effects);
    assert!(first.events.len() > 150);

    let second = story();
    assert!(second.effects().eq(world.effects()));
}

#[test]
fn another_seed_draws_other_ids() {
    let calls = [(Timestamp::ORIGIN, Call::Interrupt)];
    let shown = |seed: u8| {
        let mut viewer = Viewer::new(story_config(), [seed; 32], Timestamp::ORIGIN);
        viewer.interrupt(calls[0].0).unwrap()
    };
    assert_eq!(shown(1), shown(1));
    assert_ne!(shown(1), shown(2));
}

#[test]
fn when_and_in_which_order_outputs_are_taken_changes_nothing() {
    let world = story();
    let calls = &world.record_so_far();
    let expected = Replay::new(story_config(), SEED, calls, Drain::EffectsFirst);
    for drain in [
        Drain::EventsFirst,
        Drain::Interleaved,
        Drain::Every(2),
        Drain::Every(7),
        Drain::Every(usize::MAX),
    ] {
        let replay = Replay::new(story_config(), SEED, calls, drain);
        assert_eq!(replay, expected, "{drain:?}");
    }
}

#[test]
fn a_clone_goes_on_like_its_original() {
    let world = story();
    let calls = &world.record_so_far();
    for split in (0..calls.len()).step_by(calls.len() / 40 + 1) {
        let (before, after) = calls.split_at(split);
        let mut viewer = Viewer::new(story_config(), SEED, Timestamp::ORIGIN);
        for (now, call) in before {
            call.make(&mut viewer, *now);
        }
        let clone = viewer.clone();
        assert_eq!(
            Replay::go_on(viewer, after, Drain::EffectsFirst),
            Replay::go_on(clone, after, Drain::EffectsFirst),
            "after {split} calls"
        );
    }
}

#[test]
fn an_early_timeout_changes_nothing() {
    let world = story();
    let calls = &world.record_so_far();
    let expected = Replay::new(story_config(), SEED, calls, Drain::EffectsFirst);
    // Between any two calls, and just before the deadline.
    let mut viewer = Viewer::new(story_config(), SEED, Timestamp::ORIGIN);
    let mut replay = Replay::default();
    for (now, call) in calls {
        if !matches!(call, Call::Timeout) {
            let due = viewer.poll_timeout().map(|(at, _)| at);
            if due.is_none_or(|due| due > *now) {
                viewer.handle_timeout(*now);
            }
        }
        call.make(&mut viewer, *now);
        replay
            .effects
            .extend(std::iter::from_fn(|| viewer.poll_effect()));
        while viewer.poll_event().is_some() {
            replay.events.push(String::new());
        }
    }
    assert_eq!(replay.effects, expected.effects);
    assert_eq!(replay.events.len(), expected.events.len());
}

#[test]
fn an_older_time_counts_as_the_latest() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.run_for(secs(100));
    world.timeout();
    let mut ahead = world.viewer().clone();
    let mut behind = world.viewer().clone();
    let now = Timestamp::from_origin(world.elapsed());
    ahead.reconnect(now).unwrap();
    behind.reconnect(Timestamp::ORIGIN).unwrap();
    assert_eq!(ahead.poll_timeout(), behind.poll_timeout());
    behind.handle_timeout(Timestamp::ORIGIN);
    behind.handle_input(Timestamp::ORIGIN, Input::Woke);
    ahead.handle_input(now, Input::Woke);
    assert_eq!(ahead.poll_timeout(), behind.poll_timeout());
    assert_eq!(format!("{ahead:?}"), format!("{behind:?}"));
}

#[test]
fn a_late_timer_fires_once() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.run_for(secs(20));
    // Ten minutes asleep: the ping and the silence deadline are long past.
    world.sleep(secs(600));
    world.timeout();
    let waits = world
        .statuses()
        .iter()
        .filter(|(_, status)| matches!(status, Status::Waiting { .. }))
        .count();
    assert_eq!(waits, 1);
    world.run_until_live();
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn an_input_at_the_instant_of_a_deadline_counts_first() {
    let mut world = World::new(config());
    world.server().next_upgrade(Upgrade::Never);
    world.connect();
    world.run_for(secs(1));
    let opened = world.opened().unwrap();
    let (deadline, _) = world.viewer().poll_timeout().unwrap();
    let rest = deadline.since_origin() - world.elapsed();
    world.sleep(rest);
    world.feed(opened);
    world.timeout();
    assert!(matches!(world.status(), Status::CatchingUp | Status::Live));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn times_at_the_end_of_time_are_survived() {
    let mut viewer = Viewer::new(config(), SEED, Timestamp::ORIGIN);
    let end = Timestamp::from_origin(Duration::MAX);
    viewer.connect(end).unwrap();
    let Some(Effect::FetchToken { id, .. }) = viewer.poll_effect() else {
        panic!("a token is asked for");
    };
    viewer.handle_input(
        end,
        Input::TokenRefused {
            id,
            refusal: attache_protocol::io::TokenRefusal::Unavailable,
        },
    );
    viewer.handle_timeout(end);
    viewer.interrupt(end).unwrap();
    viewer.close(end);
    viewer.handle_timeout(end);
}

#[test]
fn everything_zero_is_survived() {
    let mut config = config();
    config.limits.events = 0;
    config.limits.event_bytes = 0;
    config.limits.held = 0;
    config.limits.held_bytes = 0;
    config.limits.effects = 0;
    config.limits.outbox = 0;
    config.limits.outbox_bytes = 0;
    config.limits.prompts = 0;
    config.limits.requests = 0;
    config.limits.remembered = 0;
    config.limits.page = 0;
    config.limits.page_bytes = 0;
    let zero = Duration::ZERO;
    config.liveness.ping_after = zero;
    config.liveness.stable_after = zero;
    config.liveness.reconnect_delay = zero;
    config.liveness.reconnect_interval = zero;
    let mut world = World::new(config);
    world.server().say("assistant", "u0");
    world.server().ask("r1", "ls");
    world.connect();
    let _ = world.interrupt();
    let _ = world.try_send(attache_protocol::viewer::Content::text("x"));
    for _ in 0..100 {
        world.run_for(Duration::from_nanos(50));
    }
    world.server().say("assistant", "u1");
    for _ in 0..20 {
        world.run_for(Duration::from_micros(5));
    }
    world.close();
    world.run_for(millis(1));
    assert!(
        world
            .events()
            .any(|event| matches!(event, Event::Status(_)))
    );
}
