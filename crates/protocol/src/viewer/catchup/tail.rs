//! The end of a history that is read as a whole and shown in part.

use alloc::collections::VecDeque;

use crate::frame::Frame;

/// The last so many messages, within so many bytes.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    messages: VecDeque<Frame>,
    bytes: usize,
    limit: usize,
    limit_bytes: usize,
}

impl Tail {
    pub(super) fn new(limit: usize, limit_bytes: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            limit,
            limit_bytes,
        }
    }

    /// The messages, oldest first.
    pub(super) fn into_messages(self) -> VecDeque<Frame> {
        self.messages
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.bytes = self.bytes.saturating_add(frame.as_str().len());
        self.messages.push_back(frame);
        while self.messages.len() > self.limit
            || (self.bytes > self.limit_bytes && self.messages.len() > 1)
        {
            let Some(oldest) = self.messages.pop_front() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(oldest.as_str().len());
        }
    }
}
