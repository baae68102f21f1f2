//! What the driver saw, and that time has passed.

use bytestring::ByteString;

use super::{
    Viewer,
    phase::{Line, Phase},
};
use crate::{
    frame::FrameError,
    io::{HttpRequestId, HttpResponse, Input, NetworkFailure},
    time::Timestamp,
};

impl Viewer {
    /// Takes in what the driver saw.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        self.set_now(now);
        if self.is_closed() || !self.is_awaited(&input) {
            return;
        }
        match input {
            Input::TokenFetched { token, .. } => self.token_fetched(token),
            Input::TokenRefused { refusal, .. } => self.token_refused(refusal),
            Input::SocketOpened { .. } | Input::StreamOpened { .. } => self.line_opened(),
            Input::SocketRefused { refusal, .. } => self.socket_refused(refusal),
            Input::SocketBytes { .. } | Input::SocketPing { .. } => self.alive(),
            Input::SocketText { text, .. } => {
                self.alive();
                self.text(text);
            }
            Input::SocketBinary { bytes, .. } => {
                self.alive();
                self.binary(&bytes);
            }
            Input::SocketPong { payload, .. } => {
                self.alive();
                if let Some(ping) = payload
                    && ping <= self.pings
                {
                    self.pong(ping);
                }
            }
            Input::SocketClosed { ending, .. } => self.socket_closed(&ending),
            Input::HttpAnswered { id, response } => self.http_over(id, Ok(&response)),
            Input::HttpFailed { id, failure } => self.http_over(id, Err(failure)),
            Input::StreamBytes { bytes, .. } => {
                self.alive();
                self.inbox.push_bytes(bytes);
                self.read_inbox();
            }
            Input::StreamClosed { ending, .. } => self.stream_closed(ending),
            Input::Woke => self.woke(),
        }
        self.advance();
    }

    /// Whether an input is about something that is still open: anything else changes nothing.
    fn is_awaited(&self, input: &Input) -> bool {
        match input {
            Input::TokenFetched { id, .. } | Input::TokenRefused { id, .. } => {
                self.awaited_token() == Some(*id)
            }
            Input::SocketOpened { id } | Input::SocketRefused { id, .. } => {
                self.is_opening(Line::Socket(*id))
            }
            Input::SocketBytes { id }
            | Input::SocketPing { id }
            | Input::SocketText { id, .. }
            | Input::SocketBinary { id, .. } => self.is_up(Line::Socket(*id)),
            Input::SocketPong { id, .. } | Input::SocketClosed { id, .. } => {
                self.line() == Some(Line::Socket(*id))
            }
            Input::StreamOpened { id } => self.is_opening(Line::Stream(*id)),
            Input::StreamBytes { id, .. } => self.is_up(Line::Stream(*id)),
            Input::StreamClosed { id, .. } => self.line() == Some(Line::Stream(*id)),
            Input::HttpAnswered { id, .. } | Input::HttpFailed { id, .. } => {
                let located = matches!(&self.phase, Phase::Locating { call, .. } if call == id);
                located
                    || self.outbox.in_flight() == Some(*id)
                    || self.posting.in_flight() == Some(*id)
                    || self.catch_up.in_flight() == Some(*id)
            }
            Input::Woke => true,
        }
    }

    /// Takes in that time has passed. Early calls are harmless; each due timer fires once.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.set_now(now);
        while let Some((deadline, timer)) = self.poll_timeout()
            && deadline <= self.now
        {
            self.timers.disarm(timer);
            self.fire(timer);
            self.advance();
        }
    }

    fn is_opening(&self, opened: Line) -> bool {
        matches!(&self.phase, Phase::Opening { line, .. } if *line == opened)
    }

    fn is_up(&self, over: Line) -> bool {
        matches!(&self.phase, Phase::Up(link) if link.line == over)
    }

    /// Some real peers send frames as binary messages.
    fn binary(&mut self, bytes: &bytes::Bytes) {
        if let Ok(text) = ByteString::try_from(bytes.clone()) {
            self.text(text);
        } else {
            let text = alloc::string::String::from_utf8_lossy(bytes).into_owned();
            self.malformed(FrameError::NotUtf8.into(), text.into());
        }
    }

    fn http_over(&mut self, id: HttpRequestId, answer: Result<&HttpResponse, NetworkFailure>) {
        if self.outbox.in_flight() == Some(id) {
            self.post_over(answer.ok());
            self.close_if_done();
        } else if self.posting.in_flight() == Some(id) {
            self.control_over(answer.ok());
            self.close_if_done();
        } else if self.catch_up.in_flight() == Some(id) {
            self.page_answered(answer);
        } else {
            self.located(answer);
        }
    }

    pub(super) fn post_over(&mut self, response: Option<&HttpResponse>) {
        let profile = &self.config.profile;
        if let Some(posted) = self.outbox.answered(response, profile, &mut self.rng) {
            self.posted(posted);
        }
    }
}
