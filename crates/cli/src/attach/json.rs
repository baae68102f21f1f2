//! `--json`: one JSON object an event, one command a line.

mod line;

use std::io::{self, BufWriter, Write};

use attache_protocol::viewer::{Cursor, Event};

use super::{
    command::Command,
    face::{CtrlC, Face, Moment},
};
use line::{write_cursor, write_event};

/// A session for programs.
#[derive(Debug)]
pub(crate) struct Json<O: Write, N> {
    out: BufWriter<O>,
    notes: N,
}

impl<O: Write, N: Write> Json<O, N> {
    pub(crate) fn new(out: O, notes: N) -> Self {
        Self {
            out: BufWriter::new(out),
            notes,
        }
    }
}

impl<O: Write, N: Write> Face for Json<O, N> {
    fn event(&mut self, event: &Event, now: Moment) -> io::Result<()> {
        write_event(&mut self.out, event, now.timestamp)
    }

    fn reached(&mut self, cursor: &Cursor) -> io::Result<()> {
        write_cursor(&mut self.out, cursor)
    }

    fn line(&mut self, line: &str, _now: Moment) -> io::Result<Option<Command>> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        match Command::parse(line) {
            Ok(command) => Ok(Some(command)),
            Err(error) => {
                writeln!(self.notes, "ignored a line of input: {error}")?;
                Ok(None)
            }
        }
    }

    fn refused(&mut self, command: &str, reason: &str) -> io::Result<()> {
        writeln!(self.notes, "{command} was refused: {reason}")
    }

    fn ctrl_c(&mut self, _now: Moment) -> io::Result<CtrlC> {
        Ok(CtrlC::Detach)
    }

    fn tick(&mut self, _now: Moment) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
