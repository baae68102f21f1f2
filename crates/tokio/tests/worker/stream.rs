//! The stream of what people send: how it opens, flows and ends.

use std::time::Duration;

use attache_protocol::{io::NetworkFailure, policy::Outcome, worker::WorkerStatus};

use crate::{
    agent::{config, start, start_with},
    server::Server,
};

#[tokio::test]
async fn a_stream_that_ends_is_opened_again_where_it_was() {
    let mut server = Server::start().await;
    let mut bridge = start(server.address());
    let flow = server.welcomes().await;
    flow.says_message(7).await;
    bridge.sees_inbound().await;
    drop(flow);

    let ended = WorkerStatus::Deaf {
        cause: Outcome::Network(NetworkFailure::Ended),
    };
    assert_eq!(bridge.sees_deaf().await, ended);
    let flow = server.asked("GET", "/worker/events/stream").await.flows();

    assert!(flow.path.ends_with("from_sequence_num=7"));
    assert_eq!(flow.headers["last-event-id"], "7");
    flow.says_message(7).await;
    flow.says_message(8).await;
    assert_eq!(bridge.sees_inbound().await.event_id.as_str(), "e8");
}

#[tokio::test]
async fn a_stream_that_breaks_in_the_middle_of_an_event_is_opened_again() {
    let mut server = Server::start().await;
    let mut bridge = start(server.address());
    let flow = server.welcomes().await;
    flow.says_message(1).await;
    bridge.sees_inbound().await;
    flow.sends("event: client_event\nid: 2\ndata: {\"event")
        .await;
    flow.breaks().await;

    let broken = bridge.sees_deaf().await;
    let flow = server.asked("GET", "/worker/events/stream").await.flows();

    let WorkerStatus::Deaf {
        cause: Outcome::Network(_),
    } = broken
    else {
        panic!("{broken:?}");
    };
    assert!(flow.path.ends_with("from_sequence_num=1"));
    flow.says_message(2).await;
    assert_eq!(bridge.sees_inbound().await.event_id.as_str(), "e2");
}

#[tokio::test]
async fn a_refusal_keeps_its_status_and_its_delay() {
    let mut server = Server::start().await;
    let mut bridge = start(server.address());
    let flow = server.welcomes().await;
    drop(flow);
    bridge.sees_deaf().await;

    let refused = server.asked("GET", "/worker/events/stream").await;
    refused.answer_with(503, &[("retry-after", "0")], "busy");

    let busy = WorkerStatus::Deaf {
        cause: Outcome::Http {
            status: 503,
            retry_after: Some(Duration::ZERO),
        },
    };
    assert_eq!(bridge.sees_deaf().await, busy);
    let _flow = server.asked("GET", "/worker/events/stream").await.flows();
    bridge.sees_running().await;
}

#[tokio::test]
async fn bytes_that_make_no_event_are_a_sign_of_life_and_silence_is_none() {
    let mut server = Server::start().await;
    let mut config = config();
    config.liveness.stream_silence = Duration::from_millis(500);
    let mut bridge = start_with(config, server.address());
    let flow = server.welcomes().await;
    bridge.sees_running().await;

    let mut beat = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..15 {
        beat.tick().await;
        assert!(flow.sends(":").await, "the worker listens");
    }
    assert_eq!(bridge.session.status(), WorkerStatus::Running);

    flow.is_left().await;
    let silent = WorkerStatus::Deaf {
        cause: Outcome::Network(NetworkFailure::TimedOut),
    };
    assert_eq!(bridge.sees_deaf().await, silent);
    server
        .asked("GET", "/worker/events/stream")
        .await
        .flows()
        .says_message(1)
        .await;
    bridge.sees_inbound().await;
}

#[tokio::test]
async fn an_event_arrives_however_it_is_cut_and_however_large_it_is() {
    let mut server = Server::start().await;
    let mut bridge = start(server.address());
    let flow = server.welcomes().await;
    let small = "event: client_event\r\nid: 1\r\ndata: {\"event_id\":\"e1\",\"payload\":{\"type\":\"user\"}}\r\n\r\n";
    for byte in small.bytes() {
        assert!(flow.sends(vec![byte]).await);
    }
    assert_eq!(bridge.sees_inbound().await.event_id.as_str(), "e1");

    let padding = "x".repeat(5 * 1024 * 1024);
    let large = format!(r#"{{"type":"user","uuid":"u","padding":"{padding}"}}"#);
    flow.says(2, &large).await;
    assert_eq!(bridge.sees_inbound().await.frame.as_str(), large);
}
