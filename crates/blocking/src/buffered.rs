//! A line that is read much at once, and keeps no buffer while nothing comes.

use std::io::{self, Read, Write};

use attache_driver::Ahead;

use crate::line::Line;

/// What a WebSocket reads from and writes to.
pub(crate) struct Buffered {
    line: Line,
    ahead: Ahead,
}

impl Buffered {
    pub(crate) fn new(line: Line, at_once: usize) -> Self {
        Self {
            line,
            ahead: Ahead::new(at_once),
        }
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    pub(crate) fn line_mut(&mut self) -> &mut Line {
        &mut self.line
    }
}

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(room) = self.ahead.room() {
            let read = self.line.read(room);
            self.ahead.came(*read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(self.ahead.take(buffer))
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.line.flush()
    }
}
