//! Sessions over HTTP.

use serde_json::Value;

use crate::world::World;

#[tokio::test]
async fn a_session_is_read_and_renamed() {
    let world = World::new().await;
    let path = format!("/v1/sessions/{}", world.session);
    let (status, body) = world.get(&path).await;
    let session: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(session["type"], "session");
    assert_eq!(session["id"], world.session.v1());
    assert_eq!(session["title"], "a test");
    let created = session["created_at"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.contains('T'), "{created}");

    let (status, body) = world.http("PATCH", &path, r#"{"title":"renamed"}"#).await;
    assert_eq!(status, 200);
    assert!(body.contains(r#""title":"renamed""#), "{body}");
    assert_eq!(world.http("PATCH", &path, r#"{"title":7}"#).await.0, 400);
}

#[tokio::test]
async fn sessions_are_listed_newest_first() {
    let world = World::new().await;
    let second = world.relay.create_session("second").await.unwrap();
    let (_, body) = world.get("/v1/sessions?limit=1").await;
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&page["data"][0]["title"], &page["has_more"]),
        (&"second".into(), &true.into())
    );
    let (_, body) = world.get(&format!("/v1/sessions?after_id={second}")).await;
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&page["data"][0]["title"], &page["has_more"]),
        (&"a test".into(), &false.into())
    );
}

#[tokio::test]
async fn what_is_not_there_is_404_in_the_wires_shape() {
    let world = World::new().await;
    for (method, path) in [
        ("GET", "/v1/sessions/session_unknown"),
        ("PATCH", "/v1/sessions/session_unknown"),
        ("POST", "/v1/sessions/session_unknown/archive"),
        ("GET", "/v1/sessions/session_unknown/events"),
        ("POST", "/v1/sessions/session_unknown/events"),
        ("GET", "/v1/sessions/a%2Fb"),
        ("GET", "/nowhere"),
    ] {
        let (status, body) = world
            .http(method, path, r#"{"title":"t","events":[]}"#)
            .await;
        assert_eq!(status, 404, "{method} {path}");
        assert!(body.contains(r#""type":"not_found_error""#), "{body}");
    }
    let (status, body) = world.http("DELETE", "/v1/sessions", "").await;
    assert_eq!(status, 405);
    assert!(body.contains(r#""type":"error""#), "{body}");
}
