//! Whether an adapter keeps the machines' promises on real sockets, whatever happens to them.
//!
//! An [`Adapter`] opens viewers and workers. The suite puts them in front of a [`SessionServer`] on the
//! loopback, with a [`ChaosProxy`] between the two, and holds what comes out against the promises:
//!
//! - the end state is live, or closed for a cause that the faults explain;
//! - nothing is delivered twice, nothing is lost, everything comes in order;
//! - every message sent, every request and every prompt has exactly one end;
//! - the machine hears of a fault what it is, and so do people;
//! - closing takes no longer than [`CLOSE_LIMIT`];
//! - when it is closed, no socket, no thread and no task is left.
//!
//! Each story is told once. Time in which the machine that the suite runs on stood still does not count,
//! and what is only a matter of time is not judged then; a report says where that was so.
//!
//! A [`Trial`] is one story: who connects, and which faults strike one connection after the other.
//! [`lone_trials`], [`paired_trials`], [`stormy_trials`], [`trials_over`] and [`closing_trials`] list them, [`run_one_by_one`] and [`run`] run
//! them, and a [`Report`] tells how they went. [`program`] is all of it, as a test without a harness (in
//! `Cargo.toml`: `[[test]]`, `name = "conformance"`, `harness = false`):
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use attache_testkit::conformance::{Adapter, Side, program};
//!
//! fn check(adapter: &impl Adapter) -> ExitCode {
//!     program(&[adapter], &[Side::ViewerOverSocket])
//! }
//! ```
//!
//! It prints a table of scenarios and adapters. Where adapters have programs of their own, name an empty
//! folder in `ATTACHE_CONFORMANCE_TABLE` for all of them: each leaves its columns there and prints those
//! of everybody who ran the same suite so far, so that the last one prints the whole table.
//!
//! `examples/own_loop` is an adapter written by hand that passes.

mod adapter;
mod canary;
mod chance;
mod config;
mod everyday;
mod expectation;
mod fault;
mod folder;
mod leaks;
mod program;
mod proxy;
mod report;
mod run;
mod server;
mod stop;
mod table;
mod trial;
mod viewer;
mod worker;

pub use adapter::{Adapter, Next, OpenViewer, OpenWorker, Place, Tokens};
pub use config::{viewer_config, worker_config};
pub use everyday::closing_trials;
pub use fault::{Fault, LinkKind, Way};
pub use leaks::Census;
pub use program::program;
pub use proxy::{ChaosProxy, Names, Reach};
pub use report::Report;
pub use run::{connect_and_close, run, run_one_by_one};
pub use server::SessionServer;
pub use stop::{be_the_server, stop_the_server};
pub use trial::{
    CLOSE_LIMIT, Closing, Failure, Side, Trial, lone_trials, paired_trials, stormy_trials,
    trials_over,
};
