//! Sessions as the second generation of the API shows them.

use serde_json::json;

use crate::world::{World, options};

#[tokio::test]
async fn a_created_session_keeps_what_was_said() {
    let world = World::new().await;
    let said = json!({
        "title": "mine",
        "bridge": {"kind": "test", "n": 1},
        "tags": ["a", "b"],
        "config": {"cwd": "/home/somebody", "model": "later"},
        "of a newer version": [1],
    });
    let (status, body) = world
        .person("POST", "/v1/code/sessions", &said.to_string())
        .await;
    assert_eq!(status, 200, "{body}");
    let id = body["session"]["id"].as_str().unwrap();
    assert!(id.starts_with("cse_"));

    let (_, read) = world
        .person("GET", &format!("/v1/code/sessions/{id}"), "")
        .await;
    let session = &read["session"];
    assert_eq!(session, &body["session"]);
    for (field, value) in [
        ("title", json!("mine")),
        ("bridge", said["bridge"].clone()),
        ("tags", said["tags"].clone()),
        ("config", json!({"cwd": "/home/somebody"})),
        ("status", json!("active")),
        ("worker_status", json!("idle")),
        ("connection_status", json!("disconnected")),
    ] {
        assert_eq!(session[field], value, "{field}");
    }
    let v1 = id.replace("cse_", "session_");
    let (status, body) = world.person("GET", &format!("/v1/sessions/{v1}"), "").await;
    assert_eq!((status.as_u16(), &body["title"]), (200, &json!("mine")));
}

#[tokio::test]
async fn sessions_are_listed_newest_first_with_what_their_workers_do() {
    let world = World::new().await;
    let (_, created) = world.person("POST", "/v1/code/sessions", "{}").await;
    let worker = world.worker().await;
    worker.put(json!({"worker_status": "running"})).await;
    let (status, list) = world.person("GET", "/v1/code/sessions?limit=2", "").await;
    assert_eq!(status, 200);
    assert_eq!(list["first_id"], created["session"]["id"]);
    assert_eq!(list["last_id"], world.session.v2());
    assert_eq!(list["has_more"], false);
    let shown = &list["data"][1];
    assert_eq!(
        (&shown["worker_status"], &shown["connection_status"]),
        (&json!("running"), &json!("connected"))
    );

    let after = format!(
        "/v1/code/sessions?after_id={}",
        list["first_id"].as_str().unwrap()
    );
    let (_, rest) = world.person("GET", &after, "").await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_works_or_waits_in_an_archived_session() {
    let world = World::new().await;
    let worker = world.worker().await;
    let details = json!({"tool_name": "Bash", "action_description": "ls"});
    let report = json!({"worker_status": "requires_action", "requires_action_details": details});
    worker.put(report).await;
    let session = world.code_session().await;
    assert_eq!(
        (&session["status"], &session["worker_status"]),
        (&json!("active"), &json!("requires_action"))
    );
    assert_eq!(session["requires_action_details"], details);

    world.relay.archive(&world.session).await.unwrap();
    let session = world.code_session().await;
    for (field, value) in [
        ("status", json!("archived")),
        ("worker_status", json!("idle")),
        ("requires_action_details", json!(null)),
        ("connection_status", json!("disconnected")),
    ] {
        assert_eq!(session[field], value, "{field}");
    }
}

#[tokio::test]
async fn what_can_not_be_created_is_refused() {
    let world = World::new().await;
    let large = json!({"tags": ["x".repeat(70_000)]}).to_string();
    for (body, status) in [
        ("", 400),
        ("7", 400),
        (r#"{"tags":7}"#, 400),
        (large.as_str(), 413),
    ] {
        let (refused, body) = world.person("POST", "/v1/code/sessions", body).await;
        assert_eq!(refused, status, "{body}");
    }
    assert_eq!(
        world
            .person("GET", "/v1/code/sessions/cse_unknown", "")
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_worker_is_sent_where_it_asked_or_where_the_operator_says() {
    let world = World::new().await;
    let (_, body) = world.bridge(&world.session).await;
    assert_eq!(body["api_base_url"], format!("http://{}", world.address));
    assert_eq!(
        (&body["expires_in"], &body["worker_epoch"]),
        (&json!(3600), &json!(1))
    );

    let mut options = options();
    options.api_base_url = Some("https://relay.example/".to_owned());
    let world = world.restarted_with(options).await;
    let (_, body) = world.bridge(&world.session).await;
    assert_eq!(body["api_base_url"], "https://relay.example");
    assert_eq!(body["worker_epoch"], 2);
}
