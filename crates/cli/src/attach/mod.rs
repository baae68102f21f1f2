//! `attach`: a session shown as it happens, and talked to.

mod activity;
mod command;
mod count;
mod drive;
mod face;
mod json;
mod runtime;
mod terminal;

use std::io::{self, IsTerminal};

use crate::{arguments::Attach, exit::Failure, lines::Lines, signals::Signals, token::Tokens};

pub(crate) use drive::Drive;
pub(crate) use face::{Face, Moment};
pub(crate) use terminal::{Countdown, Terminal, Watching};

pub(crate) async fn run(options: Attach) -> Result<(), Failure> {
    let signals = Signals::listen();
    let mut config = options
        .connection
        .viewer_config(options.session.id()?.clone(), options.way);
    config.history = options.history;
    config.resume_from.clone_from(&options.resume);
    config.viewer_only = options.watch;
    let tokens = Tokens::choose(&options.connection.server)?;
    let adapter = options.connection.server.options()?;
    let (session, events) = runtime::spawn(options.runtime, config, adapter, tokens)?;
    let silent = options.watch || options.count;
    let drive = Drive {
        name: options.session.id()?.to_string(),
        session,
        events,
        // Whoever only looks is not thrown out because there is nobody to type.
        lines: if silent && !io::stdin().is_terminal() {
            Lines::never()
        } else {
            Lines::of_stdin()
        },
        signals,
        reached: None,
    };
    let mut face = face_for(&options);
    drive.run(&mut *face).await
}

/// A terminal on stdout and stderr.
pub(crate) fn terminal(watching: Watching) -> impl Face {
    let countdown = if io::stderr().is_terminal() {
        Countdown::Live
    } else {
        Countdown::Once
    };
    let out = io::LineWriter::new(anstream::stdout());
    Terminal::new(out, anstream::stderr(), countdown, watching)
}

fn face_for(options: &Attach) -> Box<dyn Face> {
    let watching = if options.watch {
        Watching::Only
    } else {
        Watching::AndTalking
    };
    if options.json {
        Box::new(json::Json::new(io::stdout(), anstream::stderr()))
    } else if options.count {
        Box::new(count::Counter::new(io::stdout(), anstream::stderr()))
    } else {
        Box::new(terminal(watching))
    }
}
