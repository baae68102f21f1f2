//! Futures that the driver polls itself, so that none outlives it.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

/// The few answers that are waited for, each under the id of its question.
pub(crate) struct InFlight<Id, Answer> {
    waiting: Vec<(Id, BoxFuture<'static, Answer>)>,
}

impl<Id: Copy + PartialEq, Answer> InFlight<Id, Answer> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, id: Id, future: BoxFuture<'static, Answer>) {
        self.waiting.push((id, future));
    }

    /// Drops the future; whether there was one.
    pub(crate) fn cancel(&mut self, id: Id) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != id);
        self.waiting.len() != before
    }

    /// The next answer. There are never more than a handful in flight, so all are polled.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Id, Answer)> {
        let mut done = None;
        for (position, (id, future)) in self.waiting.iter_mut().enumerate() {
            if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                done = Some((position, *id, answer));
                break;
            }
        }
        match done {
            Some((position, id, answer)) => {
                drop(self.waiting.remove(position));
                Poll::Ready((id, answer))
            }
            None => Poll::Pending,
        }
    }
}
