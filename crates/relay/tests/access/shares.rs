//! Letting somebody else into a session.

use attache_relay::Role;
use serde_json::Value;

use crate::people::{Place, guest};

async fn shares(place: &Place) -> Vec<Value> {
    let path = format!("/v1/sessions/{}/shares", place.world.session);
    let (status, list) = place.ask(place.person(Role::Own), "GET", &path, "").await;
    assert_eq!(status, 200, "{list}");
    list["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_share_is_listed_without_its_token_until_it_is_taken_back() {
    let place = Place::open().await;
    let session = &place.world.session;
    let made = place.share(session, Role::Approve, 60).await;
    assert!(guest(&made).starts_with("attache_share_"));
    let listed = shares(&place).await;
    assert_eq!(listed.len(), 1);
    for field in ["id", "role", "name", "expires_at", "session_id"] {
        assert_eq!(listed[0][field], made[field], "{field}");
    }
    assert_eq!(
        (&listed[0]["role"], &listed[0]["name"]),
        (&"approve".into(), &"eve".into())
    );
    assert!(listed[0].get("token").is_none());
    place.revoke_share(session, &made).await;
    assert!(shares(&place).await.is_empty());
}

#[tokio::test]
async fn a_share_outlives_the_relay() {
    let place = Place::open().await;
    let share = place.share(&place.world.session, Role::View, 60).await;
    let path = format!("/v1/sessions/{}", place.world.session);
    let world = place.world.restarted().await;
    let url = format!("http://{}{path}", world.address);
    let answer = crate::workers::send("GET", &url, &guest(&share), "", &[]).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_share_that_gives_too_much_is_refused() {
    let place = Place::open().await;
    let path = format!("/v1/sessions/{}/shares", place.world.session);
    for body in [
        r#"{"role":"own","ttl_seconds":60}"#,
        r#"{"role":"root","ttl_seconds":60}"#,
        r#"{"role":"view","ttl_seconds":0}"#,
        r#"{"role":"view","ttl_seconds":99999999999}"#,
        r#"{"role":"view"}"#,
        r#"{"role":"view","ttl_seconds":60,"name":"a\nb"}"#,
        r#"{"role":"view","ttl_seconds":60,"name":" "}"#,
        "",
    ] {
        let (status, answer) = place
            .ask(place.person(Role::Own), "POST", &path, body)
            .await;
        assert_eq!(
            (status, &answer["error"]["type"]),
            (400, &"invalid_request_error".into()),
            "{body}"
        );
    }
    assert!(shares(&place).await.is_empty());
    let unknown = "/v1/sessions/session_unknown/shares";
    let good = r#"{"role":"view","ttl_seconds":60}"#;
    assert_eq!(
        place
            .ask(place.person(Role::Own), "POST", unknown, good)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_session_has_so_many_shares_at_one_time() {
    let place = Place::open().await;
    let session = &place.world.session;
    for _ in 0..99 {
        place.share(session, Role::View, 60).await;
    }
    let last = place.share(session, Role::View, 60).await;
    let path = format!("/v1/sessions/{session}/shares");
    let body = r#"{"role":"view","ttl_seconds":60}"#;
    assert_eq!(
        place
            .ask(place.person(Role::Own), "POST", &path, body)
            .await
            .0,
        409
    );
    place.revoke_share(session, &last).await;
    place.share(session, Role::View, 60).await;
}
