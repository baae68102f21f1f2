//! The application's end of the events, and the driver's.

use std::{
    collections::VecDeque,
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

/// How many events wait outside the machine. Small: the machine has its own, configured bound.
const QUEUED_EVENTS: usize = 64;

/// The events of a session, in order; ends after the one that says `Closed`, or when the driver is
/// dropped. Without a parameter, a viewer's.
pub struct Events<M: Machine = Viewer> {
    shared: Arc<Shared<M>>,
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
    events: VecDeque<Told<M>>,
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
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<M::Event>> {
        self.shared.listener.register(cx.waker());
        let mut queue = self.shared.lock();
        let was_full = queue.events.len() >= QUEUED_EVENTS;
        let event = queue.events.pop_front();
        let stage = queue.stage;
        drop(queue);
        match event {
            Some(Told { event, place }) => {
                if was_full {
                    self.shared.driver.wake();
                }
                self.place = place;
                Poll::Ready(Some(event))
            }
            None if stage == Stage::Open => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

impl<M: Machine> Stream for Events<M> {
    type Item = M::Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M::Event>> {
        self.poll_event(cx)
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
            events: VecDeque::new(),
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
        while queue.stage == Stage::Unheard || queue.events.len() < QUEUED_EVENTS {
            let Some(told) = Told::next(machine) else {
                break;
            };
            moved = true;
            if queue.stage == Stage::Open {
                queue.events.push_back(told);
            }
        }
        drop(queue);
        if moved {
            self.shared.listener.wake();
        }
        moved
    }

    /// Hands over everything that is left, room or not: the machine's queue is bounded, and the driver
    /// need not wait for a slow listener to be done.
    pub(crate) fn finish(&mut self, machine: &mut M) {
        let left: Vec<_> = std::iter::from_fn(|| Told::next(machine)).collect();
        let mut queue = self.shared.lock();
        if queue.stage == Stage::Open {
            queue.events.extend(left);
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
