//! What an answer looks like, whatever was asked.

use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;

const ERRORS: [&str; 7] = [
    "authentication_error",
    "permission_error",
    "not_found_error",
    "invalid_request_error",
    "conflict_error",
    "rate_limit_error",
    "api_error",
];

/// The longest message of an error. It may quote a path or a field, but no body.
const MESSAGE_LIMIT_BYTES: usize = 8 * 1024;

pub(super) fn is_well_formed(path: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
    assert!(!status.is_server_error(), "{path}: {status}");
    if path == "/metrics" && status.is_success() {
        return;
    }
    let json: Value = serde_json::from_slice(body)
        .unwrap_or_else(|error| panic!("{path}: {status} with a body that is no JSON: {error}"));
    assert!(json.is_object(), "{path}: {status} with {json}");
    let kind = headers.get(header::CONTENT_TYPE);
    assert!(
        kind.is_some_and(|kind| kind == "application/json"),
        "{path}: {kind:?}"
    );
    if status.is_success() {
        return;
    }
    assert!(status.is_client_error(), "{path}: {status}");
    assert_eq!(json["type"], "error", "{path}: {json}");
    let error = json["error"]["type"].as_str().unwrap_or_default();
    assert!(ERRORS.contains(&error), "{path}: {json}");
    let message = json["error"]["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{path}: {json}");
    assert!(message.len() <= MESSAGE_LIMIT_BYTES, "{path}: {json}");
}
