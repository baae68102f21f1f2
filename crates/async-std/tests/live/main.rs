//! Sessions with a relay of their own on the loopback, each test under async-std and under smol.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect ends it, and events it does not look for are passed over"
)]

mod runtime;
mod stage;
mod viewer;
