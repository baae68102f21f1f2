//! The second generation of the API.

mod bridge;
mod delivery;
mod epoch;
mod events;
mod listen;
mod log;
mod sessions;
mod state;
mod stream;
mod upload;
mod watch;

use axum::{
    Router,
    routing::{get, post},
};

use crate::Relay;

pub(super) fn routes() -> Router<Relay> {
    let worker = Router::new()
        .route("/", get(state::read).put(state::report))
        .route("/events", post(upload::upload))
        .route("/events/stream", get(listen::listen))
        .route("/events/delivery", post(delivery::acknowledge))
        .route("/heartbeat", post(state::heartbeat));
    Router::new()
        .route(
            "/v1/code/sessions",
            get(sessions::list).post(sessions::create),
        )
        .route("/v1/code/sessions/{id}", get(sessions::read))
        .route(
            "/v1/code/sessions/{id}/events",
            get(events::list).post(events::add),
        )
        .route("/v1/code/sessions/{id}/events/stream", get(watch::watch))
        .route("/v1/code/sessions/{id}/bridge", post(bridge::bridge))
        .nest("/v1/code/sessions/{id}/worker", worker)
}
