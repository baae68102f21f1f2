//! The line under a link: a socket or a stream, asked for, open, or dropped.

use super::{
    Timer, Transport, Viewer,
    phase::{Line, Link, Phase},
};
use crate::io::{Effect, SocketId, Token};

impl Viewer {
    /// The line that is open or being opened or closed.
    pub(super) fn line(&self) -> Option<Line> {
        match &self.phase {
            Phase::Opening { line, .. } => Some(*line),
            Phase::Up(link) => Some(link.line),
            Phase::Closing { line } => *line,
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Locating { .. }
            | Phase::Waiting { .. }
            | Phase::Ending { .. }
            | Phase::Closed => None,
        }
    }

    /// The socket that is open.
    pub(super) fn socket_up(&self) -> Option<SocketId> {
        match &self.phase {
            Phase::Up(Link {
                line: Line::Socket(id),
                ..
            }) => Some(*id),
            Phase::Up(_)
            | Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Waiting { .. }
            | Phase::Ending { .. }
            | Phase::Closing { .. }
            | Phase::Closed => None,
        }
    }

    pub(super) fn open_line(&mut self, token: Token) {
        match self.config.transport {
            Transport::WebSocket => self.open_socket(token),
            Transport::Sse => self.open_stream(token),
        }
    }

    fn open_socket(&mut self, token: Token) {
        let id = self.ids.socket();
        let request = super::endpoint::subscribe(&self.config, &token);
        let line = Line::Socket(id);
        self.phase = Phase::Opening { line, token };
        self.timers.arm(
            Timer::Connect,
            self.now,
            self.config.liveness.connect_deadline,
        );
        self.effects.push_back(Effect::OpenSocket { id, request });
    }

    /// Orders the line, or the attempt to open one, to be dropped.
    pub(super) fn abort_line(&mut self) {
        if let Phase::Locating { call, .. } = &self.phase {
            self.effects.push_back(Effect::CancelHttp { id: *call });
        }
        match self.line() {
            Some(Line::Socket(id)) => self.effects.push_back(Effect::AbortSocket { id }),
            Some(Line::Stream(id)) => self.effects.push_back(Effect::CloseStream { id }),
            None => {}
        }
    }
}
