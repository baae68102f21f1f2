//! What came over the line and has not been looked at.

use alloc::boxed::Box;
use core::mem;

use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr;

use crate::{
    frame::{
        detached,
        sse::{SseDecoder, SseItem},
    },
    queue::Queue,
};

/// Messages of a socket whose frames have not all been looked at, or the unread bytes of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbox {
    messages: Queue<Message>,
    stream: Option<Box<Reading>>,
}

/// A message of which something is left.
#[derive(Clone, Debug)]
struct Message {
    text: ByteString,
    /// So much of it has been looked at, in bytes.
    read: usize,
}

#[derive(Clone, Debug)]
struct Reading {
    decoder: SseDecoder,
    left: Left,
}

/// Whether the decoder may have something left to give.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Perhaps,
}

/// The next thing to look at.
pub(super) enum Unread {
    /// The text of a frame.
    Frame(ByteString),
    /// An item of a stream.
    Item(SseItem),
}

impl Inbox {
    pub(super) fn push(&mut self, message: ByteString) {
        self.messages.push_back(Message {
            text: message,
            read: 0,
        });
    }

    /// A stream begins. An event of more than `limit_bytes` will be dropped.
    pub(super) fn begin_stream(&mut self, limit_bytes: usize) {
        self.stream = Some(Box::new(Reading {
            decoder: SseDecoder::new(limit_bytes),
            left: Left::Nothing,
        }));
    }

    pub(super) fn push_bytes(&mut self, bytes: Bytes) {
        if let Some(stream) = &mut self.stream {
            stream.decoder.push(bytes);
            stream.left = Left::Perhaps;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let unread = |stream: &Reading| stream.left == Left::Perhaps;
        self.messages.is_empty() && !self.stream.as_deref().is_some_and(unread)
    }

    /// Gives room back that is not needed now.
    pub(super) fn shrink(&mut self) {
        self.messages.shrink();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn next(&mut self) -> Option<Unread> {
        if let Some(text) = self.next_frame() {
            return Some(Unread::Frame(text));
        }
        let stream = self.stream.as_mut()?;
        let item = stream.decoder.next();
        if item.is_none() {
            stream.left = Left::Nothing;
        }
        item.map(Unread::Item)
    }

    /// The text of the next frame.
    fn next_frame(&mut self) -> Option<ByteString> {
        while let Some(message) = self.messages.front_mut() {
            let line = message.next_line();
            if message.is_read() {
                self.messages.pop_front();
            }
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

impl Message {
    fn is_read(&self) -> bool {
        self.read >= self.text.len()
    }

    /// The next line without the blanks around it. It shares the message's memory only if it is much of it.
    fn next_line(&mut self) -> ByteString {
        let whole = self.text.len();
        let rest = self.text.get(self.read..).unwrap_or_default();
        let end = memchr(b'\n', rest.as_bytes());
        let line = end.and_then(|end| rest.get(..end)).unwrap_or(rest).trim();
        if line.len() == whole {
            return mem::take(&mut self.text);
        }
        self.read = end.map_or(whole, |end| self.read + end + 1);
        detached(self.text.slice_ref(line), whole)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::frame::split;

    #[test]
    fn an_inbox_yields_what_splitting_yields() {
        for text in ["", "\n", "a", "a\n", "\r\n a \n\nb\r\nc", "a\n\n"] {
            let message = ByteString::from(text);
            let mut inbox = Inbox::default();
            inbox.push(message.clone());
            let frames: Vec<ByteString> = core::iter::from_fn(|| inbox.next_frame()).collect();
            assert_eq!(frames, split(&message).collect::<Vec<_>>(), "{text:?}");
            assert!(inbox.is_empty());
        }
    }
}
