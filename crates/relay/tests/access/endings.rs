//! What a credential has opened is closed when it is good no more.

use core::time::Duration;

use attache_protocol::SessionId;
use attache_relay::{RelayOptions, Role};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::{
    people::{Place, Who, guest},
    workers::send,
    world::{Viewer, request, soon},
};

/// A socket and a stream with one token.
struct Open {
    viewer: Viewer,
    stream: Incoming,
}

impl Open {
    async fn with(place: &Place, token: &str) -> Self {
        let session = &place.world.session;
        let url = place.world.subscribe_url(&session.v1());
        let mut viewer = Viewer::connect(&url, Some(token)).await;
        let hello = viewer.next_of_any_kind().await.unwrap();
        assert!(hello.contains("keep_alive"));
        let path = stream_path(session);
        let url = format!("http://{}{path}", place.world.address);
        let mut stream = send("GET", &url, token, "", &[]).await;
        assert_eq!(stream.status(), 200);
        let opening = soon(stream.body_mut().frame()).await;
        assert!(opening.is_some());
        Self {
            viewer,
            stream: stream.into_body(),
        }
    }

    async fn ends(mut self) {
        let (code, reason) = soon(self.viewer.closed()).await;
        assert_eq!(code, 4003);
        assert_eq!(reason, "the token has expired or was revoked");
        let rest = async { while self.stream.frame().await.is_some() {} };
        soon(rest).await;
    }

    async fn is_open(&mut self) {
        self.viewer.send(&request("r", "initialize")).await;
        let answered = async { while !self.viewer.frame().await.contains("\"r\"") {} };
        soon(answered).await;
    }
}

fn stream_path(session: &SessionId) -> String {
    format!("/v1/code/sessions/{}/events/stream", session.v2())
}

#[tokio::test]
async fn a_revoked_token_ends_what_it_has_opened_and_nothing_else() {
    let place = Place::open().await;
    let eve = place.file.add("eve", Role::View, None).unwrap();
    let eves = Open::with(&place, eve.expose()).await;
    let mut others = Open::with(&place, place.person(Role::View)).await;
    place.file.revoke("eve").unwrap();
    eves.ends().await;
    let path = stream_path(&place.world.session);
    assert_eq!(place.ask(eve.expose(), "GET", &path, "").await.0, 401);
    others.is_open().await;
}

#[tokio::test]
async fn a_revoked_share_ends_what_it_has_opened_at_once() {
    let place = Place::open().await;
    let session = &place.world.session;
    let share = place.share(session, Role::Drive, 60).await;
    let open = Open::with(&place, &guest(&share)).await;
    let other = place.share(session, Role::View, 60).await;
    let mut others = Open::with(&place, &guest(&other)).await;
    place.revoke_share(session, &share).await;
    open.ends().await;
    others.is_open().await;
}

#[tokio::test]
async fn a_share_that_expires_ends_what_it_has_opened() {
    let place = Place::open().await;
    let share = place.share(&place.world.session, Role::View, 1).await;
    let open = Open::with(&place, &guest(&share)).await;
    open.ends().await;
    let path = stream_path(&place.world.session);
    let (status, body) = place.ask(&guest(&share), "GET", &path, "").await;
    assert_eq!(status, 401);
    assert_eq!(
        body["error"]["message"],
        "the token has expired; ask for a new one"
    );
}

#[tokio::test]
async fn a_workers_stream_ends_with_its_token() {
    let mut options = RelayOptions::default();
    options.worker_token_ttl = Duration::from_secs(1);
    let place = Place::with(options).await;
    let held = place.token(Who::Worker, &place.world.session).await;
    let path = format!(
        "http://{}/v1/code/sessions/{}/worker/events/stream",
        place.world.address,
        place.world.session.v2()
    );
    let mut stream = send("GET", &path, &held.token.unwrap(), "", &[]).await;
    assert_eq!(stream.status(), 200);
    let rest = async { while stream.body_mut().frame().await.is_some() {} };
    soon(rest).await;
}

#[tokio::test]
async fn nothing_is_taken_from_whoever_was_thrown_out() {
    let place = Place::open().await;
    let session = &place.world.session;
    let agent = place.world.relay.attach_agent(session).await.unwrap();
    let share = place.share(session, Role::Drive, 60).await;
    let url = place.world.subscribe_url(&session.v1());
    let mut viewer = Viewer::connect(&url, Some(&guest(&share))).await;
    let hello = viewer.next_of_any_kind().await.unwrap();
    assert!(hello.contains("keep_alive"));
    place.revoke_share(session, &share).await;
    assert_eq!(soon(viewer.closed()).await.0, 4003);
    let path = format!("/v1/sessions/{session}/events");
    let body = format!(r#"{{"events":[{}]}}"#, request("late", "interrupt"));
    let (status, _) = place.ask(&guest(&share), "POST", &path, &body).await;
    assert_eq!(status, 401);
    let (_, log) = place.ask(place.person(Role::View), "GET", &path, "").await;
    assert_eq!(log["data"], serde_json::json!([]));
    drop(agent);
}
