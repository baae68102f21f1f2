//! Over a WebSocket.

use attache_protocol::viewer::{Transport, ViewerConfig};

#[path = "away.rs"]
mod away;
#[path = "catch_up.rs"]
mod catch_up;
#[path = "closing.rs"]
mod closing;
#[path = "closing_handshake.rs"]
mod closing_handshake;
#[path = "connecting.rs"]
mod connecting;
#[path = "contract.rs"]
mod contract;
#[path = "listed_past.rs"]
mod listed_past;
#[path = "liveness.rs"]
mod liveness;
#[path = "monkey.rs"]
mod monkey;
#[path = "prompts.rs"]
mod prompts;
#[path = "prompts_across_drops.rs"]
mod prompts_across_drops;
#[path = "requests.rs"]
mod requests;
#[path = "resuming.rs"]
mod resuming;
#[path = "sending.rs"]
mod sending;

fn config() -> ViewerConfig {
    attache_testkit::config_over(Transport::WebSocket)
}
