//! What the worker's deadlines are for, and what happens at them.

use core::time::Duration;

use super::{
    Worker,
    phase::{Phase, Stream},
};
use crate::{
    io::{TokenReason, TokenRefusal},
    time::TimerIndex,
};

/// How soon credentials are renewed that were still being put to use when they should have been.
const REFRESH_LATER: Duration = Duration::from_secs(1);

/// What a deadline of the worker is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The token source must have answered.
    Token,
    /// A call must have been answered.
    Calls,
    /// A start or a rebuild is tried again.
    Start,
    /// The credentials are renewed.
    Refresh,
    /// The stream is opened again.
    Stream,
    /// The stream is dead unless something was heard.
    Silence,
    /// Uploads are tried again.
    Upload,
    /// A report is tried again.
    Report,
    /// Deliveries are told again.
    Delivery,
    /// A heartbeat goes out.
    Heartbeat,
    /// A viewer's request must have been answered.
    Requests,
    /// Events of the stream were waiting for room, and there is some.
    Backlog,
    /// What is left must have been sent.
    Flush,
    /// The archive must have been answered.
    Archive,
    /// The farewell is over, however far it has come.
    Close,
}

impl TimerIndex for Timer {
    const ALL: &'static [Self] = &[
        Self::Token,
        Self::Calls,
        Self::Start,
        Self::Refresh,
        Self::Stream,
        Self::Silence,
        Self::Upload,
        Self::Report,
        Self::Delivery,
        Self::Heartbeat,
        Self::Requests,
        Self::Backlog,
        Self::Flush,
        Self::Archive,
        Self::Close,
    ];

    fn index(self) -> usize {
        self as usize
    }
}

impl Worker {
    pub(super) fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Token => self.without_token(TokenRefusal::Unavailable),
            Timer::Calls => self.calls_overdue(),
            Timer::Start => {
                self.drop_transport();
                self.fetch_token(TokenReason::Attempt);
            }
            Timer::Refresh => match self.phase {
                Phase::Running if matches!(self.stream, Stream::Open(_)) => self.rebuild(),
                // They are just being put to use. Or the stream has ended, which may mean that another
                // worker has the session now; opening it again tells. Renewed before that, the
                // credentials would take the session back.
                Phase::Running | Phase::Opening(_) => self.refresh_later(),
                // Others are on their way, or none are wanted.
                Phase::Idle
                | Phase::FetchingToken(_)
                | Phase::Registering
                | Phase::Bridging
                | Phase::Pausing
                | Phase::Archiving { .. }
                | Phase::Closed => {}
            },
            Timer::Stream => {
                if matches!(self.stream, Stream::Pausing { .. }) {
                    self.open_stream();
                }
            }
            Timer::Silence => self.stream_silent(),
            // Their work is taken up again by `advance`.
            Timer::Upload | Timer::Report | Timer::Delivery => {}
            Timer::Heartbeat => self.heartbeat(),
            Timer::Requests => self.requests_overdue(),
            Timer::Backlog => self.read_stream(),
            Timer::Flush => self.flush_over(),
            Timer::Archive => self.archive_over(),
            Timer::Close => self.farewell_over(),
        }
    }

    /// Looks again soon, and at the moment when the credentials run out.
    fn refresh_later(&mut self) {
        let until = self.credentials.as_ref().and_then(|known| known.until);
        let delay = match until.map(|until| until.saturating_since(self.now)) {
            Some(left) if !left.is_zero() => left.min(REFRESH_LATER),
            Some(_) | None => REFRESH_LATER,
        };
        self.timers.arm(Timer::Refresh, self.now, delay);
    }
}
