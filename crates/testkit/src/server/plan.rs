//! How things end that the viewer starts.

use std::{collections::VecDeque, time::Duration};

use attache_protocol::io::{NetworkFailure, Refusal};

/// How an attempt to subscribe ends.
#[derive(Clone, Debug)]
pub enum Upgrade {
    /// The socket opens.
    Accept,
    /// The socket opens and is closed at once with this code.
    AcceptThenClose(u16),
    /// The socket opens and is closed at once, because the session has ended.
    AcceptThenEnd,
    /// The socket opens and is reset at once.
    AcceptThenReset,
    /// The socket does not open.
    Refuse(Refusal),
    /// There is no answer.
    Never,
}

/// How an HTTP call ends.
#[derive(Clone, Debug)]
pub enum HttpPlan {
    /// As it should.
    Serve,
    /// It is carried out, but the answer is lost.
    LoseAnswer,
    /// It is not carried out; the connection fails.
    Fail(NetworkFailure),
    /// It is refused.
    Status(u16, Option<Duration>),
    /// It is answered with this body.
    Garbage(&'static str),
    /// It is not carried out, and there is no answer.
    Never,
}

/// What is planned for the next times, and what happens when nothing is.
#[derive(Clone, Debug)]
pub(super) struct Plans<T> {
    next: VecDeque<T>,
    usual: T,
}

impl<T: Clone> Plans<T> {
    pub(super) fn usually(usual: T) -> Self {
        Self {
            next: VecDeque::new(),
            usual,
        }
    }

    pub(super) fn next(&mut self, plan: T) {
        self.next.push_back(plan);
    }

    pub(super) fn always(&mut self, plan: T) {
        self.usual = plan;
    }

    pub(super) fn take(&mut self) -> T {
        self.next.pop_front().unwrap_or_else(|| self.usual.clone())
    }
}
