//! A viewer and a real relay, over each transport, and the examples as they are.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that does not go as told fails here, and that is what it is for"
)]

#[path = "../../examples/approver.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod approver;
#[path = "../../examples/chat.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod chat;
mod examples;
mod following;
mod resuming;
mod roles;
#[path = "../../examples/watch.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod watch;
#[path = "../../examples/worker.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod worker;
mod world;
