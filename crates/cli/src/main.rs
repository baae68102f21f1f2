//! Attach to a remote AI agent from the command line.

mod arguments;
mod attach;
mod exit;
mod inspect;
mod render;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};
use exit::Failure;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Failure::Told { message, .. } = &failure {
                let _ = writeln!(io::stderr(), "attache: {message}");
            }
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Inspect(options) => inspect::run(&options),
        Command::Completions { shell } => completions(shell),
        _ => Ok(()),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "attache", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
