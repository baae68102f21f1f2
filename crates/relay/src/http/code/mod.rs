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

use super::routes::{Route, posts, puts, reads};
use crate::{Access, Role};

pub(super) fn routes() -> Vec<Route> {
    vec![
        reads(
            "/v1/code/sessions",
            Access::Lists(Role::View),
            sessions::list,
        ),
        posts(
            "/v1/code/sessions",
            Access::Relay(Role::Own),
            sessions::create,
        ),
        reads(
            "/v1/code/sessions/{id}",
            Access::Session(Role::View),
            sessions::read,
        ),
        reads(
            "/v1/code/sessions/{id}/events",
            Access::Session(Role::View),
            events::list,
        ),
        posts(
            "/v1/code/sessions/{id}/events",
            Access::Session(Role::Approve),
            events::add,
        ),
        reads(
            "/v1/code/sessions/{id}/events/stream",
            Access::Session(Role::View),
            watch::watch,
        ),
        posts(
            "/v1/code/sessions/{id}/bridge",
            Access::Session(Role::Own),
            bridge::bridge,
        ),
        reads("/v1/code/sessions/{id}/worker", Access::Worker, state::read),
        puts(
            "/v1/code/sessions/{id}/worker",
            Access::Worker,
            state::report,
        ),
        posts(
            "/v1/code/sessions/{id}/worker/events",
            Access::Worker,
            upload::upload,
        ),
        reads(
            "/v1/code/sessions/{id}/worker/events/stream",
            Access::Worker,
            listen::listen,
        ),
        posts(
            "/v1/code/sessions/{id}/worker/events/delivery",
            Access::Worker,
            delivery::acknowledge,
        ),
        posts(
            "/v1/code/sessions/{id}/worker/heartbeat",
            Access::Worker,
            state::heartbeat,
        ),
    ]
}
