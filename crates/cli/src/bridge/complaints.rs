//! The agent's stderr: shown as it comes, its last lines kept.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    task::JoinHandle,
    time::timeout,
};

use super::output::{Line, Output};
use crate::render::{one_line, plain};

/// How many lines are kept.
const KEPT: usize = 10;
/// How much of each is kept, in characters.
const BRIEF: usize = 300;
/// The longest line that is shown, in bytes.
const LIMIT: usize = 1 << 20;
/// How long the last words of an agent that is gone may take to come.
const PATIENCE: Duration = Duration::from_millis(200);

/// Shows what an agent complains about.
#[derive(Debug)]
pub(super) struct Complaints {
    last: Arc<Mutex<VecDeque<String>>>,
    task: JoinHandle<()>,
}

impl Complaints {
    /// Shows every line of `source` on our stderr.
    pub(super) fn forward(source: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&last);
        let task = tokio::spawn(async move {
            let mut lines = Output::new(source, LIMIT);
            let mut shown = tokio::io::stderr();
            let is_terminal = io::stderr().is_terminal();
            while let Ok(Some(line)) = lines.next().await {
                let line = match line {
                    Line::Whole(line) => line,
                    Line::TooLong(bytes) => format!("(a line of {bytes} bytes)").into_bytes(),
                };
                let text = String::from_utf8_lossy(&line);
                keep(&kept, one_line(&text, BRIEF));
                let show = if is_terminal {
                    format!("agent: {}\n", plain(&text)).into_bytes()
                } else {
                    [&line[..], b"\n"].concat()
                };
                // The agent must not be held up because nobody reads this.
                let _ = shown.write_all(&show).await;
                let _ = shown.flush().await;
            }
        });
        Self { last, task }
    }

    /// The last lines of an agent that is gone, oldest first.
    pub(super) async fn last_words(mut self) -> Vec<String> {
        // What it started may still hold the pipe.
        let _ = timeout(PATIENCE, &mut self.task).await;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().cloned().collect()
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn keep(last: &Mutex<VecDeque<String>>, line: String) {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if last.len() == KEPT {
        last.pop_front();
    }
    last.push_back(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_without_escapes() {
        let text: String = (0..20).fold(String::new(), |text, number| {
            text + &format!("\u{1b}[31mline {number}\u{1b}[0m\n")
        });
        let complaints = Complaints::forward(io::Cursor::new(text));
        let last = complaints.last_words().await;
        assert_eq!(last.len(), KEPT);
        assert_eq!(last[0], "line 10");
        assert_eq!(last[9], "line 19");
    }
}
