//! How a WebSocket is set up.

use attache_protocol::{
    ByteString, Bytes,
    io::{Input, SocketId},
};
use tungstenite::{
    Error, Message,
    protocol::{CloseFrame, WebSocketConfig, frame::Utf8Bytes},
};

use crate::failure;

/// The length of the payload that a viewer's pings carry, in bytes.
pub const PONG_BYTES: usize = 8;

/// Sizes of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebSocketOptions {
    /// How much is read from a connection at once, in bytes, when there is much to read. A small buffer saves
    /// memory, a large one CPU time; it is there only so long. 128 KiB.
    pub read_buffer_size: usize,
    /// A longer message ends the connection as too large, in bytes. 64 MiB.
    pub max_message_size: usize,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        Self {
            read_buffer_size: 128 * 1024,
            max_message_size: 64 * 1024 * 1024,
        }
    }
}

impl WebSocketOptions {
    const WRITE_BUFFER_SIZE: usize = 128 * 1024;
    /// Enough for most messages, and little enough to be kept by everybody who waits.
    const SMALL_READ_BUFFER_SIZE: usize = 4 * 1024;

    /// The same in the words of tungstenite, for a connection behind an [`Ahead`](crate::Ahead). A message may be one frame, so both have one limit; the
    /// write buffer takes one message of the largest size and no second one.
    pub fn config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.read_buffer_size.min(Self::SMALL_READ_BUFFER_SIZE))
            .write_buffer_size(Self::WRITE_BUFFER_SIZE)
            .max_write_buffer_size(
                self.max_message_size
                    .saturating_add(2 * Self::WRITE_BUFFER_SIZE),
            )
            .max_message_size(Some(self.max_message_size))
            .max_frame_size(Some(self.max_message_size))
    }
}

/// What a ping with this payload carries on the wire.
pub fn ping_payload(payload: u64) -> [u8; PONG_BYTES] {
    payload.to_be_bytes()
}

/// The payload of a pong, unless it is none of ours.
pub fn pong_payload(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// A text to send, which shares the memory of `text`.
pub fn text_message(text: &ByteString) -> Option<Message> {
    // It is UTF-8 already, so the check can't fail.
    let text = Utf8Bytes::try_from(text.as_bytes().clone()).ok()?;
    Some(Message::Text(text))
}

/// A ping to send.
pub fn ping_message(payload: u64) -> Message {
    Message::Ping(Bytes::copy_from_slice(&ping_payload(payload)))
}

/// A close frame to send.
pub fn close_message(code: u16) -> Message {
    Message::Close(Some(CloseFrame {
        code: code.into(),
        reason: Utf8Bytes::from_static(""),
    }))
}

/// What to tell a peer whose socket failed with `error`; `None` when there is nobody to tell.
pub fn parting_message(error: &Error) -> Option<Message> {
    failure::parting_code(error).map(|code| close_message(code.into()))
}

/// What a message that came on a socket means to a machine. After a ping the library has a pong to flush,
/// after a close frame its reply.
pub fn heard(id: SocketId, message: Message) -> Input {
    match message {
        Message::Text(text) => match ByteString::try_from(Bytes::from(text)) {
            Ok(text) => Input::SocketText { id, text },
            Err(_) => Input::SocketBytes { id },
        },
        Message::Binary(bytes) => Input::SocketBinary { id, bytes },
        Message::Ping(_) => Input::SocketPing { id },
        Message::Pong(payload) => Input::SocketPong {
            id,
            payload: pong_payload(&payload),
        },
        Message::Close(frame) => Input::SocketClosed {
            id,
            ending: failure::closed(frame.as_ref()),
        },
        Message::Frame(_) => Input::SocketBytes { id },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_be_a_single_frame_and_writes_are_bounded() {
        let options = WebSocketOptions {
            max_message_size: 1000,
            ..WebSocketOptions::default()
        };
        let config = options.config();

        assert_eq!(config.max_message_size, Some(1000));
        assert_eq!(config.max_frame_size, Some(1000));
        assert!(config.max_write_buffer_size < usize::MAX);
        assert!(config.max_write_buffer_size > config.write_buffer_size + 1000);
    }

    #[test]
    fn only_eight_bytes_are_a_pong_of_ours() {
        assert_eq!(pong_payload(&ping_payload(0x0102)), Some(0x0102));
        assert_eq!(pong_payload(b""), None);
        assert_eq!(pong_payload(b"123456789"), None);
    }
}
