//! A viewer and a real relay, over each transport.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that does not go as told fails here, and that is what it is for"
)]

mod following;
mod resuming;
mod roles;
mod world;
