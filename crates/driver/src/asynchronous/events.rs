//! The application's end of the events, and the driver's.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use attache_protocol::viewer::{Cursor, Viewer};
use futures_core::Stream;
use futures_util::task::AtomicWaker;

use super::handle::{Handle, Hold};
use crate::{Machine, Told};

/// How many events are handed over at once. The machine has its own, configured bound; this many, because the
/// application may be on another thread, and waking that costs as much as dozens of events. While it has taken so
/// many and goes through them, the next ones are laid out.
const QUEUED_EVENTS: usize = 256;

/// The events of a session, in order; ends after the one that says `Closed`, or when the driver is
/// dropped. Without a parameter, a viewer's.
pub struct Events<M: Machine = Viewer> {
    shared: Arc<Shared<M>>,
    /// What was handed over at once and waits for its turn.
    at_hand: Told<M>,
    place: M::Place,
    /// Keeps the session open as long as somebody listens.
    _open: Hold<M>,
}

/// What lies between the driver and the one who listens.
struct Shared<M: Machine> {
    queue: Mutex<Queue<M>>,
    driver: AtomicWaker,
    listener: AtomicWaker,
}

struct Queue<M: Machine> {
    events: Told<M>,
    /// The driver waits until these are taken.
    is_awaited: bool,
    stage: Stage,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Stage {
    Open,
    /// The driver is gone.
    Over,
    /// Nobody listens any more.
    Unheard,
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
        if self.at_hand.is_empty() {
            std::future::poll_fn(|cx| self.poll_batch(cx)).await;
        }
        self.at_hand.take(&mut self.place)
    }

    /// Takes everything that was handed over. Ready with nothing at hand when nothing will be.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.listener.register(cx.waker());
        let mut queue = self.shared.lock();
        let is_awaited = std::mem::take(&mut queue.is_awaited);
        let makes_room = is_awaited || queue.events.len() >= QUEUED_EVENTS;
        std::mem::swap(&mut self.at_hand, &mut queue.events);
        let stage = queue.stage;
        drop(queue);
        if makes_room {
            self.shared.driver.wake();
        }
        self.at_hand.fit();
        if self.at_hand.is_empty() && stage == Stage::Open {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<M: Machine> Stream for Events<M> {
    type Item = M::Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M::Event>> {
        if self.at_hand.is_empty() && self.poll_batch(cx).is_pending() {
            return Poll::Pending;
        }
        let this = &mut *self;
        Poll::Ready(this.at_hand.take(&mut this.place))
    }
}

impl<M: Machine> Drop for Events<M> {
    fn drop(&mut self) {
        let left = {
            let mut queue = self.shared.lock();
            queue.stage = Stage::Unheard;
            std::mem::take(&mut queue.events)
        };
        drop(left);
        self.shared.driver.wake();
    }
}

impl<M: Machine> fmt::Debug for Events<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl<M: Machine> Shared<M> {
    fn lock(&self) -> MutexGuard<'_, Queue<M>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver's end.
pub(crate) struct Outlet<M: Machine> {
    shared: Arc<Shared<M>>,
}

/// Both ends. The application's keeps the machine of `handle` open, and is at `place`.
pub(crate) fn channel<M: Machine>(handle: &Handle<M>, place: M::Place) -> (Outlet<M>, Events<M>) {
    let shared = Arc::new(Shared {
        queue: Mutex::new(Queue {
            events: Told::new(),
            is_awaited: false,
            stage: Stage::Open,
        }),
        driver: AtomicWaker::new(),
        listener: AtomicWaker::new(),
    });
    let outlet = Outlet {
        shared: Arc::clone(&shared),
    };
    let events = Events {
        shared,
        at_hand: Told::new(),
        place,
        _open: handle.hold(),
    };
    (outlet, events)
}

impl<M: Machine> Outlet<M> {
    /// Hands over what there is room for, and throws away what nobody will take. Whether anything
    /// moved.
    pub(crate) fn deliver(&mut self, cx: &mut Context<'_>, machine: &mut M) -> bool {
        self.shared.driver.register(cx.waker());
        let mut queue = self.shared.lock();
        let mut moved = false;
        if queue.stage == Stage::Unheard {
            while machine.poll_event().is_some() {
                moved = true;
            }
        } else {
            while queue.events.len() < QUEUED_EVENTS && queue.events.hear(machine) {
                moved = true;
            }
        }
        drop(queue);
        if moved {
            self.shared.listener.wake();
        }
        moved
    }

    /// Whether the listener has something to take. If so, the driver is woken when that is taken.
    pub(crate) fn awaits_listener(&mut self) -> bool {
        let mut queue = self.shared.lock();
        queue.is_awaited = queue.stage == Stage::Open && !queue.events.is_empty();
        queue.is_awaited
    }

    /// Hands over everything that is left, room or not: the machine's queue is bounded, and the driver
    /// need not wait for a slow listener to be done.
    pub(crate) fn finish(&mut self, machine: &mut M) {
        let mut queue = self.shared.lock();
        if queue.stage == Stage::Open {
            while queue.events.hear(machine) {}
        }
        drop(queue);
        self.close();
    }

    fn close(&self) {
        let mut queue = self.shared.lock();
        if queue.stage == Stage::Open {
            queue.stage = Stage::Over;
        }
        drop(queue);
        self.shared.listener.wake();
    }
}

impl<M: Machine> Drop for Outlet<M> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::{Wake, Waker},
    };

    use attache_protocol::{SessionId, time::Timestamp, viewer::ViewerConfig};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::asynchronous::handle;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_driver_that_waits_for_the_listener_is_woken_when_that_takes_something() {
        let config = ViewerConfig::new(SessionId::parse("x").unwrap());
        let mut viewer = Viewer::new(config, [0; 32], Timestamp::ORIGIN);
        let (_inlet, handle) = handle::channel(viewer.view());
        let (mut outlet, mut events) = channel(&handle, viewer.place());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        assert!(!outlet.deliver(cx, &mut viewer));
        assert!(!outlet.awaits_listener(), "there is nothing to take");

        viewer.connect(Timestamp::ORIGIN).unwrap();
        assert!(outlet.deliver(cx, &mut viewer));
        assert!(outlet.awaits_listener());
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);

        assert!(events.next().now_or_never().flatten().is_some());
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(!outlet.awaits_listener(), "everything is taken");
        drop(events);
        assert!(!outlet.awaits_listener(), "nobody takes anything");
    }
}
