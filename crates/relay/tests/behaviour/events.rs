//! Posting and paging.

use serde_json::Value;

use crate::world::{World, assistant, raw_items, soon, user};

#[tokio::test]
async fn a_repeated_uuid_is_accepted_and_changes_nothing() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut viewer = world.viewer().await;
    for _ in 0..3 {
        assert_eq!(world.post_events(&[&user("u1")]).await.0, 200);
    }
    assert_eq!(
        world
            .post_events(&[&user("u2"), &user("u1"), &user("u2")])
            .await
            .0,
        200
    );
    assert_eq!(world.log().await, [user("u1"), user("u2")]);
    assert_eq!(viewer.frames(2).await, [user("u1"), user("u2")]);
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        user("u1")
    );
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        user("u2")
    );
}

#[tokio::test]
async fn a_bad_batch_stores_nothing() {
    let world = World::new().await;
    let path = format!("/v1/sessions/{}/events", world.session);
    let (good, deep) = (user("u1"), "[".repeat(10_000));
    for body in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"events":{}}"#,
        r#"{"events":[7]}"#,
        &format!(r#"{{"events":[{good},{{"no":"type"}}]}}"#),
        &format!(r#"{{"events":[{good},{{"type":7}}]}}"#),
        &format!(r#"{{"events":[{good},{{"type":"user","uuid":9}}]}}"#),
        &format!(r#"{{"events":[{good},{{"type":"control_request"}}]}}"#),
        &format!("{{\"events\":[{good},{{\"type\":\n\"user\"}}]}}"),
        &format!(r#"{{"events":[{good},{deep}"#),
    ] {
        let (status, answer) = world.http("POST", &path, body).await;
        assert_eq!(status, 400, "{body}");
        assert!(
            answer.starts_with(r#"{"type":"error","error":{"type":"invalid_request_error""#),
            "{answer}"
        );
    }
    assert!(world.log().await.is_empty());
}

#[tokio::test]
async fn too_much_at_once_is_refused() {
    let mut options = crate::world::options();
    options.body_limit_bytes = 1000;
    options.batch_limit = 2;
    let world = World::with(options).await;
    let (status, body) = world.post_events(&[&"x".repeat(1000)]).await;
    assert_eq!(status, 413);
    assert!(body.contains("invalid_request_error"), "{body}");
    assert_eq!(
        world
            .post_events(&[&user("1"), &user("2"), &user("3")])
            .await
            .0,
        413
    );
}

#[tokio::test]
async fn pages_follow_each_other_without_a_seam() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 0..250 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    let path = format!("/v1/sessions/{}/events", world.session);
    let (mut all, mut query, mut sizes) = (Vec::new(), String::new(), Vec::new());
    loop {
        let (status, body) = world.get(&format!("{path}{query}")).await;
        assert_eq!(status, 200);
        let page: Value = serde_json::from_str(&body).unwrap();
        let items = raw_items(&body);
        assert_eq!(page["first_id"], page["data"][0]["uuid"]);
        assert_eq!(page["last_id"], page["data"][items.len() - 1]["uuid"]);
        sizes.push(items.len());
        all.extend(items);
        if page["has_more"] == false {
            break;
        }
        query = format!("?after_id={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(all, world.log().await);

    let (_, body) = world.get(&format!("{path}?after_id=a249&limit=1")).await;
    assert_eq!(
        body,
        r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#
    );
}

#[tokio::test]
async fn a_bad_cursor_or_limit_is_named() {
    let world = World::new().await;
    let path = format!("/v1/sessions/{}/events", world.session);
    let (status, body) = world.get(&format!("{path}?after_id=unknown")).await;
    assert_eq!(status, 404);
    assert!(body.contains("not_found_error"), "{body}");
    for limit in ["0", "1001", "-1", "x"] {
        assert_eq!(
            world.get(&format!("{path}?limit={limit}")).await.0,
            400,
            "{limit}"
        );
    }
}
