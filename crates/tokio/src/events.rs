//! The application's end of the events, and the driver's.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use attache_protocol::viewer::{Event, Viewer};
use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use crate::session::Command;

/// How many events wait outside the machine. Small: the machine has its own, configured bound.
const CHANNEL_EVENTS: usize = 64;

/// The events of a session, in order; ends after [`Event::Closed`], or when the driver is dropped.
pub struct Events {
    source: Source,
    /// Keeps the session open as long as somebody listens.
    _open: mpsc::Sender<Command>,
}

/// Where the next event comes from.
enum Source {
    Driver {
        events: mpsc::Receiver<Event>,
        rest: oneshot::Receiver<VecDeque<Event>>,
    },
    /// What had not been taken when the driver was done.
    Rest(VecDeque<Event>),
}

impl Events {
    /// The next event; `None` when there will be none any more.
    ///
    /// Cancel safe: no event is lost when the future is dropped before it is done.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
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

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_event(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// The driver's end.
pub(crate) struct Outlet {
    events: PollSender<Event>,
    rest: Option<oneshot::Sender<VecDeque<Event>>>,
}

/// Both ends. The application's keeps `commands` open.
pub(crate) fn channel(commands: mpsc::Sender<Command>) -> (Outlet, Events) {
    let (event_sender, events) = mpsc::channel(CHANNEL_EVENTS);
    let (rest_sender, rest) = oneshot::channel();
    let outlet = Outlet {
        events: PollSender::new(event_sender),
        rest: Some(rest_sender),
    };
    let events = Events {
        source: Source::Driver { events, rest },
        _open: commands,
    };
    (outlet, events)
}

impl Outlet {
    /// Hands over what there is room for, and throws away what nobody will take. Whether anything
    /// moved.
    pub(crate) fn deliver(&mut self, cx: &mut Context<'_>, viewer: &mut Viewer) -> bool {
        let mut moved = false;
        loop {
            let has_listener = match self.events.poll_reserve(cx) {
                Poll::Pending => return moved,
                Poll::Ready(reserved) => reserved.is_ok(),
            };
            let Some(event) = viewer.poll_event() else {
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
    pub(crate) fn finish(&mut self, viewer: &mut Viewer) {
        if let Some(rest) = self.rest.take() {
            let _ = rest.send(std::iter::from_fn(|| viewer.poll_event()).collect());
        }
        self.events.abort_send();
        self.events.close();
    }
}
