//! What viewers and agents can rely on, with real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod agents;
mod archive;
mod events;
mod prompts;
mod restart;
mod sessions;
mod slow_viewers;
mod stream;
mod worker_stream;
mod workers;
mod world;
