//! What holds for every input: one function a fuzz target, which panics if it does not.
//!
//! The same functions are called by the fuzzer, by the programs that [`target`] makes without a fuzzer,
//! which take files, and by the tests, which take the committed corpora.

#![expect(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a check fails by panicking"
)]

pub mod both;
pub mod control;
pub mod frame;
pub mod message;
mod object;
pub mod relay_request;
mod schedule;
pub mod sse;
pub mod viewer;
pub mod worker;

use std::process::ExitCode;

/// A check, with the name of its target and of its corpus.
#[derive(Copy, Clone, Debug)]
pub struct Target {
    /// `frame`, `sse`, …
    pub name: &'static str,
    /// Panics if something does not hold that should.
    pub check: fn(&[u8]),
}

/// All there are.
pub const TARGETS: &[Target] = &[
    target("frame", frame::check),
    target("control", control::check),
    target("message", message::check),
    target("sse", sse::check),
    target("relay_request", relay_request::check),
    target("viewer", viewer::check),
    target("worker", worker::check),
    target("both", both::check),
];

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check }
}

/// The program of a target: under cargo-fuzz the fuzzer's entry, else a `main` that checks the files it is
/// given.
#[macro_export]
macro_rules! target {
    ($check:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $check(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::check_files($check)
        }
    };
}

/// Checks each file that the command line names.
pub fn check_files(check: fn(&[u8])) -> ExitCode {
    let mut outcome = ExitCode::SUCCESS;
    for path in std::env::args_os().skip(1) {
        let path = std::path::PathBuf::from(path);
        match std::fs::read(&path) {
            Ok(data) => {
                println!("{}", path.display());
                check(&data);
            }
            Err(error) => {
                eprintln!("{} can't be read: {error}", path.display());
                outcome = ExitCode::FAILURE;
            }
        }
    }
    outcome
}
