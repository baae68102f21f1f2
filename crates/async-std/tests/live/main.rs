//! Sessions with a relay of their own on the loopback, each test under async-std and under smol, and the
//! examples as they are.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect ends it, and events it does not look for are passed over"
)]

#[path = "../../examples/approver.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod approver;
#[path = "../../examples/chat.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod chat;
mod examples;
mod runtime;
mod stage;
mod viewer;
#[path = "../../examples/watch.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod watch;
mod way;
mod worker;
#[path = "../../examples/worker.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod worker_example;
