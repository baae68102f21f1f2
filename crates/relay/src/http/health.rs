//! Whether the relay works, and its numbers.

use core::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use tokio::time::timeout;

use super::error::{ApiError, ErrorKind};
use crate::Relay;

/// A store that takes longer for the smallest question does not work.
const PATIENCE: Duration = Duration::from_secs(5);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

pub(super) async fn health(State(relay): State<Relay>) -> Response {
    let (status, health) = if relay.closing().is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else {
        match timeout(PATIENCE, relay.store().sessions(None, 1)).await {
            Ok(Ok(_)) => (StatusCode::OK, "ok"),
            Ok(Err(error)) => {
                tracing::error!(%error, "the store failed");
                (StatusCode::SERVICE_UNAVAILABLE, "the store failed")
            }
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer"),
        }
    };
    (status, Json(Health { status: health })).into_response()
}

pub(super) async fn metrics(State(relay): State<Relay>) -> Result<Response, ApiError> {
    let (sessions, agents) = relay.census();
    let text = relay.metrics().text(sessions, agents);
    let text = text.map_err(|_| ApiError::new(ErrorKind::Api, "the numbers can't be shown"))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
