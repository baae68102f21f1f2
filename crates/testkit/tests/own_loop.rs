//! The hand-written adapter of the examples passes the suite.

#[path = "../examples/own_loop/main.rs"]
mod own_loop;

use std::process::ExitCode;

fn main() -> ExitCode {
    own_loop::main()
}
