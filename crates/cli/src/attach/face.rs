//! What the ways of showing a session have in common.

use std::{io, time::Instant};

use attache_protocol::{
    time::Timestamp,
    viewer::{Cursor, Event},
};

use super::command::Command;

/// The same moment on both clocks.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Moment {
    /// For what happens here.
    pub(crate) instant: Instant,
    /// For the times in events.
    pub(crate) timestamp: Timestamp,
}

/// One way of showing a session and of being told what to do. Errors are those of writing.
pub(crate) trait Face {
    /// Shows `event`.
    fn event(&mut self, event: &Event, now: Moment) -> io::Result<()>;

    /// Everything up to `cursor` was shown.
    fn reached(&mut self, cursor: &Cursor) -> io::Result<()>;

    /// Understands a typed line.
    fn line(&mut self, line: &str, now: Moment) -> io::Result<Option<Command>>;

    /// Says why a command was not carried out.
    fn refused(&mut self, command: &str, reason: &str) -> io::Result<()>;

    /// What Ctrl-C means now.
    fn ctrl_c(&mut self, now: Moment) -> io::Result<CtrlC>;

    /// A second has passed.
    fn tick(&mut self, now: Moment) -> io::Result<()>;

    /// Nothing is happening right now: what was shown must be visible.
    fn flush(&mut self) -> io::Result<()>;

    /// Nothing more will come.
    fn finish(&mut self) -> io::Result<()>;
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum CtrlC {
    /// Interrupt the agent.
    Interrupt,
    /// Leave.
    Detach,
}
