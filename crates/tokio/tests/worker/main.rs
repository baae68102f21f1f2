//! A worker against a scripted server on the loopback: every test says what the server does, and what
//! the agent's process sees.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect ends it, and events it does not look for are passed over"
)]

mod agent;
mod life;
mod pressure;
mod renewal;
mod server;
mod stream;
mod whereabouts;
