//! One step of a viewer: a message goes in, everything that comes of it is taken out.

use std::time::Duration;

use attache_protocol::{
    ByteString, Bytes, SessionId,
    io::{Effect, HttpResponse, Input, SocketEnding, SocketId, Token},
    time::Timestamp,
    viewer::{Event, Status, Viewer, ViewerConfig},
};

/// How long the peer takes for anything.
const MOMENT: Duration = Duration::from_micros(10);

/// Longer than it takes until a link counts as stable.
const A_WHILE: Duration = Duration::from_secs(20);

/// A viewer over a WebSocket whose peer answers at once, and takes everything it says.
#[derive(Debug)]
pub struct Attached {
    viewer: Viewer,
    now: Timestamp,
    socket: Option<SocketId>,
}

#[expect(
    clippy::missing_panics_doc,
    reason = "what is expected holds whatever is measured"
)]
impl Attached {
    /// A viewer with the usual configuration that was not told to connect.
    pub fn idle() -> Self {
        let session = SessionId::parse("session_01HXYZ0123456789").expect("plain characters");
        let now = Timestamp::ORIGIN;
        Self {
            viewer: Viewer::new(ViewerConfig::new(session), [7; 32], now),
            now,
            socket: None,
        }
    }

    /// One that has been live for a while, with nothing outstanding.
    pub fn live() -> Self {
        let mut attached = Self::idle();
        attached
            .viewer
            .connect(attached.now)
            .expect("it was not connected");
        attached.run_until_live();
        attached.pass(A_WHILE);
        attached
    }

    /// Hands a message in and takes out what comes of it; how many events that are.
    pub fn step(&mut self, text: ByteString) -> usize {
        let Some(id) = self.socket else { return 0 };
        self.now = self.now.checked_add(MOMENT).unwrap_or(self.now);
        self.viewer
            .handle_input(self.now, Input::SocketText { id, text });
        self.drain()
    }

    /// Loses the socket, and waits until another one is live.
    pub fn reconnect(&mut self) {
        let Some(id) = self.socket.take() else { return };
        let ending = SocketEnding::CloseFrame {
            code: 1012,
            reason: ByteString::new(),
        };
        self.viewer
            .handle_input(self.now, Input::SocketClosed { id, ending });
        self.run_until_live();
    }

    /// Lets time pass in which the peer says nothing.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.checked_add(time).unwrap_or(self.now);
        self.drain();
        while let Some((due, _)) = self.viewer.poll_timeout()
            && due <= end
        {
            self.now = self.now.max(due);
            self.viewer.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn run_until_live(&mut self) {
        loop {
            self.drain();
            if *self.viewer.status() == Status::Live {
                return;
            }
            let (due, _) = self.viewer.poll_timeout().expect("it goes on by itself");
            self.now = self.now.max(due);
            self.viewer.handle_timeout(self.now);
        }
    }

    fn drain(&mut self) -> usize {
        let mut events = 0;
        while let Some(effect) = self.viewer.poll_effect() {
            if let Some(input) = self.answer(&effect) {
                self.viewer.handle_input(self.now, input);
            }
        }
        while let Some(event) = self.viewer.poll_event() {
            events += usize::from(!matches!(event, Event::Status(_)));
        }
        events
    }

    fn answer(&mut self, effect: &Effect) -> Option<Input> {
        match *effect {
            Effect::FetchToken { id, .. } => {
                let token = Token::new("sk-0123456789abcdef0123456789abcdef");
                Some(Input::TokenFetched { id, token })
            }
            Effect::OpenSocket { id, .. } => {
                self.socket = Some(id);
                Some(Input::SocketOpened { id })
            }
            Effect::SendPing { id, payload } => Some(Input::SocketPong {
                id,
                payload: Some(payload),
            }),
            Effect::SendHttp { id, .. } => {
                let body = Bytes::from_static(br#"{"data":[],"has_more":false}"#);
                let response = HttpResponse {
                    status: 200,
                    retry_after: None,
                    body,
                };
                Some(Input::HttpAnswered { id, response })
            }
            Effect::SendText { .. }
            | Effect::CloseSocket { .. }
            | Effect::AbortSocket { .. }
            | Effect::CancelHttp { .. }
            | Effect::OpenStream { .. }
            | Effect::CloseStream { .. } => None,
        }
    }
}

/// What is said without end, one message after the other, all of them different.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A piece of text, 200 B, under a `uuid` as every other one.
    Delta,
    /// The same without a `uuid`.
    Unnamed,
    /// A whole message of 200 B, which is stored: a place to go on from.
    Stored,
    /// The same of 4 KiB.
    Long,
    /// A permission prompt and, as the next frame of the same message, its withdrawal.
    Prompt,
}

impl Said {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Delta,
        Self::Unnamed,
        Self::Stored,
        Self::Long,
        Self::Prompt,
    ];

    /// Message number `number`, as a piece of what was received, whose memory it shares from the start.
    pub fn message(self, number: usize) -> ByteString {
        let uuid = format!("0b7c1b1e-1111-4222-8333-{number:012x}");
        let named = format!(r#","uuid":"{uuid}""#);
        let delta = r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#;
        let whole = r#"{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":""#;
        let text = match self {
            Self::Delta => padded(delta, &format!(r#""}}}}{named}}}"#), 200),
            Self::Unnamed => padded(delta, r#""}}}"#, 200),
            Self::Stored => padded(whole, &format!(r#""}}]}}{named}}}"#), 200),
            Self::Long => padded(whole, &format!(r#""}}]}}{named}}}"#), 4096),
            Self::Prompt => format!(
                "{{\"type\":\"control_request\",\"request_id\":\"{uuid}\",\"request\":{{\"subtype\":\"can_use_tool\",\
                 \"tool_name\":\"Bash\",\"input\":{{\"command\":\"cargo test --workspace\"}}}}}}\n\
                 {{\"type\":\"control_cancel_request\",\"request_id\":\"{uuid}\"}}"
            ),
        };
        let received = ByteString::from(text);
        received.slice_ref(&received)
    }
}

/// `length` bytes that begin and end like this.
fn padded(begin: &str, end: &str, length: usize) -> String {
    let fill = length.saturating_sub(begin.len() + end.len());
    [begin, &"x".repeat(fill), end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_brings_its_events_and_has_the_stated_size() {
        let mut attached = Attached::live();
        for said in Said::ALL {
            for number in 0..10 {
                let message = said.message(number + 100 * said as usize);
                let (events, size) = match said {
                    Said::Delta | Said::Unnamed | Said::Stored => (1, 200),
                    Said::Long => (1, 4096),
                    Said::Prompt => (2, message.len()),
                };
                assert_eq!(message.len(), size, "{said:?}");
                assert_eq!(attached.step(message), events, "{said:?}");
            }
        }
        attached.reconnect();
        assert_eq!(attached.step(Said::Delta.message(1000)), 1);
    }
}
