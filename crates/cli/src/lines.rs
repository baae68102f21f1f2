//! Lines from stdin, without holding up anything else.

use std::io::{self, BufRead};

use tokio::sync::mpsc;

/// How many lines are read ahead.
const AHEAD: usize = 16;

/// The lines of stdin, as they are typed.
#[derive(Debug)]
pub(crate) struct Lines(Option<mpsc::Receiver<String>>);

impl Lines {
    /// Reads stdin on a thread of its own: a read can't be given up, and must not keep the program from
    /// ending. Bytes that are no text are replaced.
    pub(crate) fn of_stdin() -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            loop {
                bytes.clear();
                match io::stdin().lock().read_until(b'\n', &mut bytes) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let text = String::from_utf8_lossy(&bytes);
                let line = text.trim_end_matches(['\n', '\r']).to_owned();
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self(Some(receiver))
    }

    /// No lines, and no end of them.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    /// The next line; `None` once at the end. After that, and for [`never`](Self::never), it waits for
    /// ever. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let Some(lines) = &mut self.0 else {
            return std::future::pending().await;
        };
        let line = lines.recv().await;
        if line.is_none() {
            self.0 = None;
        }
        line
    }
}
