//! What the agent writes, cut into lines of bounded length.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// The lines that come out of `R`.
#[derive(Debug)]
pub(super) struct Output<R> {
    source: BufReader<R>,
    line: Line,
    limit: usize,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// It is longer than the limit; this many bytes of it were thrown away.
    TooLong(usize),
}

impl<R: AsyncRead + Unpin> Output<R> {
    /// Lines of at most `limit` bytes.
    pub(super) fn new(source: R, limit: usize) -> Self {
        Self {
            source: BufReader::with_capacity(CHUNK, source),
            line: Line::Whole(Vec::new()),
            limit,
        }
    }

    /// The next line that is not blank; `None` at the end. What stands behind the last line break counts
    /// as a line. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let chunk = self.source.fill_buf().await?;
            let at_end = chunk.is_empty();
            let (piece, taken, complete) = match memchr::memchr(b'\n', chunk) {
                Some(end) => (chunk.get(..end).unwrap_or_default(), end + 1, true),
                None => (chunk, chunk.len(), at_end),
            };
            self.line.push(piece, self.limit);
            self.source.consume(taken);
            if complete {
                let line = std::mem::replace(&mut self.line, Line::Whole(Vec::new()));
                if !line.is_blank() {
                    return Ok(Some(line));
                }
            }
            if at_end {
                return Ok(None);
            }
        }
    }
}

impl Line {
    fn push(&mut self, piece: &[u8], limit: usize) {
        match self {
            Self::Whole(bytes) if bytes.len() + piece.len() > limit => {
                *self = Self::TooLong(bytes.len() + piece.len());
            }
            Self::Whole(bytes) => bytes.extend_from_slice(piece),
            Self::TooLong(length) => *length = length.saturating_add(piece.len()),
        }
    }

    fn is_blank(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.trim_ascii().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8], limit: usize) -> Vec<Line> {
        let mut output = Output::new(bytes, limit);
        let mut lines = Vec::new();
        while let Some(line) = output.next().await.unwrap() {
            lines.push(line);
        }
        lines
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.into())
    }

    #[tokio::test]
    async fn lines_come_one_by_one_and_the_last_needs_no_end() {
        let got = lines(b"one\n\n  \r\ntwo\r\nthree", 100).await;
        assert_eq!(got, [whole("one"), whole("two\r"), whole("three")]);
        assert!(lines(b"", 100).await.is_empty());
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_skipped_and_the_next_one_is_read() {
        let text = [b"x".repeat(200_000), b"\nshort\n".to_vec()].concat();
        let got = lines(&text, 100_000).await;
        assert_eq!(got, [Line::TooLong(200_000), whole("short")]);
        let got = lines(&text, 200_000).await;
        assert_eq!(got.len(), 2);
        assert!(matches!(&got[0], Line::Whole(line) if line.len() == 200_000));
    }
}
