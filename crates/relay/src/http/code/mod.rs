//! The second generation of the API: what workers call.

mod bridge;
mod delivery;
mod epoch;
mod sessions;
mod state;
mod stream;
mod upload;

use axum::{
    Router,
    routing::{get, post},
};

use crate::Relay;

pub(super) fn routes() -> Router<Relay> {
    let worker = Router::new()
        .route("/", get(state::read).put(state::report))
        .route("/events", post(upload::upload))
        .route("/events/stream", get(stream::listen))
        .route("/events/delivery", post(delivery::acknowledge))
        .route("/heartbeat", post(state::heartbeat));
    Router::new()
        .route(
            "/v1/code/sessions",
            get(sessions::list).post(sessions::create),
        )
        .route("/v1/code/sessions/{id}", get(sessions::read))
        .route("/v1/code/sessions/{id}/bridge", post(bridge::bridge))
        .nest("/v1/code/sessions/{id}/worker", worker)
}
