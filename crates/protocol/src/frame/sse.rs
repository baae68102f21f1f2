//! Server-Sent Events: an incremental, bounded decoder of an event stream.
//!
//! It follows the event stream format of the HTML standard. However the bytes are cut into chunks, the
//! items are the same.
//!
//! ```
//! use attache_protocol::frame::sse::{SseDecoder, SseItem};
//!
//! let mut decoder = SseDecoder::default();
//! decoder.push(":ok\n\nevent: client_event\nid: 7\nda".into());
//! assert_eq!(decoder.next(), None);
//!
//! decoder.push("ta: {}\n\n".into());
//! let Some(SseItem::Event(event)) = decoder.next() else { panic!() };
//! assert_eq!((&*event.event, &*event.data), ("client_event", "{}"));
//! assert_eq!(decoder.last_event_id().unwrap(), "7");
//! ```

use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::{fmt, mem, time::Duration};

use bytes::{Buf, Bytes};
use bytestring::ByteString;
use memchr::{memchr, memchr2};

/// The most bytes of one event that [`SseDecoder::default`] takes: 64 MiB.
pub const EVENT_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Turns the bytes of one event stream into events. A new connection needs a new decoder.
///
/// [`push`](Self::push) hands bytes in, the iterator gives items out; its `None` means that the bytes
/// are used up, and more may follow. Decoding happens as items are taken, so a consumer that stops
/// leaves the rest as bytes, and [`last_event_id`](Self::last_event_id) is never ahead of what has been
/// taken.
///
/// An event that the stream ends in the middle of never comes. Comments are skipped. Bytes that are not
/// UTF-8 are replaced by U+FFFD.
///
/// # Bounds
/// Beside the chunks that are not decoded yet, it holds at most one event, no longer than the limit
/// (three times that if every byte has to be replaced), and two ids. The length of an event is that of
/// its lines, without their ends and without comments. A longer event is dropped while it arrives and
/// comes as [`SseItem::TooLarge`] at its end.
#[derive(Clone)]
pub struct SseDecoder {
    chunks: VecDeque<Bytes>,
    place: Place,
    line: Line,
    block: Block,
}

impl SseDecoder {
    /// A decoder at the start of a stream, which drops events of more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            place: Place::Start(0),
            line: Line::default(),
            block: Block::new(limit_bytes),
        }
    }

    /// Hands in the next bytes of the stream.
    ///
    /// They are kept until they are decoded: take all items before pushing more.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.chunks.push_back(bytes);
        }
    }

    /// The position to resume from: the last `id` of a block that is complete and taken. `None` when there was
    /// none, or when an empty one took it back.
    pub fn last_event_id(&self) -> Option<&ByteString> {
        Some(&self.block.last_event_id).filter(|id| !id.is_empty())
    }

    /// Skips what may stand at the front of a chunk without belonging to a line.
    fn find_place(&mut self, chunk: &mut Bytes) {
        while let Some(&byte) = chunk.first() {
            match self.place {
                Place::Start(matched) if BOM.get(matched) == Some(&byte) => {
                    chunk.advance(1);
                    self.place = if matched + 1 == BOM.len() {
                        Place::Line
                    } else {
                        Place::Start(matched + 1)
                    };
                }
                Place::Start(matched) => {
                    self.place = Place::Line;
                    self.lengthen(BOM.get(..matched).unwrap_or_default());
                }
                Place::AfterReturn => {
                    self.place = Place::Line;
                    if byte == b'\n' {
                        chunk.advance(1);
                    }
                }
                Place::Line => return,
            }
        }
    }

    /// Adds to a line whose end is not there yet.
    fn lengthen(&mut self, more: &[u8]) {
        let Line::Held(held) = &mut self.line else {
            return;
        };
        if held.is_empty() && more.first() == Some(&b':') {
            self.line = Line::Skipped;
            return;
        }
        let length = held.len().saturating_add(more.len());
        self.block.make_room(length);
        if length > self.block.limit {
            self.line = Line::Skipped;
        } else {
            held.extend_from_slice(more);
        }
    }

    fn end_line(&mut self, tail: &[u8]) -> Option<SseItem> {
        if self.line.is_new() && tail.len() <= self.block.limit {
            return self.block.line(tail);
        }
        self.lengthen(tail);
        match mem::take(&mut self.line) {
            Line::Held(line) => self.block.line(&line),
            Line::Skipped => None,
        }
    }
}

impl Iterator for SseDecoder {
    type Item = SseItem;

    fn next(&mut self) -> Option<SseItem> {
        while let Some(mut chunk) = self.chunks.pop_front() {
            self.find_place(&mut chunk);
            let Some(end) = memchr2(b'\r', b'\n', &chunk) else {
                self.lengthen(&chunk);
                continue;
            };
            let line = chunk.split_to(end);
            if chunk.get_u8() == b'\r' {
                self.place = Place::AfterReturn;
            }
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
            let item = self.end_line(&line);
            if item.is_some() {
                return item;
            }
        }
        None
    }
}

impl Default for SseDecoder {
    /// With a limit of [`EVENT_LIMIT_BYTES`].
    fn default() -> Self {
        Self::new(EVENT_LIMIT_BYTES)
    }
}

impl fmt::Debug for SseDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseDecoder")
            .field("limit_bytes", &self.block.limit)
            .field("last_event_id", &self.block.last_event_id)
            .finish_non_exhaustive()
    }
}

/// What a stream says, one thing at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SseItem {
    /// A whole event.
    Event(SseEvent),
    /// `retry`: how long the server wants a client to wait before it connects again.
    Retry(Duration),
    /// An event was longer than the limit and is lost. It comes once, where the event would have come.
    TooLarge {
        /// The `id` of the lost event, if it had one; [`SseDecoder::last_event_id`] has moved past it.
        id: Option<ByteString>,
    },
}

/// One event. `Debug` shows the length of the data, never the data.
#[derive(Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// Its name; `message` when the stream gave none.
    pub event: ByteString,
    /// Its `data` lines, joined by `\n`.
    pub data: ByteString,
    /// Its own `id`, which may be empty; `None` when it had none.
    pub id: Option<ByteString>,
}

impl fmt::Debug for SseEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseEvent")
            .field("event", &self.event)
            .field("bytes", &self.data.len())
            .field("id", &self.id)
            .finish()
    }
}

/// The byte order mark, which counts for nothing at the start of a stream.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Where in the stream the next byte stands.
#[derive(Copy, Clone, Debug)]
enum Place {
    /// At the start, after so many bytes of what looks like a byte order mark.
    Start(usize),
    /// In a line, or before its first byte.
    Line,
    /// After a `\r`: a `\n` still belongs to the end of that line.
    AfterReturn,
}

/// The part of a line that came in earlier chunks.
#[derive(Clone)]
enum Line {
    Held(Vec<u8>),
    /// A comment, or longer than the limit.
    Skipped,
}

impl Line {
    fn is_new(&self) -> bool {
        matches!(self, Self::Held(held) if held.is_empty())
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::Held(Vec::new())
    }
}

/// The lines between two blank ones: an event in the making.
#[derive(Clone)]
struct Block {
    limit: usize,
    length: usize,
    content: Content,
    id: Option<ByteString>,
    last_event_id: ByteString,
}

#[derive(Clone)]
enum Content {
    Kept {
        event: String,
        data: Option<String>,
    },
    /// There was more than the limit.
    Dropped,
}

impl Default for Content {
    fn default() -> Self {
        Self::Kept {
            event: String::new(),
            data: None,
        }
    }
}

impl Block {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            length: 0,
            content: Content::default(),
            id: None,
            last_event_id: ByteString::new(),
        }
    }

    /// Drops the content if a line of `length` bytes makes it too long.
    fn make_room(&mut self, length: usize) {
        if self.length.saturating_add(length) > self.limit {
            self.content = Content::Dropped;
        }
    }

    /// Takes a line without its end. `id` and `retry` also count in an event that is too large: a stream
    /// that is resumed should not bring it again.
    fn line(&mut self, line: &[u8]) -> Option<SseItem> {
        match line.first() {
            None => return self.end(),
            Some(b':') => return None,
            Some(_) => {}
        }
        self.make_room(line.len());
        self.length = self.length.saturating_add(line.len());
        match (field(line), &mut self.content) {
            ((b"event", value), Content::Kept { event, .. }) => {
                event.clear();
                event.push_str(&String::from_utf8_lossy(value));
            }
            ((b"data", value), Content::Kept { data, .. }) => {
                let value = String::from_utf8_lossy(value);
                match data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(&value);
                    }
                    None => *data = Some(value.into_owned()),
                }
            }
            ((b"id", value), _) if memchr(0, value).is_none() => {
                self.id = Some(String::from_utf8_lossy(value).into_owned().into());
            }
            ((b"retry", value), _) => return retry(value).map(SseItem::Retry),
            _ => {}
        }
        None
    }

    fn end(&mut self) -> Option<SseItem> {
        self.length = 0;
        let id = self.id.take();
        if let Some(id) = &id {
            self.last_event_id = id.clone();
        }
        match mem::take(&mut self.content) {
            Content::Kept { data: None, .. } => None,
            Content::Kept {
                event,
                data: Some(data),
            } => Some(SseItem::Event(SseEvent {
                event: if event.is_empty() {
                    ByteString::from_static("message")
                } else {
                    event.into()
                },
                data: data.into(),
                id,
            })),
            Content::Dropped => Some(SseItem::TooLarge { id }),
        }
    }
}

/// A line's name and value. One space after the colon belongs to neither; without a colon all is the name.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some((name, rest)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
    else {
        return (line, &[]);
    };
    let value = rest.get(1..).unwrap_or_default();
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

/// Milliseconds in decimal digits, and nothing else. What is too long for a number is as long as can be.
fn retry(value: &[u8]) -> Option<Duration> {
    let digits = str::from_utf8(value)
        .ok()
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(Duration::from_millis(digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
