//! Who is let in.

use core::time::Duration;

use attache_relay::{Credentials, MemoryStore, Relay, RelayOptions, ServeError};
use axum::{body::Body, http::Request};

use crate::world::{TOKEN, Viewer, World, assistant, options, request, soon, text};

fn auth(token: &str) -> String {
    format!(r#"{{"type":"auth","credential":{{"type":"oauth","token":"{token}"}}}}"#)
}

async fn sees_frames(world: &World, mut viewer: Viewer) {
    // An answer to its own request shows that the viewer is subscribed.
    viewer.send(&request("hello", "initialize")).await;
    assert!(viewer.frame().await.contains("\"hello\""));
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&assistant("a1")).await.unwrap();
    assert_eq!(viewer.frame().await, assistant("a1"));
}

#[tokio::test]
async fn a_good_header_comes_in() {
    let world = World::new().await;
    sees_frames(&world, world.viewer().await).await;
}

#[tokio::test]
async fn a_good_auth_frame_comes_in() {
    let world = World::new().await;
    let mut viewer = Viewer::connect(&world.subscribe_url(&world.session.v1()), None).await;
    viewer.send(&auth(TOKEN)).await;
    sees_frames(&world, viewer).await;
}

#[tokio::test]
async fn frames_behind_the_auth_frame_in_one_message_are_not_lost() {
    let world = World::new().await;
    let mut viewer = Viewer::connect(&world.subscribe_url(&world.session.v1()), None).await;
    let both = format!(
        "{{\"type\":\"keep_alive\"}}\n{}\n{}",
        auth(TOKEN),
        request("i1", "initialize")
    );
    viewer.send(&both).await;
    assert!(viewer.frame().await.contains("\"i1\""));
}

#[tokio::test]
async fn an_auth_frame_beside_a_good_header_is_harmless() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    viewer.send(&auth("anything")).await;
    sees_frames(&world, viewer).await;
    assert!(
        world
            .log()
            .await
            .iter()
            .all(|frame| !frame.contains("auth"))
    );
}

#[tokio::test]
async fn bad_credentials_are_closed_with_4003() {
    let mut options = options();
    options.auth_timeout = Duration::from_millis(200);
    let world = World::with(options).await;
    let url = world.subscribe_url(&world.session.v1());

    let mut bad_header = Viewer::connect(&url, Some("wrong")).await;
    assert_eq!(bad_header.closed().await.0, 4003);
    let mut silent = Viewer::connect(&url, None).await;
    assert_eq!(silent.closed().await.0, 4003);
    for first in [
        auth("wrong"),
        auth(""),
        request("r", "initialize"),
        "nonsense".to_owned(),
    ] {
        let mut viewer = Viewer::connect(&url, None).await;
        viewer.send(&first).await;
        assert_eq!(viewer.closed().await.0, 4003, "{first}");
    }
    // Whether a session exists is no stranger's business.
    let mut stranger =
        Viewer::connect(&world.subscribe_url("session_unknown"), Some("wrong")).await;
    assert_eq!(stranger.closed().await.0, 4003);
}

#[tokio::test]
async fn an_unknown_session_is_closed_with_4001() {
    let world = World::new().await;
    for id in ["session_unknown", "a%2Fb"] {
        let mut viewer = Viewer::connect(&world.subscribe_url(id), Some(TOKEN)).await;
        assert_eq!(viewer.closed().await.0, 4001, "{id}");
    }
}

#[tokio::test]
async fn http_without_a_good_token_is_401() {
    let world = World::new().await;
    let session = format!("/v1/sessions/{}", world.session);
    for (method, path) in [
        ("GET", "/v1/sessions".to_owned()),
        ("GET", session.clone()),
        ("PATCH", session.clone()),
        ("GET", format!("{session}/events")),
        ("POST", format!("{session}/events")),
        ("POST", format!("{session}/archive")),
    ] {
        for header in [None, Some("Bearer wrong"), Some("Basic x"), Some("Bearer ")] {
            let mut request = Request::builder().method(method).uri(&path);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let response = world.raw(request.body(Body::empty()).unwrap()).await;
            let (status, body) = text(response).await;
            assert_eq!(status, 401, "{method} {path} {header:?}");
            assert!(
                body.starts_with(r#"{"type":"error","error":{"type":"authentication_error""#),
                "{body}"
            );
        }
    }
}

#[tokio::test]
async fn an_open_relay_takes_any_token_but_no_web_page() {
    let mut options = options();
    options.credentials = Credentials::Open;
    let world = World::with(options).await;
    let viewer = Viewer::connect(&world.subscribe_url(&world.session.v1()), Some("any")).await;
    sees_frames(&world, viewer).await;
    for (name, value, status) in [
        ("origin", "http://localhost:3000", 200),
        ("origin", "https://example.com", 403),
        ("host", "example.com", 403),
    ] {
        let request = Request::get("/v1/sessions")
            .header("authorization", "Bearer any")
            .header(name, value);
        let response = world.raw(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn an_open_relay_listens_on_loopback_only() {
    let mut options = RelayOptions::default();
    options.credentials = Credentials::Open;
    let relay = Relay::new(std::sync::Arc::new(MemoryStore::new()), options);
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = soon(relay.serve(listener, core::future::pending())).await;
    assert!(matches!(refused, Err(ServeError::OpenToOthers(_))));
}
