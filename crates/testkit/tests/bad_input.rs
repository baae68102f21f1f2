//! Whatever the peer sends: no panic, no end of the session, nothing lost beside it.

#![allow(
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]

use std::fmt::Write as _;

use attache_protocol::{
    SessionId,
    frame::FrameError,
    io::{Input, NetworkFailure},
    policy::CloseCause,
    viewer::{MalformedCause, Status},
};
use attache_testkit::{SECRET, Upgrade, World, config, secs};

fn live() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world
}

/// The session goes on as if nothing had been.
fn assert_unharmed(world: &mut World) {
    world.server().say("assistant", "after");
    world.run_for(secs(1));
    assert_eq!(world.messages().last(), Some(&"after"));
    assert_eq!(*world.status(), Status::Live);
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn what_is_no_frame_is_reported_and_the_session_goes_on() {
    let deep = "[".repeat(10_000);
    for text in [
        "not JSON",
        "{",
        "{}",
        "[]",
        "7",
        "null",
        r#"{"type":7}"#,
        r#"{"type":null,"uuid":"x"}"#,
        r#"{"type":["user"]}"#,
        r#"{"type":"a","type":"b"}"#,
        r#"{"type":"a"} trailing"#,
        r#"{"type":"control_response"}"#,
        r#"{"type":"control_cancel_request","request_id":7}"#,
        "\u{0}",
        &deep,
    ] {
        let mut world = live();
        world.server().blurt(text.to_owned());
        world.run_for(secs(1));
        assert_eq!(world.malformed().len(), 1, "{text:.40}");
        assert_eq!(&*world.malformed()[0].text, text);
        assert!(world.messages().is_empty());
        assert_unharmed(&mut world);
    }
}

#[test]
fn empty_messages_and_blank_lines_are_nothing_at_all() {
    let mut world = live();
    for text in ["", "\n", "\r\n \n\t\n"] {
        world.server().blurt(text);
    }
    world.run_for(secs(1));
    assert!(world.malformed().is_empty());
    assert_unharmed(&mut world);
}

#[test]
fn a_frame_10_000_levels_deep_is_delivered_as_it_came() {
    let mut world = live();
    let deep = format!(
        r#"{{"type":"novelty","uuid":"deep","x":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    world.server().blurt(deep);
    let prompt = format!(
        r#"{{"type":"control_request","request_id":"r","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"x":{}{}}}}}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    // The second copy is compared with the first, which must not eat the stack either.
    world.server().blurt(prompt.clone());
    world
        .server()
        .blurt(format!(" {}", prompt.replace("\"x\"", "\"x\" ")));
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["deep"]);
    assert_eq!(world.prompts(), ["asked r"]);
    assert_unharmed(&mut world);
}

#[test]
fn a_line_of_20_mb_is_delivered() {
    let mut world = live();
    let huge = format!(
        r#"{{"type":"user","uuid":"huge","message":"{}"}}"#,
        "x".repeat(20_000_000)
    );
    world.server().blurt(huge);
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["huge"]);
    assert_unharmed(&mut world);
}

#[test]
fn binary_frames_are_read_if_they_are_text_and_reported_if_not() {
    let mut world = live();
    world
        .server()
        .blurt_binary(br#"{"type":"assistant","uuid":"binary"}"#);
    world.server().blurt_binary(b"\xff\xfe\x00");
    world.server().blurt_binary(b"");
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["binary"]);
    let malformed = world.malformed();
    assert_eq!(malformed.len(), 1);
    assert_eq!(
        malformed[0].error,
        MalformedCause::Frame(FrameError::NotUtf8)
    );
    assert_unharmed(&mut world);
}

#[test]
fn several_frames_in_one_message_and_one_without_a_final_newline() {
    let mut world = live();
    world.server().blurt(
        "{\"type\":\"assistant\",\"uuid\":\"a\"}\n\n{\"type\":\"keep_alive\"}\r\n{\"type\":\"assistant\",\"uuid\":\"b\"}\nbroken\n{\"type\":\"assistant\",\"uuid\":\"c\"}",
    );
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["a", "b", "c"]);
    assert_eq!(world.malformed().len(), 1);
    assert_unharmed(&mut world);
}

#[test]
fn unknown_control_types_are_not_shown_as_agent_messages() {
    let mut world = live();
    world
        .server()
        .emit(r#"{"type":"control_novelty","request_id":"r","text":"I am not the agent"}"#);
    world.run_for(secs(1));
    assert!(world.messages().is_empty());
    assert_eq!(world.malformed()[0].error, MalformedCause::UnknownControl);
    assert_unharmed(&mut world);
}

#[test]
fn unknown_message_types_reach_the_application() {
    let mut world = live();
    world.server().emit(r#"{"type":"next_week","uuid":"n1"}"#);
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["n1"]);
    assert!(world.malformed().is_empty());
}

#[test]
fn a_frame_of_90_mb_is_refused_by_size_and_asked_for_once_more() {
    let mut world = live();
    world.run_for(secs(20));
    world.server().lose(NetworkFailure::TooLarge);
    world.run_for(secs(10));
    assert_eq!(world.opens().len(), 2);
    world.server().lose(NetworkFailure::TooLarge);
    world.run_until_closed();
    assert_eq!(world.opens().len(), 2);
    assert_eq!(world.closed(), Some(CloseCause::TooLarge));
}

#[test]
fn ids_that_would_change_a_url_are_refused() {
    for id in ["a/b", "a?b", "a&b", "a%2Fb", "a#b", "..", "", "a b"] {
        assert!(SessionId::parse(id).is_err(), "{id}");
    }
}

#[test]
fn ids_from_the_peer_cannot_change_a_url() {
    let mut world = live();
    world
        .server()
        .emit(r#"{"type":"assistant","uuid":"a/../b?limit=9&after_id=c d#é"}"#);
    world.run_for(secs(1));
    world.cut();
    world.server().say("assistant", "u1");
    world.run_for(secs(10));
    assert_eq!(world.messages().last(), Some(&"u1"));
    assert!(world.gaps().is_empty());
    let paths: Vec<String> = world
        .effects()
        .filter_map(|effect| match effect {
            attache_protocol::io::Effect::SendHttp { request, .. } => Some(request.path.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        paths.last().unwrap(),
        "/v1/sessions/session_story/events?limit=100&after_id=a%2F..%2Fb%3Flimit%3D9%26after_id%3Dc%20d%23%C3%A9"
    );
}

#[test]
fn secrets_and_contents_never_show_in_debug() {
    let mut config = config();
    config.credential = attache_protocol::viewer::CredentialPlacement::HeaderAndAuthFrame;
    let mut world = World::new(config);
    world.server().next_upgrade(Upgrade::AcceptThenClose(4003));
    world
        .tokens()
        .next(attache_testkit::TokenPlan::Give("other"));
    world.connect();
    let mut shown = String::new();
    for step in 0..200 {
        if step == 20 {
            world.server().every_post(attache_testkit::HttpPlan::Never);
            world.send("canary");
            world.send("canary");
            world.server().ask("r1", "canary");
            world.server().ask("r2", "canary");
            world
                .server()
                .emit(r#"{"type":"assistant","uuid":"u","message":"canary"}"#);
            world.server().blurt("canary");
        }
        if step == 40 {
            let denied = attache_protocol::viewer::Decision::deny("reasons");
            world.decide("r1", &denied).unwrap();
            world.server().freeze();
        }
        world.run_for(attache_testkit::millis(10));
        write!(shown, "{:?} {:?}", world.viewer(), world.status()).unwrap();
    }
    for event in world.events() {
        write!(shown, "{event:?}").unwrap();
    }
    for effect in world.effects() {
        write!(shown, "{effect:?}").unwrap();
    }
    for (_, call) in world.record_so_far() {
        if let attache_testkit::Call::Input(input) = call {
            write!(shown, "{input:?}").unwrap();
        }
    }
    assert!(!shown.contains(SECRET));
    assert!(!shown.contains("canary"));
}

#[test]
fn inputs_nobody_asked_for_change_nothing() {
    let mut world = live();
    let mut other = World::new(config());
    // Ids from another session's life: larger than any this one has given out.
    other.server().go_down();
    other.connect();
    other.run_for(secs(3600));
    let strange = other.socket().unwrap();
    let before = (world.events().count(), world.effects().count());
    let deadline = world.viewer().poll_timeout();
    for input in [
        Input::SocketOpened { id: strange },
        Input::SocketBytes { id: strange },
        Input::SocketPing { id: strange },
        Input::SocketPong {
            id: strange,
            payload: Some(u64::MAX),
        },
        Input::SocketText {
            id: strange,
            text: r#"{"type":"assistant","uuid":"ghost"}"#.into(),
        },
        Input::SocketRefused {
            id: strange,
            refusal: attache_protocol::io::Refusal::Network(NetworkFailure::Reset),
        },
    ] {
        world.feed(input);
    }
    assert_eq!(before, (world.events().count(), world.effects().count()));
    assert_eq!(deadline, world.viewer().poll_timeout());
}
