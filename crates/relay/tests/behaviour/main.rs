//! What viewers and agents can rely on, with real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod agents;
mod archive;
mod code_events;
mod code_sessions;
mod code_viewers;
mod delivery;
mod events;
mod lost_front;
mod one_log;
mod prompts;
mod restart;
mod retention;
mod sessions;
mod slow_viewers;
mod store_trouble;
mod stream;
mod watchers;
mod withdrawals;
mod worker_access;
mod worker_lease;
mod worker_restart;
mod worker_stream;
mod worker_takeover;
mod worker_upload;
mod workers;
mod world;
