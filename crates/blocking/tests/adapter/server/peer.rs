//! The server's end of a WebSocket.

use std::io::Write as _;

use serde_json::Value;
use tungstenite::{Message, WebSocket, protocol::CloseFrame};

use super::line::{Headers, Line, is_timeout};

pub(crate) struct Peer {
    pub(crate) headers: Headers,
    pub(crate) socket: WebSocket<Line>,
}

impl Peer {
    pub(crate) fn text(&mut self, text: impl Into<String>) {
        let text: String = text.into();
        self.socket.send(Message::Text(text.into())).unwrap();
    }

    /// An agent's message with this uuid.
    pub(crate) fn says(&mut self, uuid: &str) {
        self.text(format!("{{\"type\":\"assistant\",\"uuid\":\"{uuid}\"}}\n"));
    }

    pub(crate) fn ping(&mut self, payload: &'static [u8]) {
        self.socket.send(Message::Ping(payload.into())).unwrap();
    }

    /// Sends a close frame, and leaves the connection open.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.socket.close(Some(frame)).unwrap();
        let _ = self.socket.flush();
    }

    /// The next message that is no ping; `None` when the connection is gone.
    pub(crate) fn hears(&mut self) -> Option<Message> {
        loop {
            match self.socket.read() {
                Ok(Message::Ping(_)) => {}
                Ok(message) => return Some(message),
                Err(tungstenite::Error::Io(error)) if is_timeout(&error) => {
                    panic!("nothing came in time")
                }
                Err(_) => return None,
            }
        }
    }

    /// The next message, which is a text, as JSON.
    pub(crate) fn hears_json(&mut self) -> Value {
        match self.hears() {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("a text was expected, not {other:?}"),
        }
    }

    /// The code of the close frame, which is the next message.
    pub(crate) fn hears_close(&mut self) -> u16 {
        match self.hears() {
            Some(Message::Close(Some(frame))) => frame.code.into(),
            other => panic!("a close frame was expected, not {other:?}"),
        }
    }

    /// Writes past the WebSocket.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }
}
