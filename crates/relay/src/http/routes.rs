//! The list of everything that is served.

use axum::{
    handler::Handler,
    routing::{MethodRouter, delete, get, patch, post, put},
};

use super::{code, events, health, sessions, shares, subscribe};
use crate::{Access, Endpoint, Relay, Role};

/// An endpoint and what serves it. The router is made from these and nothing else, so that nothing
/// is served without saying to whom.
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    pub(super) handler: MethodRouter<Relay>,
}

pub(super) fn all() -> Vec<Route> {
    let mut routes = vec![
        reads("/healthz", Access::Anybody, health::health),
        reads("/metrics", Access::Relay(Role::View), health::metrics),
        reads("/v1/sessions", Access::Lists(Role::View), sessions::list),
        reads(
            "/v1/sessions/{id}",
            Access::Session(Role::View),
            sessions::read,
        ),
        Route::new(
            "PATCH",
            "/v1/sessions/{id}",
            Access::Session(Role::Own),
            patch(sessions::rename),
        ),
        posts(
            "/v1/sessions/{id}/archive",
            Access::SessionOrWorker(Role::Own),
            sessions::archive,
        ),
        reads(
            "/v1/sessions/{id}/events",
            Access::Session(Role::View),
            events::list,
        ),
        posts(
            "/v1/sessions/{id}/events",
            Access::Session(Role::Approve),
            events::add,
        ),
        reads(
            "/v1/sessions/ws/{id}/subscribe",
            Access::Socket(Role::View),
            subscribe::subscribe,
        ),
        reads(
            "/v1/sessions/{id}/shares",
            Access::Session(Role::Own),
            shares::list,
        ),
        posts(
            "/v1/sessions/{id}/shares",
            Access::Session(Role::Own),
            shares::add,
        ),
        Route::new(
            "DELETE",
            "/v1/sessions/{id}/shares/{share_id}",
            Access::Session(Role::Own),
            delete(shares::revoke),
        ),
    ];
    routes.extend(code::routes());
    routes
}

impl Route {
    pub(super) fn new(
        method: &'static str,
        path: &'static str,
        access: Access,
        handler: MethodRouter<Relay>,
    ) -> Self {
        Self {
            endpoint: Endpoint {
                method,
                path,
                access,
            },
            handler,
        }
    }
}

pub(super) fn reads<H, T>(path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, Relay>,
    T: 'static,
{
    Route::new("GET", path, access, get(handler))
}

pub(super) fn posts<H, T>(path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, Relay>,
    T: 'static,
{
    Route::new("POST", path, access, post(handler))
}

pub(super) fn puts<H, T>(path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, Relay>,
    T: 'static,
{
    Route::new("PUT", path, access, put(handler))
}
