//! The end: asked for, or decided.

use super::{
    Event, SendState, Status, Timer, Viewer,
    phase::{Line, Phase},
};
use crate::{io::Effect, policy::CloseCause};

/// The close code of a viewer that leaves.
const NORMAL_CLOSURE: u16 = 1000;

impl Viewer {
    /// Asks the link to end.
    pub(super) fn start_closing(&mut self) {
        let line = match &self.phase {
            Phase::Closing { .. } | Phase::Closed => return,
            Phase::Up(link) => match link.line {
                Line::Socket(id) => {
                    self.effects.push_back(Effect::CloseSocket {
                        id,
                        code: NORMAL_CLOSURE,
                    });
                    Some(link.line)
                }
                Line::Stream(_) => {
                    self.abort_line();
                    None
                }
            },
            Phase::Locating { .. } | Phase::Opening { .. } => {
                self.abort_line();
                None
            }
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Waiting { .. }
            | Phase::Ending { .. } => None,
        };
        self.cancel_page();
        self.inbox.clear();
        self.timers.clear();
        self.timers
            .arm(Timer::Close, self.now, self.config.liveness.close_deadline);
        self.phase = Phase::Closing { line };
        self.set_status(Status::Closing);
        self.close_if_done();
    }

    /// Ends the closing phase once the line is gone and no post is open.
    pub(super) fn close_if_done(&mut self) {
        if matches!(self.phase, Phase::Closing { line: None })
            && self.outbox.in_flight().is_none()
            && self.posting.in_flight().is_none()
        {
            self.finish(CloseCause::Requested);
        }
    }

    /// The end: everything open is told its outcome, nothing is left to do. The line is gone, or ordered
    /// to go.
    pub(super) fn finish(&mut self, cause: CloseCause) {
        self.cancel_page();
        if let Some(id) = self.outbox.in_flight() {
            self.effects.push_back(Effect::CancelHttp { id });
        }
        if let Some(id) = self.posting.in_flight() {
            self.effects.push_back(Effect::CancelHttp { id });
        }
        for (id, why) in self.outbox.close() {
            let state = SendState::Rejected(why);
            self.events.push(Event::Send { id, state });
        }
        for over in self.requests.close() {
            self.request_over(over);
        }
        self.inbox.clear();
        self.timers.clear();
        self.phase = Phase::Closed;
        self.set_status(Status::Closed { cause });
        self.events.push(Event::Closed(cause));
    }
}
