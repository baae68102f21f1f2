//! The adapter keeps the machines' promises on real sockets, whatever happens to them.

mod adapter;

use std::process::ExitCode;

use attache_testkit::conformance::{Side, program};

use adapter::Blocking;

fn main() -> ExitCode {
    program(&[&Blocking], &Side::ALL)
}
