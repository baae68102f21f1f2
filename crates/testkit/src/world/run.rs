//! How the world turns: to the next deadline or the next thing that happens, whichever is first.

use std::time::Duration;

use attache_protocol::{
    frame::RequestId,
    io::{Effect, Input},
    time::Timestamp,
    viewer::RequestError,
};

use super::{LineLife, Reading, World};
use crate::{
    agenda::Happening,
    server::{COMMENT_EVERY, LineId, Outgoing},
    token::{TokenPlan, token},
    transcript::Entry,
};

/// More steps than this without an end are taken for a loop.
const STEP_LIMIT: usize = 2_000_000;

impl World {
    pub(super) fn run(&mut self, end: Timestamp, reached: impl Fn(&Self) -> bool) -> bool {
        let mut is_settled = false;
        for _ in 0..STEP_LIMIT {
            if !is_settled {
                self.settle();
            }
            if reached(self) {
                return true;
            }
            if self.breach().is_some() {
                return false;
            }
            let deadline = self.deadline.map(|(at, _)| at);
            let planned = self.agenda.next_at();
            let next = match (planned, deadline) {
                (Some(planned), Some(deadline)) => planned.min(deadline),
                (Some(next), None) | (None, Some(next)) => next,
                (None, None) => return false,
            };
            if next > end {
                return false;
            }
            self.now = self.now.max(next);
            if let Some(happening) = self.agenda.pop_due(self.now) {
                self.happen(happening);
                is_settled = false;
            } else {
                self.timeout();
                // A twin is looked at once more, and takes what it left.
                is_settled = self.twin.is_none();
            }
        }
        self.broken(&"the story does not come to rest");
        false
    }

    /// When something happens next, if nothing else does.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let deadline = self.viewer.poll_timeout().map(|(at, _)| at);
        self.agenda.next_at().into_iter().chain(deadline).min()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::FromLine(id, input) => self.unread.push_back((id, input)),
            Happening::Comment(id) => {
                if self.server.comment(id) {
                    self.agenda
                        .plan(self.now, COMMENT_EVERY, Happening::Comment(id));
                }
            }
            Happening::Answer(input) => {
                let wanted = match &input {
                    Input::SocketOpened { id } => self.line_opened(LineId::Socket(*id)),
                    Input::StreamOpened { id } => self.line_opened(LineId::Stream(*id)),
                    Input::SocketRefused { id, .. } => {
                        self.lines.remove(&LineId::Socket(*id)).is_some()
                    }
                    Input::StreamClosed { id, .. } => {
                        self.lines.remove(&LineId::Stream(*id)).is_some()
                    }
                    Input::HttpAnswered { id, .. } | Input::HttpFailed { id, .. } => {
                        let before = self.calls.len();
                        self.calls.retain(|call| call != id);
                        self.calls.len() < before
                    }
                    Input::TokenFetched { .. }
                    | Input::TokenRefused { .. }
                    | Input::SocketBytes { .. }
                    | Input::SocketText { .. }
                    | Input::SocketBinary { .. }
                    | Input::SocketPing { .. }
                    | Input::SocketPong { .. }
                    | Input::SocketClosed { .. }
                    | Input::StreamBytes { .. }
                    | Input::Woke => true,
                };
                if wanted {
                    self.feed(input);
                }
            }
        }
    }

    fn line_opened(&mut self, line: LineId) -> bool {
        let attempt = self.lines.get_mut(&line);
        attempt.map(|life| *life = LineLife::Open).is_some()
    }

    /// Carries everything out that can be done without time passing.
    #[track_caller]
    pub(super) fn settle(&mut self) {
        loop {
            self.drain();
            self.hand_over();
            if self.breach().is_some() || !self.read_one() {
                break;
            }
        }
    }

    /// Hands the viewer the next input from its line if it wants to read.
    fn read_one(&mut self) -> bool {
        if !self.viewer.wants_read() {
            return false;
        }
        let Some((id, input)) = self.unread.pop_front() else {
            return false;
        };
        if self.lines.get(&id) == Some(&LineLife::Open) {
            if matches!(
                input,
                Input::SocketClosed { .. } | Input::StreamClosed { .. }
            ) {
                self.lines.remove(&id);
            }
            self.hand_in(input);
        }
        true
    }

    #[track_caller]
    fn drain(&mut self) {
        let was_closed = self.checks.is_closed();
        while let Some(effect) = self.viewer.poll_effect() {
            if was_closed {
                self.broken(&format_args!("{effect:?} after Closed"));
            }
            let check = self.checks.effect(&effect);
            self.expect(check);
            self.issued.effect(&effect);
            if let Some(twin) = &mut self.twin {
                twin.expect_effect(&effect);
            }
            self.carry_out(&effect);
            self.transcript.push(self.now, Entry::Effect(effect));
        }
        if self.viewer.is_closed() {
            if let Some(line) = self.lines.keys().next().copied() {
                self.broken(&format_args!("closed, and {line:?} is left open"));
            }
            if let Some(call) = self.calls.first().copied() {
                self.broken(&format_args!("closed, and {call:?} is left running"));
            }
        }
        if self.reading == Reading::Eagerly {
            while let Some(event) = self.viewer.poll_event() {
                let check = self.checks.event(&event);
                if let Some(twin) = &mut self.twin {
                    twin.expect_event(&event);
                }
                self.transcript.push(self.now, Entry::Event(event));
                self.expect(check);
            }
        }
        self.deadline = self.viewer.poll_timeout();
        if let Some(twin) = &mut self.twin {
            let check = twin.compare(&self.viewer, self.deadline);
            self.expect(check);
        }
        let check = self.checks.status(&self.viewer, self.deadline);
        self.expect(check);
    }

    fn carry_out(&mut self, effect: &Effect) {
        match *effect {
            Effect::FetchToken { id, .. } => {
                let answer = match self.tokens.ask() {
                    TokenPlan::Give(name) => Input::TokenFetched {
                        id,
                        token: token(name),
                    },
                    TokenPlan::Refuse(refusal) => Input::TokenRefused { id, refusal },
                    TokenPlan::Never => return,
                };
                self.agenda
                    .plan(self.now, self.latency, Happening::Answer(answer));
            }
            Effect::OpenSocket { id, ref request } => {
                self.lines.insert(LineId::Socket(id), LineLife::Attempted);
                self.server.upgrade(id, request);
            }
            Effect::SendText { id, ref text } => self.server.take_text(id, text),
            Effect::SendPing { id, payload } => self.server.take_ping(id, payload),
            Effect::CloseSocket { id, code } => self.server.take_close(id, code),
            Effect::AbortSocket { id } => self.abort(LineId::Socket(id)),
            Effect::CloseStream { id } => self.abort(LineId::Stream(id)),
            Effect::OpenStream { id, ref request } => {
                self.lines.insert(LineId::Stream(id), LineLife::Attempted);
                self.server.open_stream(id, request);
                self.agenda
                    .plan(self.now, COMMENT_EVERY, Happening::Comment(id));
            }
            Effect::SendHttp { id, ref request } => {
                self.calls.push(id);
                self.server.take_http(id, request);
            }
            Effect::CancelHttp { id } => self.calls.retain(|call| *call != id),
        }
    }

    fn abort(&mut self, line: LineId) {
        self.lines.remove(&line);
        self.agenda.lose(line);
        self.server.abort(line);
    }

    fn hand_over(&mut self) {
        for (outgoing, extra) in self.server.take_outgoing() {
            let delay = self.latency + extra;
            match outgoing {
                Outgoing::OverLine(id, input) => {
                    self.agenda
                        .plan(self.now, delay, Happening::FromLine(id, input));
                }
                Outgoing::Answer(input) => {
                    self.agenda.plan(self.now, delay, Happening::Answer(input));
                }
                Outgoing::Break(id, input) => {
                    self.agenda.lose(id);
                    self.agenda
                        .plan(self.now, Duration::ZERO, Happening::FromLine(id, input));
                }
                Outgoing::Freeze(id) => self.agenda.lose(id),
            }
        }
    }

    #[track_caller]
    pub(super) fn requested(
        &mut self,
        result: Result<RequestId, RequestError>,
    ) -> Result<RequestId, RequestError> {
        if let Ok(id) = &result {
            let check = self.checks.requested(id.as_str());
            self.expect(check);
        }
        self.settle();
        result
    }
}
