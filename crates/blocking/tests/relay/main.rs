//! The examples, as they are, against the relay, embedded.

#[path = "../../examples/approver.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod approver;
#[path = "../../examples/chat.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod chat;
mod examples;
#[path = "../../examples/watch.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod watch;
#[path = "../../examples/worker.rs"]
#[expect(dead_code, reason = "its main reads the command line")]
mod worker;
