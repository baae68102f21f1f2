//! The application's end of the events, and the driver's.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use attache_driver::Machine;
use attache_protocol::viewer::Viewer;
use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use crate::handle::{Handle, Hold};

/// How many events wait outside the machine. Small: the machine has its own, configured bound.
const CHANNEL_EVENTS: usize = 64;

/// The events of a session, in order; ends after the one that says `Closed`, or when the driver is
/// dropped. Without a parameter, a viewer's.
pub struct Events<M: Machine = Viewer> {
    source: Source<M::Event>,
    /// Keeps the session open as long as somebody listens.
    _open: Hold<M>,
}

/// Where the next event comes from.
enum Source<E> {
    Driver {
        events: mpsc::Receiver<E>,
        rest: oneshot::Receiver<VecDeque<E>>,
    },
    /// What had not been taken when the driver was done.
    Rest(VecDeque<E>),
}

impl<M: Machine> Events<M> {
    /// The next event; `None` when there will be none any more.
    ///
    /// Cancel safe: no event is lost when the future is dropped before it is done.
    pub async fn next(&mut self) -> Option<M::Event> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<M::Event>> {
        loop {
            match &mut self.source {
                Source::Driver { events, rest } => match ready!(events.poll_recv(cx)) {
                    Some(event) => return Poll::Ready(Some(event)),
                    None => self.source = Source::Rest(rest.try_recv().unwrap_or_default()),
                },
                Source::Rest(rest) => return Poll::Ready(rest.pop_front()),
            }
        }
    }
}

impl<M: Machine> Stream for Events<M> {
    type Item = M::Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M::Event>> {
        self.poll_event(cx)
    }
}

impl<M: Machine> fmt::Debug for Events<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// The driver's end.
pub(crate) struct Outlet<E> {
    events: PollSender<E>,
    rest: Option<oneshot::Sender<VecDeque<E>>>,
}

/// Both ends. The application's keeps the machine of `handle` open.
pub(crate) fn channel<M: Machine>(handle: &Handle<M>) -> (Outlet<M::Event>, Events<M>) {
    let (event_sender, events) = mpsc::channel(CHANNEL_EVENTS);
    let (rest_sender, rest) = oneshot::channel();
    let outlet = Outlet {
        events: PollSender::new(event_sender),
        rest: Some(rest_sender),
    };
    let events = Events {
        source: Source::Driver { events, rest },
        _open: handle.hold(),
    };
    (outlet, events)
}

impl<E: Send + 'static> Outlet<E> {
    /// Hands over what there is room for, and throws away what nobody will take. Whether anything
    /// moved.
    pub(crate) fn deliver(
        &mut self,
        cx: &mut Context<'_>,
        machine: &mut impl Machine<Event = E>,
    ) -> bool {
        let mut moved = false;
        loop {
            let has_listener = match self.events.poll_reserve(cx) {
                Poll::Pending => return moved,
                Poll::Ready(reserved) => reserved.is_ok(),
            };
            let Some(event) = machine.poll_event() else {
                return moved;
            };
            moved = true;
            if has_listener {
                // Fails only if the listener left in this very moment; then nobody misses the event.
                let _ = self.events.send_item(event);
            }
        }
    }

    /// Hands over everything that is left, room or not: the machine's queue is bounded, and the driver
    /// need not wait for a slow listener to be done.
    pub(crate) fn finish(&mut self, machine: &mut impl Machine<Event = E>) {
        if let Some(rest) = self.rest.take() {
            let _ = rest.send(std::iter::from_fn(|| machine.poll_event()).collect());
        }
        self.events.abort_send();
        self.events.close();
    }
}
