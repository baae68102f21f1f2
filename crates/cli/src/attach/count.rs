//! `--count`: how much came, and how fast.

use std::{
    fmt,
    time::{Duration, Instant},
};

use attache_protocol::frame::Frame;

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
        self.span
            .map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first))
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
