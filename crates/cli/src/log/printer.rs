//! Frames on stdout, each once and in the order of the log.

use std::io::{self, BufWriter, Write};

use crate::ls::on_one_line;

/// Prints frames to `O`, and what is missing between them to `N`.
#[derive(Debug)]
pub(super) struct Printer<O: Write, N> {
    out: BufWriter<O>,
    notes: N,
    last: u64,
}

impl<O: Write, N: Write> Printer<O, N> {
    /// Leaves out what comes up to frame `last`.
    pub(super) fn new(out: O, notes: N, last: u64) -> Self {
        Self {
            out: BufWriter::new(out),
            notes,
            last,
        }
    }

    /// Prints the frame with the number `sequence`, unless that has been done.
    pub(super) fn stored(&mut self, sequence: u64, frame: &str) -> io::Result<()> {
        if sequence <= self.last {
            return Ok(());
        }
        self.starts_with(sequence)?;
        self.next(frame)
    }

    /// Prints the frame after the last one.
    pub(super) fn next(&mut self, frame: &str) -> io::Result<()> {
        self.last += 1;
        writeln!(self.out, "{}", on_one_line(frame))
    }

    /// Says what there no longer is before the frame with the number `sequence`, which comes next.
    pub(super) fn starts_with(&mut self, sequence: u64) -> io::Result<()> {
        let (from, to) = (self.last + 1, sequence.saturating_sub(1));
        if from > to {
            return Ok(());
        }
        self.flush()?;
        self.last = to;
        if from == to {
            writeln!(self.notes, "frame {from} is no longer kept")
        } else {
            writeln!(self.notes, "frames {from} to {to} are no longer kept")
        }
    }

    /// Says something about the way to the server.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        self.flush()?;
        writeln!(self.notes, "{text}")
    }

    /// Makes what was printed visible.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The number of the last frame that is printed or known to be gone.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_once_and_what_is_missing_is_told() {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let mut printer = Printer::new(&mut out, &mut notes, 2);
        for sequence in [1, 2, 3, 3, 4, 6, 6, 9] {
            printer.stored(sequence, &sequence.to_string()).unwrap();
        }
        assert_eq!(printer.last(), 9);
        printer.flush().unwrap();
        drop(printer);
        assert_eq!(String::from_utf8(out).unwrap(), "3\n4\n6\n9\n");
        assert_eq!(
            String::from_utf8(notes).unwrap(),
            "frame 5 is no longer kept\nframes 7 to 8 are no longer kept\n"
        );
    }

    #[test]
    fn a_frame_spread_over_lines_is_one_line() {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let mut printer = Printer::new(&mut out, &mut notes, 0);
        printer.stored(1, "{\"type\":\r\n\"x\"}").unwrap();
        printer.flush().unwrap();
        drop(printer);
        assert_eq!(String::from_utf8(out).unwrap(), "{\"type\":  \"x\"}\n");
    }
}
