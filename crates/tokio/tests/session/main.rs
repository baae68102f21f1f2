//! A session against a scripted server on the loopback: every test says what the server does, and what
//! the application sees.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect ends it, and events it does not look for are passed over"
)]

mod ending;
mod http;
mod limits;
mod opening;
mod proxy;
mod secrets;
mod server;
mod talking;
mod tls;
mod viewer;
