//! The application's end of the events, and the driver's.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use attache_driver::Machine;
use attache_protocol::viewer::{Cursor, Viewer};
use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use crate::handle::{Handle, Hold};

/// How many events wait outside the machine. Small: the machine has its own, configured bound.
const CHANNEL_EVENTS: usize = 64;

/// The events of a session, in order; ends after the one that says `Closed`, or when the driver is
/// dropped. Without a parameter, a viewer's.
pub struct Events<M: Machine = Viewer> {
    source: Source<M>,
    place: M::Place,
    /// Keeps the session open as long as somebody listens.
    _open: Hold<M>,
}

/// Where the next event comes from.
enum Source<M: Machine> {
    Driver {
        events: mpsc::Receiver<Told<M>>,
        rest: oneshot::Receiver<VecDeque<Told<M>>>,
    },
    /// What had not been taken when the driver was done.
    Rest(VecDeque<Told<M>>),
}

/// An event, and how far the application is once it has taken it.
struct Told<M: Machine> {
    event: M::Event,
    place: M::Place,
}

impl<M: Machine> Told<M> {
    fn next(machine: &mut M) -> Option<Self> {
        let event = machine.poll_event()?;
        let place = machine.place();
        Some(Self { event, place })
    }
}

impl Events {
    /// How far the application is: with every message taken from here, and with no other. Kept, and handed
    /// in as [`ViewerConfig::resume_from`](attache_protocol::viewer::ViewerConfig::resume_from), it goes
    /// on from there in another process. `None` until there is something to go on from.
    pub fn cursor(&self) -> Option<Cursor> {
        self.place.clone()
    }
}

impl<M: Machine> Events<M> {
    /// The next event; `None` when there will be none any more.
    ///
    /// Cancel safe: no event is lost when the future is dropped before it is done.
    pub async fn next(&mut self) -> Option<M::Event> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<M::Event>> {
        let told = loop {
            match &mut self.source {
                Source::Driver { events, rest } => match ready!(events.poll_recv(cx)) {
                    Some(told) => break Some(told),
                    None => self.source = Source::Rest(rest.try_recv().unwrap_or_default()),
                },
                Source::Rest(rest) => break rest.pop_front(),
            }
        };
        Poll::Ready(told.map(|Told { event, place }| {
            self.place = place;
            event
        }))
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
pub(crate) struct Outlet<M: Machine> {
    events: PollSender<Told<M>>,
    rest: Option<oneshot::Sender<VecDeque<Told<M>>>>,
}

/// Both ends. The application's keeps the machine of `handle` open, and is at `place`.
pub(crate) fn channel<M: Machine>(handle: &Handle<M>, place: M::Place) -> (Outlet<M>, Events<M>) {
    let (event_sender, events) = mpsc::channel(CHANNEL_EVENTS);
    let (rest_sender, rest) = oneshot::channel();
    let outlet = Outlet {
        events: PollSender::new(event_sender),
        rest: Some(rest_sender),
    };
    let events = Events {
        source: Source::Driver { events, rest },
        place,
        _open: handle.hold(),
    };
    (outlet, events)
}

impl<M: Machine> Outlet<M> {
    /// Hands over what there is room for, and throws away what nobody will take. Whether anything
    /// moved.
    pub(crate) fn deliver(&mut self, cx: &mut Context<'_>, machine: &mut M) -> bool {
        let mut moved = false;
        loop {
            let has_listener = match self.events.poll_reserve(cx) {
                Poll::Pending => return moved,
                Poll::Ready(reserved) => reserved.is_ok(),
            };
            let Some(told) = Told::next(machine) else {
                return moved;
            };
            moved = true;
            if has_listener {
                // Fails only if the listener left in this very moment; then nobody misses the event.
                let _ = self.events.send_item(told);
            }
        }
    }

    /// Hands over everything that is left, room or not: the machine's queue is bounded, and the driver
    /// need not wait for a slow listener to be done.
    pub(crate) fn finish(&mut self, machine: &mut M) {
        if let Some(rest) = self.rest.take() {
            let _ = rest.send(std::iter::from_fn(|| Told::next(machine)).collect());
        }
        self.events.abort_send();
        self.events.close();
    }
}
