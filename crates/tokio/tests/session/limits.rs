//! What happens at the edges: an application that does not listen, messages that are too large, bytes
//! that come slowly.

use std::time::Duration;

use attache_protocol::{
    Bytes,
    policy::CloseCause,
    viewer::{Content, Event, Status},
};
use attache_tokio::StaticToken;
use tokio::{
    io::AsyncWriteExt as _,
    time::{MissedTickBehavior, interval},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    server::{Server, within},
    viewer::{attach, attach_with, config, options},
};

#[tokio::test]
async fn an_application_that_takes_no_events_blocks_neither_pings_nor_commands() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    for number in 0..500 {
        peer.says(&number.to_string()).await;
    }

    peer.ping(b"still there?").await;
    let pong = Message::Pong(Bytes::from_static(b"still there?"));
    assert_eq!(peer.hears().await, Some(pong));
    within(attached.session.send(Content::text("hello")))
        .await
        .unwrap();
    server.call().await.answer(200, "{}");

    for number in 0..500 {
        assert_eq!(attached.sees_message().await, number.to_string());
    }
}

#[tokio::test]
async fn a_full_queue_stops_reading_and_nothing_is_lost() {
    let mut server = Server::start();
    let mut config = config();
    config.limits.events = 10;
    let mut attached = attach_with(
        config,
        options(server.address()),
        StaticToken::new("hunter2"),
    );
    let mut peer = server.peer().await;
    // Far more than the queues hold, and the kernel's buffers beside them.
    let padding = "x".repeat(64 * 1024);
    let writer = tokio::spawn(async move {
        for number in 0..400 {
            peer.text(format!(
                "{{\"type\":\"x\",\"uuid\":\"{number}\",\"padding\":\"{padding}\"}}"
            ))
            .await;
        }
        peer
    });

    within(attached.session.send(Content::text("hello")))
        .await
        .unwrap();
    server.call().await.answer(200, "{}");
    assert!(!writer.is_finished(), "the server feels the pressure");

    for number in 0..400 {
        assert_eq!(attached.sees_message().await, number.to_string());
    }
    within(writer).await.unwrap();
}

#[tokio::test]
async fn events_that_nobody_will_take_are_thrown_away() {
    let mut server = Server::start();
    let mut config = config();
    config.limits.events = 10;
    let attached = attach_with(
        config,
        options(server.address()),
        StaticToken::new("hunter2"),
    );
    let mut peer = server.peer().await;
    drop(attached.events);
    for number in 0..1000 {
        peer.says(&number.to_string()).await;
    }

    peer.ping(b"still there?").await;

    let pong = Message::Pong(Bytes::from_static(b"still there?"));
    assert_eq!(peer.hears().await, Some(pong));
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_session_after_one_retry() {
    let mut server = Server::start();
    let mut options = options(server.address());
    options.websocket.max_message_size = 1000;
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    for _ in 0..2 {
        let mut peer = server.peer().await;
        peer.text("x".repeat(1001)).await;
        assert_eq!(peer.hears_close().await, 1009);
    }

    assert_eq!(attached.sees_closed().await, CloseCause::TooLarge);
}

#[tokio::test]
async fn a_message_of_the_largest_size_arrives() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    // More than the library's own limit for one frame.
    let padding = "x".repeat(20 * 1024 * 1024);

    peer.text(format!(
        "{{\"type\":\"x\",\"uuid\":\"large\",\"padding\":\"{padding}\"}}"
    ))
    .await;

    assert_eq!(attached.sees_message().await, "large");
}

#[tokio::test]
async fn bytes_that_make_no_message_yet_are_a_sign_of_life() {
    let mut server = Server::start();
    let mut config = config();
    config.liveness.ping_after = Duration::from_millis(200);
    config.liveness.silence_deadline = Duration::from_millis(400);
    let mut attached = attach_with(
        config,
        options(server.address()),
        StaticToken::new("hunter2"),
    );
    let mut stream = server.peer().await.into_stream();
    let text = format!("{{\"type\":\"x\",\"uuid\":\"slow\"{}}}", " ".repeat(60));
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126, "one byte of length");
    let mut beat = interval(Duration::from_millis(25));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);

    // One text frame, byte by byte, over several times the deadline for silence.
    for byte in [0x81, length].into_iter().chain(text.into_bytes()) {
        beat.tick().await;
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
    }

    let first = attached
        .sees(|event| match event {
            Event::Message(message) => Some(message.frame.uuid().unwrap().to_string()),
            Event::Status(Status::Waiting { cause, .. }) => Some(cause.to_string()),
            _ => None,
        })
        .await;
    assert_eq!(first, "slow");
}

#[tokio::test]
async fn a_peer_without_a_sign_of_life_is_left() {
    let mut server = Server::start();
    let mut config = config();
    config.liveness.ping_after = Duration::from_millis(50);
    config.liveness.silence_deadline = Duration::from_millis(150);
    let _attached = attach_with(
        config,
        options(server.address()),
        StaticToken::new("hunter2"),
    );

    // Not read from, so it never answers a ping.
    let _silent = server.peer().await;
    let _next = server.peer().await;
}
