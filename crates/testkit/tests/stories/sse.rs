//! Over a stream of events.

use attache_protocol::viewer::{Transport, ViewerConfig};

#[path = "away.rs"]
mod away;
#[path = "catch_up.rs"]
mod catch_up;
#[path = "closing.rs"]
mod closing;
#[path = "contract.rs"]
mod contract;
#[path = "monkey.rs"]
mod monkey;
#[path = "posts.rs"]
mod posts;
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
#[path = "stream_holes.rs"]
mod stream_holes;
#[path = "stream_life.rs"]
mod stream_life;
#[path = "streams.rs"]
mod streams;

fn config() -> ViewerConfig {
    attache_testkit::config_over(Transport::Sse)
}
