//! What happens at the edges: an application that does not listen, messages that are too large, bytes
//! that come slowly.

use std::{thread, time::Duration};

use attache_blocking::StaticToken;
use attache_protocol::{
    policy::CloseCause,
    viewer::{Content, Event, Status},
};
use tungstenite::Message;

use crate::{
    server::{LIMIT, Server, started, within},
    viewer::{attach, attach_with, config, options},
};

#[test]
fn an_application_that_takes_no_events_blocks_neither_pings_nor_commands() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    for number in 0..500 {
        peer.says(&number.to_string());
    }

    peer.ping(b"still there?");
    let pong = Message::Pong(b"still there?".as_slice().into());
    assert_eq!(peer.hears(), Some(pong));
    let session = attached.session.clone();
    within(move || session.send(Content::text("hello"))).unwrap();
    server.call().answer(200, "{}");

    for number in 0..500 {
        assert_eq!(attached.sees_message(), number.to_string());
    }
}

#[test]
fn a_full_queue_stops_reading_and_nothing_is_lost() {
    let server = Server::start();
    let mut config = config();
    config.limits.events = 10;
    let token = StaticToken::new("hunter2");
    let mut attached = attach_with(config, options(server.address()), token);
    let mut peer = server.peer();
    // Far more than the queues hold, and the kernel's buffers beside them.
    let padding = "x".repeat(64 * 1024);
    let writing = started(move || {
        for number in 0..400 {
            peer.text(format!(
                "{{\"type\":\"x\",\"uuid\":\"{number}\",\"padding\":\"{padding}\"}}"
            ));
        }
        peer
    });

    let session = attached.session.clone();
    within(move || session.send(Content::text("hello"))).unwrap();
    server.call().answer(200, "{}");
    let pressed = writing.recv_timeout(Duration::from_millis(200));
    assert!(pressed.is_err(), "the server feels the pressure");

    for number in 0..400 {
        assert_eq!(attached.sees_message(), number.to_string());
    }
    writing.recv_timeout(LIMIT).unwrap();
}

#[test]
fn events_that_nobody_will_take_are_thrown_away() {
    let server = Server::start();
    let mut config = config();
    config.limits.events = 10;
    let token = StaticToken::new("hunter2");
    let attached = attach_with(config, options(server.address()), token);
    let mut peer = server.peer();
    drop(attached.events);
    for number in 0..1000 {
        peer.says(&number.to_string());
    }

    peer.ping(b"still there?");

    let pong = Message::Pong(b"still there?".as_slice().into());
    assert_eq!(peer.hears(), Some(pong));
}

#[test]
fn a_message_over_the_limit_ends_the_session_after_one_retry() {
    let server = Server::start();
    let mut options = options(server.address());
    options.websocket.max_message_size = 1000;
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    for _ in 0..2 {
        let mut peer = server.peer();
        peer.text("x".repeat(1001));
        assert_eq!(peer.hears_close(), 1009);
    }

    assert_eq!(attached.sees_closed(), CloseCause::TooLarge);
}

#[test]
fn a_message_of_the_largest_size_arrives() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    // More than the library's own limit for one frame.
    let padding = "x".repeat(20 * 1024 * 1024);

    peer.text(format!(
        "{{\"type\":\"x\",\"uuid\":\"large\",\"padding\":\"{padding}\"}}"
    ));

    assert_eq!(attached.sees_message(), "large");
}

#[test]
fn bytes_that_make_no_message_yet_are_a_sign_of_life() {
    let server = Server::start();
    let mut config = config();
    config.liveness.ping_after = Duration::from_millis(200);
    config.liveness.silence_deadline = Duration::from_millis(400);
    let token = StaticToken::new("hunter2");
    let mut attached = attach_with(config, options(server.address()), token);
    let mut peer = server.peer();
    let text = format!("{{\"type\":\"x\",\"uuid\":\"slow\"{}}}", " ".repeat(60));
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126, "one byte of length");

    // One text frame, byte by byte, over several times the deadline for silence.
    for byte in [0x81, length].into_iter().chain(text.into_bytes()) {
        // The pace is what this test is about.
        thread::sleep(Duration::from_millis(25));
        peer.raw(&[byte]);
    }

    let first = attached.sees(|event| match event {
        Event::Message(message) => Some(message.frame.uuid().unwrap().to_string()),
        Event::Status(Status::Waiting { cause, .. }) => Some(cause.to_string()),
        _ => None,
    });
    assert_eq!(first, "slow");
}

#[test]
fn a_peer_without_a_sign_of_life_is_left() {
    let server = Server::start();
    let mut config = config();
    config.liveness.ping_after = Duration::from_millis(50);
    config.liveness.silence_deadline = Duration::from_millis(150);
    let token = StaticToken::new("hunter2");
    let _attached = attach_with(config, options(server.address()), token);
    let _first = server.peer();

    let _second = server.peer();
}
