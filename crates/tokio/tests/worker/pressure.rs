//! Nothing grows without a bound, in either direction, and nothing is lost for it.

use std::time::Duration;

use attache_protocol::worker::AgentState;
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::{
    agent::{config, message, start_with},
    server::{Server, within},
};

#[tokio::test]
async fn an_agent_that_does_not_listen_slows_the_server_down() {
    const EVENTS: u64 = 400;
    let mut server = Server::start().await;
    let mut config = config();
    config.limits.events = 10;
    let mut bridge = start_with(config, server.address());
    let flow = server.welcomes().await;
    // Far more than the queues hold, and the kernel's buffers beside them.
    let padding = "x".repeat(64 * 1024);
    let mut writer = tokio::spawn(async move {
        for number in 1..=EVENTS {
            flow.says(
                number,
                &format!(r#"{{"type":"user","uuid":"{number}","padding":"{padding}"}}"#),
            )
            .await;
        }
        flow
    });

    // Commands and uploads pass all the same.
    bridge.session.report(AgentState::Running).await.unwrap();
    bridge.uploads("a1").await;
    let upload = server.asked("POST", "/worker/events").await;
    upload.answer(200, "{}");
    let pressed = timeout(Duration::from_millis(200), &mut writer).await;
    assert!(pressed.is_err(), "the server feels the pressure");

    for number in 1..=EVENTS {
        let inbound = bridge.sees_inbound().await;
        assert_eq!(inbound.event_id.as_str(), format!("e{number}"));
        // The worker tells of every one.
        while let Some(call) = server.call().now_or_never() {
            call.answer(200, "{}");
        }
    }
    within(writer).await.unwrap();
}

#[tokio::test]
async fn a_server_that_takes_nothing_slows_the_agent_down() {
    let mut server = Server::start().await;
    let mut config = config();
    config.limits.uploads = 4;
    config.limits.batch = 4;
    let bridge = start_with(config, server.address());
    let _flow = server.welcomes().await;
    // Four in the queue, one in line.
    for number in 0..5 {
        bridge.uploads(&number.to_string()).await;
    }
    let first = server.asked("POST", "/worker/events").await;

    // No more is taken, and who gives up has uploaded nothing.
    for _ in 0..3 {
        let upload = bridge.session.upload(message("given up").into());
        let waited = timeout(Duration::from_millis(50), upload).await;
        assert!(waited.is_err(), "there is no room");
    }
    let session = bridge.session.clone();
    let rest = tokio::spawn(async move {
        for number in 5..50 {
            let text = message(&number.to_string()).into();
            session.upload(text).await.unwrap();
        }
    });

    let mut uploaded = first.uuids();
    first.answer(200, "{}");
    while uploaded.len() < 50 {
        let call = server.asked("POST", "/worker/events").await;
        assert!(call.uuids().len() <= 4);
        uploaded.extend(call.uuids());
        call.answer(200, "{}");
    }
    within(rest).await.unwrap();
    let sent: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(uploaded, sent);
}

#[tokio::test]
async fn what_cannot_be_uploaded_before_the_start_waits() {
    let mut server = Server::start().await;
    let bridge = start_with(config(), server.address());
    bridge.uploads("early").await;

    let _flow = server.welcomes().await;

    let upload = server.asked("POST", "/worker/events").await;
    assert_eq!(upload.uuids(), ["early"]);
}
