//! The adapter keeps the machines' promises on real sockets, whatever happens to them: under async-std
//! and under smol.

mod adapter;

use std::process::ExitCode;

use attache_testkit::conformance::{Side, program};

use adapter::{Host, Runtime};

fn main() -> ExitCode {
    // Both before either counts: their threads stay.
    let hosts = [Runtime::AsyncStd, Runtime::Smol].map(Host::new);
    program(&hosts.each_ref().map(|host| host as _), &Side::ALL)
}
