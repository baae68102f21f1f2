//! The log of the session, as both generations of the API list it.

use std::collections::HashSet;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::Value;

use super::{ask, whole};

/// Both lists hold the same frames, each once, under numbers without a hole.
pub(super) async fn is_one(router: &Router) {
    let first = list(router, "/v1/sessions/session_a/events?limit=1000").await;
    let second = list(router, "/v1/code/sessions/cse_a/events?limit=1000").await;
    let payloads: Vec<&Value> = second.iter().map(|event| &event["payload"]).collect();
    assert_eq!(first.iter().collect::<Vec<_>>(), payloads);
    let mut seen = HashSet::new();
    for (expected, event) in (1_u64..).zip(&second) {
        assert_eq!(event["sequence_num"], expected, "{event}");
        let uuid = event["payload"]["uuid"].as_str();
        let uuid = uuid.expect("what is stored has a uuid");
        assert_eq!(event["event_id"], uuid);
        assert!(seen.insert(uuid), "{uuid} stands there twice");
    }
}

async fn list(router: &Router, path: &str) -> Vec<Value> {
    let request = Request::get(path)
        .header(header::HOST, "localhost")
        .header(header::AUTHORIZATION, "Bearer a-person")
        .body(Body::empty())
        .expect("a plain request");
    let response = ask(router, request).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let mut page: Value = serde_json::from_slice(&whole(response).await).expect("JSON");
    assert_eq!(page["has_more"], false);
    serde_json::from_value(page["data"].take()).expect("a list")
}
