//! Dead links, slow readers, forced reconnects, silent agents.

use attache_protocol::{
    io::{Effect, Input, NetworkFailure, SocketEnding},
    viewer::{Event, ReconnectError, Status},
};
use attache_testkit::{Call, Reading, World, millis, secs};

use super::config;

fn live() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world
}

/// A live world with room for few events, of which the application takes none, and the ids of messages to come.
fn away_while(count: usize) -> (World, Vec<String>) {
    let mut config = config();
    config.limits.events = 8;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    world.read_events(Reading::NotAtAll);
    let ids = (0..count).map(|number| format!("u{number}"));
    (world, ids.collect())
}

/// Messages that come all at once.
fn in_one(ids: &[String]) -> String {
    let frame = |id: &String| format!(r#"{{"type":"assistant","uuid":"{id}"}}"#);
    let lines: Vec<String> = ids.iter().map(frame).collect();
    lines.join("\n")
}

fn pings(world: &World) -> usize {
    world
        .effects()
        .filter(|effect| matches!(effect, Effect::SendPing { .. }))
        .count()
}

#[test]
fn an_idle_link_is_pinged_and_stays() {
    let mut world = live();
    world.run_for(secs(600));
    assert_eq!(world.opens().len(), 1);
    assert!((18..=21).contains(&pings(&world)), "{}", pings(&world));
}

#[test]
fn without_a_pong_the_link_is_dead_within_40_s() {
    let mut world = live();
    world.run_for(secs(7));
    let before = world.elapsed();
    world.server().freeze();
    world.run_until(secs(60), |world| {
        matches!(world.status(), Status::Waiting { .. })
    });
    assert!(world.elapsed() - before <= secs(40));
    assert!(world.elapsed() - before >= secs(30));
    world.run_until_live();
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn any_byte_is_life() {
    let mut world = live();
    world.server().answers_pings = false;
    let id = world.socket().unwrap();
    for _ in 0..20 {
        world.run_for(secs(39));
        world.feed(Input::SocketBytes { id });
    }
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn after_a_wake_up_a_dead_link_is_noticed_within_5_s() {
    let mut world = live();
    world.run_for(secs(2));
    world.server().freeze();
    world.wake();
    let before = world.elapsed();
    world.run_until(secs(60), |world| {
        matches!(world.status(), Status::Waiting { .. })
    });
    assert_eq!(world.elapsed() - before, secs(5));
}

#[test]
fn after_a_wake_up_a_healthy_link_stays() {
    let mut world = live();
    let before = pings(&world);
    world.wake();
    assert_eq!(pings(&world), before + 1);
    world.run_for(secs(60));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn while_events_pile_up_nothing_is_read_and_silence_is_not_held_against_the_peer() {
    let (mut world, ids) = away_while(50);
    for id in &ids {
        world.server().say("assistant", id);
    }
    world.run_for(secs(300));
    assert!(!world.viewer().wants_read());
    assert_eq!(world.opens().len(), 1);

    world.read_events(Reading::Eagerly);
    world.run_for(secs(1));
    assert!(world.viewer().wants_read());
    assert_eq!(world.messages(), ids);
    world.run_for(secs(120));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn one_message_of_many_frames_does_not_break_the_bound_on_events() {
    let (mut world, ids) = away_while(500);
    world.server().blurt(in_one(&ids));
    world.run_for(secs(1));
    assert!(!world.viewer().wants_read());
    world.read_events(Reading::Eagerly);
    world.run_for(secs(10));
    assert_eq!(world.messages(), ids);
}

#[test]
fn frames_that_nobody_takes_for_an_hour_cost_no_wake_ups_but_those_of_the_line() {
    let (mut world, ids) = away_while(500);
    world.server().blurt(in_one(&ids));
    world.run_for(secs(15));
    let wake_ups = |world: &World| {
        let calls = world.record_so_far();
        let is_timeout = |call: &Call| matches!(call, Call::Timeout);
        calls.iter().filter(|(_, call)| is_timeout(call)).count()
    };
    let before = wake_ups(&world);

    world.run_for(secs(3600));
    // A ping every 30 s and a look whether silence counts every 40 s, both at once every 120 s.
    assert_eq!(wake_ups(&world) - before, 120 + 90 - 30);

    let before = world.elapsed();
    world.read_events(Reading::Eagerly);
    world.run_until(secs(1), |world| world.viewer().wants_read());
    assert_eq!(world.elapsed(), before);
    assert_eq!(world.messages(), ids);
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn a_forced_reconnect_with_a_half_open_old_socket_never_hurts_its_successor() {
    let mut world = live();
    let old = world.socket().unwrap();
    world.server().freeze();
    world.run_for(secs(1));
    world.reconnect().unwrap();
    let before = world.elapsed();
    world.run_until_live();
    let reopened = *world.opens().last().unwrap();
    assert_eq!(reopened - before, millis(505), "500 ms and the token");

    // The old socket's last words arrive late, as threads and queues make them.
    world.feed(Input::SocketText {
        id: old,
        text: r#"{"type":"assistant","uuid":"ghost"}"#.into(),
    });
    world.feed(Input::SocketPong {
        id: old,
        payload: Some(1),
    });
    world.feed(Input::SocketClosed {
        id: old,
        ending: SocketEnding::Lost(NetworkFailure::Reset),
    });
    assert_eq!(*world.status(), Status::Live);
    world.server().say("assistant", "u1");
    world.run_for(secs(100));
    assert_eq!(world.messages(), ["u1"]);
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn forced_reconnects_keep_their_distance() {
    let mut world = live();
    world.reconnect().unwrap();
    world.run_for(secs(4));
    let Err(ReconnectError::TooSoon { retry_after }) = world.reconnect() else {
        panic!("too soon");
    };
    world.run_for(retry_after);
    world.reconnect().unwrap();
    world.run_for(secs(1));
    world.run_until_live();
    assert_eq!(world.opens().len(), 3);
}

#[test]
fn a_forced_reconnect_needs_a_connection() {
    let mut world = World::new(config());
    assert_eq!(world.reconnect(), Err(ReconnectError::NotConnected));
}

#[test]
fn an_agent_that_says_nothing_after_a_send_is_suspected_after_60_s() {
    let mut world = live();
    world.server().echoes = 0;
    world.send("hello");
    world.run_for(secs(55));
    assert_eq!(world.opens().len(), 1);
    world.run_for(secs(10));
    assert_eq!(world.opens().len(), 2);
    let unresponsive = world
        .events()
        .filter(|event| matches!(event, Event::Unresponsive { .. }))
        .count();
    assert_eq!(unresponsive, 1);
}

#[test]
fn an_agent_that_answers_is_not_suspected() {
    let mut world = live();
    world.send("hello");
    world.run_for(secs(5));
    world.server().say("assistant", "u1");
    world
        .server()
        .emit(r#"{"type":"result","uuid":"u2","subtype":"success","is_error":false}"#);
    world.run_for(secs(600));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn an_agent_that_compacts_is_given_180_s() {
    let mut world = live();
    world.server().echoes = 0;
    world
        .server()
        .emit(r#"{"type":"system","subtype":"status","status":"compacting","uuid":"s1"}"#);
    world.run_for(secs(1));
    world.send("hello");
    world.run_for(secs(175));
    assert_eq!(world.opens().len(), 1);
    world.run_for(secs(10));
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn any_frame_after_a_send_is_a_sign_that_the_agent_is_reached() {
    // The echo of the message counts, whether it comes before the server's answer or after it.
    for delay in [secs(0), secs(1)] {
        let mut world = live();
        world.server().http_delay = delay;
        world.send("hello");
        world.run_for(secs(100));
        assert_eq!(world.opens().len(), 1, "{delay:?}");
    }
}

#[test]
fn a_watching_viewer_suspects_nobody() {
    let mut config = config();
    config.viewer_only = true;
    config.has_initial_prompt = true;
    let mut world = World::new(config);
    world.connect();
    world.run_for(secs(600));
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn a_session_started_with_a_prompt_owes_an_answer_from_the_start() {
    let mut config = config();
    config.has_initial_prompt = true;
    let mut world = World::new(config);
    world.connect();
    world.run_for(secs(65));
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn a_forced_reconnect_cuts_a_long_wait_short() {
    let mut world = live();
    world.server().go_down();
    world.run_for(secs(3600));
    world.server().come_up();
    world.run_until(secs(120), |world| {
        matches!(world.status(), Status::Waiting { .. })
    });
    let before = world.elapsed();
    world.reconnect().unwrap();
    world.run_until_live();
    assert!(world.elapsed() - before < secs(1));
}

#[test]
fn after_a_wake_up_a_long_wait_is_cut_short() {
    let mut world = live();
    world.server().go_down();
    world.run_for(secs(3600));
    world.server().come_up();
    world.run_until(secs(120), |world| {
        matches!(world.status(), Status::Waiting { .. })
    });
    world.run_for(secs(10));
    let before = world.elapsed();
    world.wake();
    world.run_until_live();
    assert!(world.elapsed() - before < secs(1));
}

#[test]
fn many_wake_ups_are_not_many_attempts() {
    let mut world = live();
    world.server().go_down();
    world.run_for(secs(60));
    let before = world.attempts().len();
    for _ in 0..1000 {
        world.wake();
        world.run_for(millis(10));
    }
    assert!(
        world.attempts().len() - before < 15,
        "{:?}",
        world.attempts()
    );
}

#[test]
fn events_are_bounded_in_bytes_too() {
    let mut config = config();
    config.limits.event_bytes = 10_000;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    world.read_events(Reading::NotAtAll);
    let ids: Vec<String> = (0..30).map(|number| format!("u{number}")).collect();
    for id in &ids {
        let filler = "x".repeat(3000);
        world.server().emit(&format!(
            r#"{{"type":"assistant","uuid":"{id}","x":"{filler}"}}"#
        ));
    }
    world.run_for(secs(10));
    assert!(!world.viewer().wants_read());
    world.read_events(Reading::Eagerly);
    world.run_for(secs(10));
    assert_eq!(world.messages(), ids);
}

#[test]
fn a_silent_agent_is_suspected_once_a_send() {
    let mut world = live();
    world.server().echoes = 0;
    world.send("hello");
    world.run_for(secs(1800));
    assert_eq!(world.opens().len(), 2);
    world.send("are you there?");
    world.run_for(secs(1800));
    assert_eq!(world.opens().len(), 3);
}
