//! WebSocket messages as they go over the wire.
//!
//! A server's messages are the same for everybody who reads them, so they are written once.

use std::ptr;

use axum::body::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Data, OpCode},
};

/// The most that stands before a text.
const HEAD_BYTES: usize = 10;

/// A message between others.
#[derive(Copy, Clone)]
pub(crate) struct Message<'a> {
    pub(crate) sheet: &'a Bytes,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Where a message has been written, and its text, with the line break.
pub(crate) struct Written {
    pub(crate) start: usize,
    pub(crate) text: usize,
    pub(crate) end: usize,
}

/// How much room the message of a text of `bytes` bytes may need.
pub(crate) fn room(bytes: usize) -> usize {
    HEAD_BYTES + bytes + 1
}

/// Writes what the `pieces` make, and a line break, as a text message behind what `sheet` holds.
pub(crate) fn write(sheet: &mut Vec<u8>, pieces: &[&str]) -> Written {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        ..FrameHeader::default()
    };
    let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1;
    let start = sheet.len();
    let written = header.format(bytes as u64, sheet);
    written.expect("a vector takes whatever is written to it");
    let text = sheet.len();
    for piece in pieces {
        sheet.extend_from_slice(piece.as_bytes());
    }
    sheet.push(b'\n');
    Written {
        start,
        text,
        end: sheet.len(),
    }
}

/// The messages in their order; those that lie behind each other in one piece.
pub(super) fn joined<'a>(messages: impl Iterator<Item = Message<'a>>) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut last: Option<Message<'a>> = None;
    for message in messages {
        last = match last {
            Some(before) if before.is_followed_by(message) => Some(Message {
                end: message.end,
                ..before
            }),
            before => {
                pieces.extend(before.map(Message::bytes));
                Some(message)
            }
        };
    }
    pieces.extend(last.map(Message::bytes));
    pieces
}

impl Message<'_> {
    fn is_followed_by(self, next: Message<'_>) -> bool {
        ptr::eq(self.sheet, next.sheet) && self.end == next.start
    }

    fn bytes(self) -> Bytes {
        self.sheet.slice(self.start..self.end)
    }

    /// The text, with its line break.
    #[cfg(test)]
    pub(crate) fn text(self) -> String {
        let bytes = self.bytes();
        let mut cursor = std::io::Cursor::new(&bytes);
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
        assert!(header.is_final && header.mask.is_none());
        assert_eq!(header.opcode, OpCode::Data(Data::Text));
        let head = usize::try_from(cursor.position()).unwrap();
        assert_eq!(length, (bytes.len() - head) as u64);
        String::from_utf8(bytes[head..].to_vec()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_fits_into_its_room() {
        for length in [0, 1, 124, 125, 126, 65_534, 65_535, 65_536, 1 << 20] {
            let text = "x".repeat(length);
            let mut sheet = Vec::new();
            let written = write(&mut sheet, &[&text, ""]);
            assert!(sheet.len() <= room(length), "{length}");
            assert_eq!((written.start, written.end), (0, sheet.len()));
            let sheet = Bytes::from(sheet);
            assert_eq!(&sheet[written.text..], format!("{text}\n").as_bytes());
            let message = Message {
                sheet: &sheet,
                start: 0,
                end: written.end,
            };
            assert_eq!(message.text(), format!("{text}\n"));
        }
    }

    #[test]
    fn only_neighbours_are_joined_and_the_order_stays() {
        let (one, other) = (Bytes::from_static(b"abcdef"), Bytes::from_static(b"xyz"));
        let message = |sheet, start, end| Message { sheet, start, end };
        let messages = [
            message(&one, 0, 2),
            message(&one, 2, 3),
            message(&one, 4, 6),
            message(&other, 0, 1),
            message(&one, 3, 4),
            message(&one, 4, 5),
        ];
        let pieces = joined(messages.into_iter());
        assert_eq!(pieces, ["abc", "ef", "x", "de"]);
        assert!(joined(core::iter::empty()).is_empty());
    }
}
