//! What the viewer's deadlines are for, and what happens at them.

use super::{Event, GapCause, Viewer};
use crate::{
    io::{Effect, TokenReason},
    policy::{CloseCause, Outcome},
    time::TimerIndex,
};

/// What a deadline of the viewer is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The token source must have answered, or may be asked again.
    Token,
    /// The socket or the stream must be open.
    Connect,
    /// The next attempt starts.
    Retry,
    /// A ping goes out.
    Ping,
    /// The link is dead unless something was heard.
    Silence,
    /// The link has been up long enough to forget earlier failures.
    Stable,
    /// The closing handshake is over, agreed or not.
    Close,
    /// A page of history must have come, or may be asked for again.
    Page,
    /// The catch-up must have got on.
    CatchUp,
    /// The message in flight must have been answered, or may be tried again.
    Outbox,
    /// The control frame in flight must have been answered, or may be tried again.
    Control,
    /// The oldest open request lapses.
    Request,
    /// The agent has been silent for too long after a send.
    Watchdog,
    /// Frames that wait to be looked at, or a page to be asked for, and there is room again.
    Backlog,
}

impl TimerIndex for Timer {
    const ALL: &'static [Self] = &[
        Self::Token,
        Self::Connect,
        Self::Retry,
        Self::Ping,
        Self::Silence,
        Self::Stable,
        Self::Close,
        Self::Page,
        Self::CatchUp,
        Self::Outbox,
        Self::Control,
        Self::Request,
        Self::Watchdog,
        Self::Backlog,
    ];

    fn index(self) -> usize {
        self as usize
    }
}

impl Viewer {
    pub(super) fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Token => self.token_due(),
            Timer::Connect => {
                self.abort_line();
                self.lose(Outcome::ConnectDeadline);
            }
            Timer::Retry => self.attempt(TokenReason::Attempt),
            Timer::Ping => {
                self.timers
                    .arm(Timer::Ping, self.now, self.config.liveness.ping_after);
                self.give_room_back();
                self.ping();
            }
            Timer::Silence => self.silent(),
            Timer::Stable => {
                self.episode.end();
                self.rejected = None;
                self.give_room_back();
            }
            Timer::Close => {
                self.abort_line();
                self.finish(CloseCause::Requested);
            }
            Timer::Page => self.page_due(),
            Timer::CatchUp if self.events.is_full() => {
                let patience = self.config.patience.catch_up;
                self.timers.arm(Timer::CatchUp, self.now, patience);
            }
            Timer::CatchUp => {
                if let Some(id) = self.catch_up.in_flight() {
                    self.effects.push_back(Effect::CancelHttp { id });
                }
                let outcome = if self.catch_up.follows() {
                    self.catch_up.stop_following()
                } else {
                    self.catch_up.give_up(GapCause::Unreachable)
                };
                self.page(outcome);
            }
            Timer::Outbox => match self.outbox.in_flight() {
                Some(id) => {
                    self.effects.push_back(Effect::CancelHttp { id });
                    self.post_over(None);
                }
                None => self.outbox.resume(),
            },
            Timer::Control => match self.posting.in_flight() {
                Some(id) => {
                    self.effects.push_back(Effect::CancelHttp { id });
                    self.control_over(None);
                }
                None => self.posting.resume(),
            },
            Timer::Request => {
                for over in self.requests.expire(self.now) {
                    self.request_over(over);
                }
            }
            Timer::Watchdog => {
                if let Some(waited) = self.watchdog.bark(self.now) {
                    self.events.push(Event::Unresponsive { waited });
                    self.force();
                }
            }
            Timer::Backlog => self.read_inbox(),
        }
    }
}
