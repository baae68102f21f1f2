//! What the application says reaches the server.

use std::time::{Duration, Instant};

use attache_blocking::StaticToken;
use attache_protocol::{
    frame::control::Fields,
    viewer::{Content, Decision, Event, RequestOutcome, SendState, Status},
};

use crate::{
    server::{LIMIT, Server, started},
    viewer::{attach, attach_with, config, options},
};

#[test]
fn a_prompt_is_answered() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    peer.text(r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"},"tool_use_id":"t1"}}"#);
    let request_id = attached.sees(|event| match event {
        Event::PermissionRequested(prompt) => Some(prompt.request_id().clone()),
        _ => None,
    });

    let decision = Decision::allow();
    attached.session.decide(request_id, decision).unwrap();

    let answer = peer.hears_json();
    assert_eq!(answer["type"], "control_response");
    assert_eq!(answer["response"]["request_id"], "r1");
    assert_eq!(answer["response"]["response"]["behavior"], "allow");
}

#[test]
fn a_message_is_posted_and_accepted() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let _peer = server.peer();

    let id = attached.session.send(Content::text("hello")).unwrap();

    let call = server.call();
    assert_eq!(call.path, "/v1/sessions/session_test/events");
    assert_eq!(call.headers["authorization"], "Bearer hunter2");
    assert_eq!(call.headers["content-type"], "application/json");
    assert_eq!(call.headers["host"], server.address().to_string());
    assert!(!call.headers.contains_key("accept-encoding"));
    let event = &call.json()["events"][0];
    assert_eq!(event["uuid"], id.as_str());
    assert_eq!(event["message"]["content"], "hello");
    call.answer(201, "{}");
    let accepted = attached.sees(|event| match event {
        Event::Send {
            id,
            state: SendState::Accepted,
        } => Some(id),
        _ => None,
    });
    assert_eq!(accepted, id);
}

#[test]
fn a_request_gets_its_one_outcome() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    peer.says("live");
    attached.sees_message();

    let fields = Fields::parse(r#"{"model":"m"}"#).unwrap();
    let id = attached.session.request("set_model", fields).unwrap();

    let asked = peer.hears_json();
    assert_eq!(asked["request"]["subtype"], "set_model");
    assert_eq!(asked["request"]["model"], "m");
    peer.text(format!(
        "{{\"type\":\"control_response\",\"response\":{{\"subtype\":\"success\",\"request_id\":\"{id}\"}}}}"
    ));
    let outcome = attached.sees(|event| match event {
        Event::Request {
            request_id,
            outcome,
        } if request_id == id => Some(outcome),
        _ => None,
    });
    assert_eq!(outcome, RequestOutcome::Succeeded(None));
}

#[test]
fn a_command_wakes_the_driver_at_once_while_the_socket_is_idle() {
    const OFTEN: usize = 50;
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    peer.says("live");
    attached.sees_message();

    let mut took = Vec::new();
    for _ in 0..OFTEN {
        let began = Instant::now();
        attached
            .session
            .request("anything", Fields::parse("{}").unwrap())
            .unwrap();
        assert_eq!(peer.hears_json()["request"]["subtype"], "anything");
        took.push(began.elapsed());
    }

    // From the command until the server has read it. The machine may be busy with something else, but
    // not half of the time.
    took.sort_unstable();
    let median = took[OFTEN / 2];
    println!("a command takes {median:?}, at most {:?}", took[OFTEN - 1]);
    assert!(median < Duration::from_millis(20), "{took:?}");
}

#[test]
fn waking_up_probes_the_connection() {
    let server = Server::start();
    let mut config = config();
    config.liveness.probe_deadline = Duration::from_millis(50);
    let token = StaticToken::new("hunter2");
    let mut attached = attach_with(config, options(server.address()), token);
    let mut first = server.peer();
    first.says("live");
    attached.sees_message();

    // Nobody reads from the peer, so it never answers the probe.
    attached.session.woke();

    let _second = server.peer();
}

#[test]
fn what_a_slow_peer_does_not_take_yet_is_kept_whole_and_in_order() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    peer.says("live");
    attached.sees_message();
    // More than all buffers on the way hold.
    let padding = "x".repeat(1024 * 1024);

    for number in 0..30 {
        let fields = format!("{{\"number\":{number},\"padding\":\"{padding}\"}}");
        let fields = Fields::parse(fields).unwrap();
        attached.session.request("anything", fields).unwrap();
    }

    for number in 0..30 {
        let asked = peer.hears_json();
        assert_eq!(asked["request"]["number"], number);
    }
}

#[test]
fn a_status_is_waited_for_and_seen_once() {
    let server = Server::start();
    let attached = attach(server.address());
    let mut session = attached.session.clone();
    let live = started(move || {
        while session.status_changed().unwrap() != Status::Live {}
        session
    });
    let mut peer = server.peer();
    let mut session = live.recv_timeout(LIMIT).unwrap();
    let next = started(move || session.status_changed());

    peer.close(1001, "restart");

    let next = next.recv_timeout(LIMIT).unwrap().unwrap();
    assert_ne!(next, Status::Live);
}
