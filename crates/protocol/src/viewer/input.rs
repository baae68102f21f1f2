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
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        match input {
            Input::TokenFetched { id, token } => self.token_fetched(id, token),
            Input::TokenRefused { id, refusal } => self.token_refused(id, refusal),
            Input::SocketOpened { id } => self.line_opened(Line::Socket(id)),
            Input::SocketRefused { id, refusal } => self.socket_refused(id, refusal),
            Input::SocketBytes { id } | Input::SocketPing { id } => {
                if self.is_up(Line::Socket(id)) {
                    self.alive();
                }
            }
            Input::SocketText { id, text } => {
                if self.is_up(Line::Socket(id)) {
                    self.alive();
                    self.text(text);
                }
            }
            Input::SocketBinary { id, bytes } => {
                if self.is_up(Line::Socket(id)) {
                    self.alive();
                    self.binary(&bytes);
                }
            }
            Input::SocketPong { id, payload } => {
                if self.is_up(Line::Socket(id)) {
                    self.alive();
                }
                if let Some(ping) = payload
                    && self.line() == Some(Line::Socket(id))
                    && ping <= self.pings
                {
                    self.pong(ping);
                }
            }
            Input::SocketClosed { id, ending } => self.socket_closed(id, &ending),
            Input::HttpAnswered { id, response } => self.http_over(id, Ok(&response)),
            Input::HttpFailed { id, failure } => self.http_over(id, Err(failure)),
            Input::StreamOpened { id } => self.line_opened(Line::Stream(id)),
            Input::StreamBytes { id, bytes } => {
                if self.is_up(Line::Stream(id)) {
                    self.alive();
                    self.inbox.push_bytes(bytes);
                    self.read_inbox();
                }
            }
            Input::StreamClosed { id, ending } => self.stream_closed(id, ending),
            Input::Woke => self.woke(),
        }
        self.advance();
    }

    /// Takes in that time has passed. Early calls are harmless; each due timer fires once.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.set_now(now);
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.fire(timer);
            self.advance();
        }
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
        } else if matches!(&self.phase, Phase::Locating { call, .. } if *call == id) {
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
