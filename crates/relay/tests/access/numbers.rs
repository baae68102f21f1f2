//! Whether the relay works, and its numbers.

use attache_relay::{Relay, SqliteStore, Store as _};
use axum::{body::Body, http::Request};
use tower::ServiceExt as _;

use crate::{
    workers::{read, send},
    world::{TOKEN, Viewer, World, assistant, options, soon, text, user},
};

/// The value of a number, once it is `wanted`.
async fn becomes(world: &World, name: &str, wanted: &str) {
    let line = format!("{name} {wanted}");
    let shown = async {
        loop {
            let (status, text) = world.get("/metrics").await;
            assert_eq!(status, 200, "{text}");
            if text.lines().any(|shown| shown == line) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    soon(shown).await;
}

#[tokio::test]
async fn a_relay_that_works_says_so_to_anybody() {
    let mut world = World::new().await;
    let url = format!("http://{}/healthz", world.address);
    let (status, body) = read(send("GET", &url, "", "", &[]).await).await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &"ok".into()));
    world.stop.take();
    let _ = soon(&mut world.serving).await;
    assert_eq!(world.get("/healthz").await.0, 503);
}

#[tokio::test]
async fn everything_that_happens_is_counted() {
    let world = World::new().await;
    let viewer = world.viewer().await;
    let worker = world.worker().await;
    let stream = worker.stream(None).await;
    becomes(&world, "attache_sessions", "1").await;
    becomes(&world, "attache_workers", "1").await;
    becomes(&world, "attache_viewers{transport=\"websocket\"}", "1").await;

    world
        .post_events(&[&user("u1"), &user("u1"), &user("u2")])
        .await;
    worker.upload(&[assistant("a1")]).await;
    becomes(&world, "attache_events_in_total{from=\"viewer\"}", "2").await;
    becomes(&world, "attache_events_in_total{from=\"agent\"}", "1").await;
    becomes(&world, "attache_append_seconds_count", "2").await;
    becomes(&world, "attache_events_out_total{to=\"worker\"}", "2").await;

    let url = format!("http://{}/v1/sessions", world.address);
    assert_eq!(send("GET", &url, "wrong", "", &[]).await.status(), 401);
    becomes(
        &world,
        "attache_refused_total{reason=\"unauthenticated\"}",
        "1",
    )
    .await;
    let url = world.subscribe_url(&world.session.v1());
    assert_eq!(
        Viewer::connect(&url, Some("wrong")).await.closed().await.0,
        4003
    );
    becomes(
        &world,
        "attache_refused_total{reason=\"unauthorized\"}",
        "1",
    )
    .await;

    drop(viewer);
    becomes(&world, "attache_viewers{transport=\"websocket\"}", "0").await;
    drop(stream);
}

#[tokio::test]
async fn a_slow_viewer_is_counted_when_it_is_dropped() {
    let mut options = options();
    options.viewer_buffer_frames = 4;
    let world = World::with(options).await;
    let mut viewer = world.viewer().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let frames: Vec<_> = (0..64)
        .map(|number| assistant(&format!("a{number}")))
        .collect();
    for frame in &frames {
        agent
            .publish(&frame.replace("[]", &format!("[\"{}\"]", "x".repeat(1 << 20))))
            .await
            .unwrap();
    }
    assert_eq!(viewer.closed().await.0, 1013);
    becomes(&world, "attache_dropped_total{reason=\"too_slow\"}", "1").await;
}

#[tokio::test]
async fn what_the_store_counts_is_shown_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(SqliteStore::open(folder.path()).unwrap());
    let relay = Relay::new(store.clone(), options());
    relay.create_session("a test").await.unwrap();
    let request = Request::get("/metrics")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Body::empty());
    let answer = soon(relay.router().oneshot(request.unwrap()))
        .await
        .unwrap();
    let (_, text) = text(answer).await;
    let commits = store.commits().unwrap().commits;
    assert!(commits > 0);
    for line in [
        format!("attache_commit_seconds_count {commits}"),
        format!("attache_commit_seconds_bucket{{le=\"+Inf\"}} {commits}"),
        "attache_commit_failures_total 0".to_owned(),
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
    }
}
