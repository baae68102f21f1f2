//! The built program, run as a person or a script would run it.

#![expect(clippy::unwrap_used, reason = "what tests are made of is test code")]

mod attach_json;
mod attach_terminal;
mod demo;
mod exit_codes;
mod inspect;
mod one_shot;
mod program;
mod server;
