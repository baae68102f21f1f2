//! What the application says reaches the server.

use std::time::Duration;

use attache_protocol::{
    frame::control::Fields,
    viewer::{Content, Decision, Event, RequestOutcome, SendState},
};
use attache_tokio::StaticToken;

use crate::{
    server::Server,
    viewer::{attach, attach_with, config, options},
};

#[tokio::test]
async fn a_prompt_is_answered() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    peer.text(r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"},"tool_use_id":"t1"}}"#)
        .await;
    let request_id = attached
        .sees(|event| match event {
            Event::PermissionRequested(prompt) => Some(prompt.request_id().clone()),
            _ => None,
        })
        .await;

    attached
        .session
        .decide(request_id, Decision::allow())
        .await
        .unwrap();

    let answer = peer.hears_json().await;
    assert_eq!(answer["type"], "control_response");
    assert_eq!(answer["response"]["request_id"], "r1");
    assert_eq!(answer["response"]["response"]["behavior"], "allow");
}

#[tokio::test]
async fn a_message_is_posted_and_accepted() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let _peer = server.peer().await;

    let id = attached.session.send(Content::text("hello")).await.unwrap();

    let call = server.call().await;
    assert_eq!(call.path, "/v1/sessions/session_test/events");
    assert_eq!(call.headers["authorization"], "Bearer hunter2");
    assert_eq!(call.headers["content-type"], "application/json");
    let event = &call.json()["events"][0];
    assert_eq!(event["uuid"], id.as_str());
    assert_eq!(event["message"]["content"], "hello");
    call.answer(201, "{}");
    let accepted = attached
        .sees(|event| match event {
            Event::Send {
                id,
                state: SendState::Accepted,
            } => Some(id),
            _ => None,
        })
        .await;
    assert_eq!(accepted, id);
}

#[tokio::test]
async fn a_request_gets_its_one_outcome() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    peer.says("live").await;
    attached.sees_message().await;

    let fields = Fields::parse(r#"{"model":"m"}"#).unwrap();
    let id = attached.session.request("set_model", fields).await.unwrap();

    let asked = peer.hears_json().await;
    assert_eq!(asked["request"]["subtype"], "set_model");
    assert_eq!(asked["request"]["model"], "m");
    peer.text(format!(
        "{{\"type\":\"control_response\",\"response\":{{\"subtype\":\"success\",\"request_id\":\"{id}\"}}}}"
    ))
    .await;
    let outcome = attached
        .sees(|event| match event {
            Event::Request {
                request_id,
                outcome,
            } if request_id == id => Some(outcome),
            _ => None,
        })
        .await;
    assert_eq!(outcome, RequestOutcome::Succeeded(None));
}

#[tokio::test]
async fn waking_up_probes_the_connection() {
    let mut server = Server::start();
    let mut config = config();
    config.liveness.probe_deadline = Duration::from_millis(50);
    let token = StaticToken::new("hunter2");
    let mut attached = attach_with(config, options(server.address()), token);
    let mut first = server.peer().await;
    first.says("live").await;
    attached.sees_message().await;

    // The peer is not polled, so it never answers the probe.
    attached.session.woke();

    let _second = server.peer().await;
}

#[tokio::test]
async fn what_a_slow_peer_does_not_take_yet_is_kept_whole_and_in_order() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    peer.says("live").await;
    attached.sees_message().await;
    // More than all buffers on the way hold.
    let padding = "x".repeat(1024 * 1024);

    for number in 0..30 {
        let fields = format!("{{\"number\":{number},\"padding\":\"{padding}\"}}");
        let fields = Fields::parse(fields).unwrap();
        attached.session.request("anything", fields).await.unwrap();
    }

    for number in 0..30 {
        let asked = peer.hears_json().await;
        assert_eq!(asked["request"]["number"], number);
    }
}
