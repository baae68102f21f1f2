//! The built program, run as a person or a script would run it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what tests are made of is test code"
)]

mod agent;
mod attach_json;
mod attach_terminal;
mod bridge;
mod demo;
mod exit_codes;
mod hub;
mod inspect;
mod log;
mod one_shot;
mod program;
#[cfg(unix)]
mod relay;
#[cfg(unix)]
mod runtimes;
#[cfg(unix)]
mod secrets;
mod server;
mod sharing;
mod weather;
