//! The HTTP surface.

mod access;
mod code;
mod error;
mod events;
mod local;
mod routes;
mod sessions;
mod shares;
mod socket;
mod subscribe;
mod subscription;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware,
};

use self::error::{ApiError, ErrorKind};
use crate::{Endpoint, Relay};

/// The tasks of sockets that came in through one server stop when this does.
#[derive(Clone)]
pub(crate) struct ConnectionScope(pub(crate) tokio_util::sync::CancellationToken);

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let routes = routes::all().into_iter();
    routes.map(|route| route.endpoint).collect()
}

pub(crate) fn router(relay: Relay) -> Router {
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
