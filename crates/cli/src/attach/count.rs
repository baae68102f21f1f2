//! `--count`: how much came, and how fast.

use std::{
    fmt,
    io::{self, Write},
    time::{Duration, Instant},
};

use attache_protocol::{
    frame::Frame,
    viewer::{Cursor, Event, Status},
};

use super::{
    command::Command,
    face::{CtrlC, Face, Moment},
};

/// Shows nothing but the summary at the end.
#[derive(Debug)]
pub(crate) struct Counter<O, N> {
    out: O,
    notes: N,
    count: Count,
}

impl<O: Write, N: Write> Counter<O, N> {
    pub(crate) fn new(out: O, notes: N) -> Self {
        Self {
            out,
            notes,
            count: Count::default(),
        }
    }
}

impl<O: Write, N: Write> Face for Counter<O, N> {
    fn event(&mut self, event: &Event, now: Moment) -> io::Result<()> {
        match event {
            Event::Message(message) => self.count.message(&message.frame, now.instant),
            Event::Status(Status::Live) => writeln!(self.notes, "connected")?,
            Event::Status(Status::Waiting { cause, .. }) => {
                writeln!(self.notes, "not connected: {cause}")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn reached(&mut self, _cursor: &Cursor) -> io::Result<()> {
        Ok(())
    }

    fn line(&mut self, _line: &str, _now: Moment) -> io::Result<Option<Command>> {
        Ok(None)
    }

    fn refused(&mut self, command: &str, reason: &str) -> io::Result<()> {
        writeln!(self.notes, "{command}: {reason}")
    }

    fn ctrl_c(&mut self, _now: Moment) -> io::Result<CtrlC> {
        Ok(CtrlC::Detach)
    }

    fn tick(&mut self, _now: Moment) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        writeln!(self.out, "{}", self.count)?;
        self.out.flush()
    }
}

/// Counts messages from the first to the last.
#[derive(Debug, Default)]
pub(crate) struct Count {
    messages: u64,
    bytes: u64,
    span: Option<(Instant, Instant)>,
}

impl Count {
    pub(crate) fn message(&mut self, frame: &Frame, at: Instant) {
        self.messages += 1;
        self.bytes += frame.as_str().len() as u64;
        let first = self.span.map_or(at, |(first, _)| first);
        self.span = Some((first, at));
    }

    fn elapsed(&self) -> Duration {
        self.span.map_or(Duration::ZERO, |(first, last)| {
            last.saturating_duration_since(first)
        })
    }
}

/// The summary line.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages, {} bytes, {:.3} seconds",
            self.messages,
            self.bytes,
            self.elapsed().as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_runs_from_the_first_message_to_the_last() {
        let start = Instant::now();
        let frame = Frame::classify("{\"type\":\"x\"}".into()).unwrap();
        let mut count = Count::default();
        assert_eq!(count.to_string(), "0 messages, 0 bytes, 0.000 seconds");
        count.message(&frame, start);
        count.message(&frame, start + Duration::from_millis(1500));
        assert_eq!(count.to_string(), "2 messages, 24 bytes, 1.500 seconds");
    }
}
