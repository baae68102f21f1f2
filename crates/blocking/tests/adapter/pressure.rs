//! Nothing grows without a bound, in either direction, and nothing is lost for it.

use std::time::Duration;

use attache_protocol::worker::AgentState;

use crate::{
    agent::{config, message, start_with},
    server::{LIMIT, Server, started},
};

#[test]
fn an_agent_that_does_not_listen_slows_the_server_down() {
    const EVENTS: u64 = 400;
    let server = Server::start();
    let mut config = config();
    config.limits.events = 10;
    let mut bridge = start_with(config, server.address());
    let mut flow = server.welcomes();
    // Far more than the queues hold, and the kernel's buffers beside them.
    let padding = "x".repeat(64 * 1024);
    let writing = started(move || {
        for number in 1..=EVENTS {
            flow.says(
                number,
                &format!(r#"{{"type":"user","uuid":"{number}","padding":"{padding}"}}"#),
            );
        }
        flow
    });

    // Commands and uploads pass all the same.
    bridge.session.report(AgentState::Running).unwrap();
    bridge.uploads("a1");
    let upload = server.asked("POST", "/worker/events");
    upload.answer(200, "{}");
    let pressed = writing.recv_timeout(Duration::from_millis(200));
    assert!(pressed.is_err(), "the server feels the pressure");

    for number in 1..=EVENTS {
        let inbound = bridge.sees_inbound();
        assert_eq!(inbound.event_id.as_str(), format!("e{number}"));
        // The worker tells of every one.
        while let Ok(call) = server.calls.try_recv() {
            call.answer(200, "{}");
        }
    }
    writing.recv_timeout(LIMIT).unwrap();
}

#[test]
fn a_server_that_takes_nothing_slows_the_agent_down() {
    let server = Server::start();
    let mut config = config();
    config.limits.uploads = 4;
    config.limits.batch = 4;
    let bridge = start_with(config, server.address());
    let _flow = server.welcomes();
    // Four in the queue, one in line.
    for number in 0..5 {
        bridge.uploads(&number.to_string());
    }
    let first = server.asked("POST", "/worker/events");

    let session = bridge.session.clone();
    let rest = started(move || {
        for number in 5..50 {
            let text = message(&number.to_string()).into();
            session.upload(text).unwrap();
        }
    });
    let pressed = rest.recv_timeout(Duration::from_millis(100));
    assert!(pressed.is_err(), "there is no room");

    let mut uploaded = first.uuids();
    first.answer(200, "{}");
    while uploaded.len() < 50 {
        let call = server.asked("POST", "/worker/events");
        assert!(call.uuids().len() <= 4);
        uploaded.extend(call.uuids());
        call.answer(200, "{}");
    }
    rest.recv_timeout(LIMIT).unwrap();
    let sent: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(uploaded, sent);
}

#[test]
fn what_cannot_be_uploaded_before_the_start_waits() {
    let server = Server::start();
    let bridge = start_with(config(), server.address());
    bridge.uploads("early");

    let _flow = server.welcomes();

    let upload = server.asked("POST", "/worker/events");
    assert_eq!(upload.uuids(), ["early"]);
}
