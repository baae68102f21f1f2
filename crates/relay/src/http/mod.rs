//! The HTTP surface.

mod access;
mod code;
mod error;
mod events;
mod local;
mod sessions;
mod socket;
mod subscribe;
mod subscription;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::{get, post},
};

use self::error::{ApiError, ErrorKind};
use crate::Relay;

/// The tasks of sockets that came in through one server stop when this does.
#[derive(Clone)]
pub(crate) struct ConnectionScope(pub(crate) tokio_util::sync::CancellationToken);

pub(crate) fn router(relay: Relay) -> Router {
    let body_limit = DefaultBodyLimit::max(relay.options().body_limit_bytes);
    Router::new()
        .route("/v1/sessions", get(sessions::list))
        .route(
            "/v1/sessions/{id}",
            get(sessions::read).patch(sessions::rename),
        )
        .route("/v1/sessions/{id}/archive", post(sessions::archive))
        .route(
            "/v1/sessions/{id}/events",
            get(events::list).post(events::add),
        )
        .route("/v1/sessions/ws/{id}/subscribe", get(subscribe::subscribe))
        .merge(code::routes())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(body_limit)
        .layer(middleware::from_fn_with_state(relay.clone(), local::only))
        .with_state(relay)
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::new(
        ErrorKind::NotFound,
        format!("there is nothing at {}", uri.path()),
    )
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(ErrorKind::InvalidRequest, message).with_status(StatusCode::METHOD_NOT_ALLOWED)
}
