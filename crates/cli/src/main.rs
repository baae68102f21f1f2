//! Attach to a remote AI agent from the command line.

fn main() {}
