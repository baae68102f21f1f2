//! An example that runs, and what it writes.

use std::{
    io::{self, Write},
    mem,
    sync::mpsc,
    thread,
};

use super::{Ended, stage::LIMIT};

/// An example on a thread of its own, which has to end in time.
pub(super) struct Running(mpsc::Receiver<Result<(), String>>);

/// What it writes, line by line.
pub(super) struct Lines(mpsc::Receiver<String>);

/// Where an example writes to.
#[derive(Debug)]
pub struct Output {
    line: Vec<u8>,
    lines: mpsc::Sender<String>,
}

impl Running {
    pub(super) fn start(example: impl FnOnce(Output) -> Ended + Send + 'static) -> (Self, Lines) {
        let (sender, done) = mpsc::channel();
        let (lines, written) = mpsc::channel();
        let output = Output {
            line: Vec::new(),
            lines,
        };
        thread::spawn(move || {
            let ended = example(output).map_err(|error| error.to_string());
            eprintln!("the example ended: {ended:?}");
            sender.send(ended)
        });
        (Self(done), Lines(written))
    }

    pub(super) fn ends(self) {
        let ended = self.0.recv_timeout(LIMIT).expect("the example ends");
        assert_eq!(ended, Ok(()));
    }
}

impl Lines {
    pub(super) fn next(&self) -> String {
        self.0.recv_timeout(LIMIT).expect("another line")
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if byte == b'\n' {
                let line = String::from_utf8_lossy(&mem::take(&mut self.line)).into_owned();
                // Whoever reads may have seen enough.
                let _ = self.lines.send(line);
            } else {
                self.line.push(byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
