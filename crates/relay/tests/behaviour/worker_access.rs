//! A worker's token opens its own session's worker endpoints, and nothing else.

use core::time::Duration;

use attache_relay::Credentials;
use serde_json::Value;

use crate::{
    workers::{Worker, read, send},
    world::{TOKEN, Viewer, World, assistant, options},
};

#[tokio::test]
async fn only_a_worker_of_the_session_may_call_the_workers_endpoints() {
    let world = World::new().await;
    let other = world.relay.create_session("another").await.unwrap();
    let own = world.worker().await;
    let stranger = world.worker_of(&other).await;
    let with = |token: &str| Worker {
        token: token.to_owned(),
        ..own.clone()
    };
    let mut forged = own.token.clone();
    forged.truncate(forged.len() - 2);
    for (token, status, kind) in [
        (stranger.token.as_str(), 403, "permission_error"),
        (TOKEN, 401, "authentication_error"),
        ("", 401, "authentication_error"),
        (forged.as_str(), 401, "authentication_error"),
    ] {
        let worker = with(token);
        for (refused, body) in [
            worker.get().await,
            worker.put(Value::Object(serde_json::Map::new())).await,
            worker.upload(&[assistant("a1")]).await,
            worker.acknowledge("u1", "processed").await,
            worker.heartbeat().await,
            read(worker.try_stream("", &[]).await).await,
        ] {
            assert_eq!(refused, status, "{body}");
            assert_eq!(body["error"]["type"], kind);
        }
    }
    assert!(world.log().await.is_empty());
    assert_eq!(own.heartbeat().await.0, 200);
}

#[tokio::test]
async fn a_workers_token_opens_nothing_of_a_persons() {
    for credentials in [options().credentials, Credentials::Open] {
        let mut options = options();
        options.credentials = credentials;
        let world = World::with(options).await;
        let worker = world.worker().await;
        let (v1, v2) = (world.session.v1(), world.session.v2());
        for (method, path) in [
            ("GET", "/v1/sessions".to_owned()),
            ("GET", format!("/v1/sessions/{v1}")),
            ("PATCH", format!("/v1/sessions/{v1}")),
            ("GET", format!("/v1/sessions/{v1}/events")),
            ("POST", format!("/v1/sessions/{v1}/events")),
            ("GET", "/v1/code/sessions".to_owned()),
            ("POST", "/v1/code/sessions".to_owned()),
            ("GET", format!("/v1/code/sessions/{v2}")),
            ("POST", format!("/v1/code/sessions/{v2}/bridge")),
        ] {
            let (status, body) = world.as_worker(&worker, method, &path).await;
            assert_eq!(status, 403, "{method} {path}: {body}");
        }
        let url = world.subscribe_url(&v1);
        let mut by_header = Viewer::connect(&url, Some(&worker.token)).await;
        assert_eq!(by_header.closed().await.0, 4003);
        let mut by_frame = Viewer::connect(&url, None).await;
        let token = &worker.token;
        let auth =
            format!(r#"{{"type":"auth","credential":{{"type":"oauth","token":"{token}"}}}}"#);
        by_frame.send(&auth).await;
        assert_eq!(by_frame.closed().await.0, 4003);
        assert_eq!(worker.heartbeat().await.0, 200, "it was not fenced");
    }
}

#[tokio::test]
async fn an_expired_token_opens_nothing() {
    let mut options = options();
    options.worker_token_ttl = Duration::ZERO;
    let world = World::with(options).await;
    let worker = world.worker().await;
    assert_eq!(worker.expires_in, 0);
    let archive = format!("/v1/sessions/{}/archive", world.session);
    for (status, body) in [
        worker.get().await,
        worker.upload(&[assistant("a1")]).await,
        worker.heartbeat().await,
        read(worker.try_stream("", &[]).await).await,
        world.as_worker(&worker, "POST", &archive).await,
    ] {
        assert_eq!(status, 401, "{body}");
        assert_eq!(body["error"]["type"], "authentication_error");
    }
    let read = world.as_worker(&worker, "GET", "/v1/sessions").await;
    assert_eq!(read.0, 403);
    assert!(world.log().await.is_empty());
}

#[tokio::test]
async fn a_worker_archives_its_own_session_only() {
    let world = World::new().await;
    let other = world.relay.create_session("another").await.unwrap();
    let worker = world.worker().await;
    let mut stream = worker.stream(None).await;
    let archive = |id: &str| format!("/v1/sessions/{id}/archive");
    let refused = world
        .as_worker(&worker, "POST", &archive(&other.v1()))
        .await;
    assert_eq!(refused.0, 403);

    let own = archive(&world.session.v2());
    let (status, body) = world.as_worker(&worker, "POST", &own).await;
    assert_eq!(
        (status.as_u16(), &body["session_status"]),
        (200, &"archived".into())
    );
    assert!(stream.next().await.is_none());
    assert_eq!(world.as_worker(&worker, "POST", &own).await.0, 409);
    assert_eq!(worker.upload(&[assistant("late")]).await.0, 409);
    assert_eq!(world.bridge(&world.session).await.0, 409);
    let session = world.code_session().await;
    assert_eq!(session["status"], "archived");
    assert_eq!(session["connection_status"], "disconnected");
}

#[tokio::test]
async fn registering_takes_a_persons_token() {
    let world = World::new().await;
    let path = format!("/v1/code/sessions/{}/bridge", world.session.v2());
    let url = format!("http://{}{path}", world.address);
    assert_eq!(
        read(send("POST", &url, "wrong", "{}", &[]).await).await.0,
        401
    );
    let unknown = path.replace("cse_", "cse_unknown");
    assert_eq!(world.person("POST", &unknown, "{}").await.0, 404);
    assert_eq!(world.worker().await.epoch, 1, "nothing was counted before");
}
