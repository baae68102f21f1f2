//! The HTTP surface.

mod access;
mod code;
mod error;
mod events;
mod health;
mod local;
mod routes;
mod sessions;
mod shares;
mod slow_body;
mod socket;
mod subscribe;
mod subscription;
mod websocket;
mod wire;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::Response,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use self::error::{ApiError, ErrorKind};
use crate::{Endpoint, Relay, metrics::Present};

/// The connection that a request came in on.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) peer: IpAddr,
    /// The tasks of sockets that came in through one server stop when this does.
    pub(crate) scope: CancellationToken,
    /// Held for as long as the connection is there, as whatever it has become.
    pub(crate) place: Arc<Place>,
}

/// One of the connections that there may be.
pub(crate) struct Place {
    pub(crate) _permit: OwnedSemaphorePermit,
    pub(crate) _present: Present,
}

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let routes = routes::all().into_iter();
    routes.map(|route| route.endpoint).collect()
}

pub(crate) fn router(relay: Relay) -> Router {
    let options = relay.options().clone();
    let body_limit = DefaultBodyLimit::max(relay.options().body_limit_bytes);
    let served = routes::all().into_iter();
    served
        .fold(Router::new(), |router, route| {
            let guard = (relay.clone(), route.endpoint.access);
            let guard = middleware::from_fn_with_state(guard, access::check);
            router.route(route.endpoint.path, route.handler.route_layer(guard))
        })
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(body_limit)
        .layer(middleware::from_fn_with_state(options, slow_body::limit))
        .layer(middleware::from_fn_with_state(relay.clone(), local::only))
        .layer(middleware::from_fn_with_state(
            relay.clone(),
            count_refusals,
        ))
        .with_state(relay)
}

async fn count_refusals(State(relay): State<Relay>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let reason = match response.status() {
        StatusCode::UNAUTHORIZED => "unauthenticated",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::REQUEST_TIMEOUT => "too_slow",
        StatusCode::CONFLICT => "conflict",
        StatusCode::GONE => "gone",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::TOO_MANY_REQUESTS => "too_many",
        status if status.is_client_error() => "invalid",
        status if status.is_server_error() => "failed",
        _ => return response,
    };
    relay.metrics().refused(reason);
    response
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
