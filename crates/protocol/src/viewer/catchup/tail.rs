//! The end of a history that is read as a whole and shown in part.

use alloc::collections::VecDeque;

use bytestring::ByteString;

use crate::{
    frame::Frame,
    viewer::{Cursor, GapCause},
};

/// The last so many messages, within so many bytes, and the holes between them.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    kept: VecDeque<Kept>,
    messages: usize,
    bytes: usize,
    limit: usize,
    limit_bytes: usize,
}

/// A piece of history's end.
#[derive(Clone, Debug)]
pub(in crate::viewer) enum Kept {
    /// A message, and how far the log has come with it.
    Message(Frame, Option<Cursor>),
    /// A hole after this frame.
    Hole(Option<ByteString>, GapCause),
}

impl Tail {
    pub(super) fn new(limit: usize, limit_bytes: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            messages: 0,
            bytes: 0,
            limit,
            limit_bytes,
        }
    }

    /// What is left, oldest first. A hole before as many messages as were asked for does not matter.
    pub(super) fn into_kept(mut self) -> VecDeque<Kept> {
        if self.messages >= self.limit {
            while let Some(Kept::Hole(..)) = self.kept.front() {
                self.kept.pop_front();
            }
        }
        self.kept
    }

    pub(super) fn push(&mut self, frame: Frame, cursor: Option<Cursor>) {
        self.bytes = self.bytes.saturating_add(frame.as_str().len());
        self.messages += 1;
        self.kept.push_back(Kept::Message(frame, cursor));
        while self.messages > self.limit || (self.bytes > self.limit_bytes && self.messages > 1) {
            match self.kept.pop_front() {
                Some(Kept::Message(oldest, _)) => {
                    self.messages -= 1;
                    self.bytes = self.bytes.saturating_sub(oldest.as_str().len());
                }
                Some(Kept::Hole(..)) => {}
                None => return,
            }
        }
    }

    /// Something is missing after `after`. Of several holes in a row the first one counts.
    pub(super) fn push_hole(&mut self, after: Option<ByteString>, cause: GapCause) {
        if !matches!(self.kept.back(), Some(Kept::Hole(..))) {
            self.kept.push_back(Kept::Hole(after, cause));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn tail(limit: usize, steps: &[Option<&str>]) -> usize {
        let mut tail = Tail::new(limit, 1000);
        for step in steps {
            match step {
                Some(uuid) => {
                    let text = format!(r#"{{"type":"user","uuid":"{uuid}"}}"#);
                    tail.push(Frame::classify(text.into()).unwrap(), None);
                }
                None => tail.push_hole(None, GapCause::NotRetained),
            }
        }
        let kept = tail.into_kept();
        kept.iter()
            .filter(|kept| matches!(kept, Kept::Hole(..)))
            .count()
    }

    #[test]
    fn a_hole_counts_only_among_the_messages_that_are_shown() {
        assert_eq!(tail(2, &[None, Some("a")]), 1);
        assert_eq!(tail(2, &[None, Some("a"), Some("b")]), 0);
        assert_eq!(tail(2, &[Some("a"), None, Some("b")]), 1);
        assert_eq!(tail(2, &[Some("a"), None, Some("b"), Some("c")]), 0);
        assert_eq!(tail(2, &[Some("a"), None, None]), 1);
    }

    #[test]
    fn the_last_messages_fill_their_bytes_and_one_is_kept_whatever_its_size() {
        let message = |length: usize| {
            let text = format!(r#"{{"type":"user","x":"{}"}}"#, "x".repeat(length - 22));
            assert_eq!(text.len(), length);
            Frame::classify(text.into()).unwrap()
        };
        for (lengths, kept) in [
            (&[60, 40][..], 2),
            (&[60, 41], 1),
            (&[40, 30, 30, 31], 3),
            (&[500], 1),
            (&[500, 30], 1),
            (&[30, 500], 1),
            (&[30, 30, 500, 30, 30], 2),
        ] {
            let mut tail = Tail::new(10, 100);
            for length in lengths {
                tail.push(message(*length), None);
            }
            assert_eq!(tail.into_kept().len(), kept, "{lengths:?}");
        }
    }
}
