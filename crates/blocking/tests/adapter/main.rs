//! The adapter against a scripted server on the loopback: every test says what the server does, and what
//! the application sees.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect ends it, and events it does not look for are passed over"
)]

mod agent;
mod dependencies;
mod ending;
mod http;
mod limits;
mod opening;
mod pressure;
mod proxy;
mod reading;
mod server;
mod stream;
mod talking;
mod tls;
mod viewer;
mod work;
