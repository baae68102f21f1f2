//! Attach to a remote AI agent from the command line.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "events and causes are open enums, and each part of an application minds a few of them"
)]

mod api;
mod arguments;
mod attach;
mod bridge;
mod connection;
mod demo;
mod exit;
mod inspect;
mod lines;
mod link;
mod log;
mod ls;
mod oneshot;
mod prompts;
mod relay;
mod render;
mod share;
mod signals;
mod token;
mod token_admin;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};
use exit::{Exit, Failure};
use signals::Signals;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Failure::Told { message, .. } = &failure {
                // Whatever went into it: it stays on one line.
                let line = render::one_line(message, usize::MAX);
                let _ = writeln!(io::stderr(), "attache: {line}");
            }
            failure.exit_code()
        }
    }
}

fn run(mut arguments: Arguments) -> Result<(), Failure> {
    arguments.command.follow_link()?;
    match arguments.command {
        Command::Inspect(options) => inspect::run(&options),
        Command::Completions { shell } => completions(shell),
        Command::Attach(options) => on_runtime(attach::run(options)),
        Command::Ls(options) => on_runtime(interruptible(ls::run(options))),
        Command::Log(options) => on_runtime(interruptible(log::run(options))),
        Command::Send(options) => on_runtime(interruptible(oneshot::send(options))),
        Command::Approve(options) => on_runtime(interruptible(oneshot::approve(options))),
        Command::Deny(options) => on_runtime(interruptible(oneshot::deny(options))),
        Command::Interrupt(options) => on_runtime(interruptible(oneshot::interrupt(options))),
        Command::Demo(options) => on_runtime(demo::run(options)),
        Command::DemoAgent(options) => on_runtime(demo::run_agent(options)),
        Command::Relay(options) => on_runtime(relay::run(options)),
        Command::Token(options) => token_admin::run(options),
        Command::Share(options) => on_runtime(interruptible(share::run(*options))),
        Command::Bridge(options) => on_runtime(bridge::run(options)),
    }
}

/// Runs `work` on this thread. Connections live on other threads, so that output which nobody takes
/// never holds them up.
fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                Exit::Failure,
                format!("the system gave no threads to run on: {error}; close some programs"),
            )
        })?;
    let result = runtime.block_on(work);
    // What still runs has nothing more to say.
    runtime.shutdown_background();
    result
}

async fn interruptible(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut signals = Signals::listen();
    tokio::select! {
        result = work => result,
        _ = signals.next() => Err(Failure::Silent(Exit::Interrupted)),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "attache", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
