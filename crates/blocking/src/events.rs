//! The application's end of the events, and the driver's.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::RecvTimeoutError},
    time::{Duration, Instant},
};

use attache_driver::{Machine, Told};
use attache_protocol::viewer::{Cursor, Viewer};

use crate::{
    alarm::Alarm,
    handle::{Handle, Hold},
};

/// How many events are handed over at once. The machine has its own, configured bound; this many, because a
/// thread that waits for the other one costs as much as dozens of events. While the application has taken so
/// many and goes through them, the next ones are laid out.
const QUEUE_EVENTS: usize = 256;

/// The events of a session, in order; ends after the one that says `Closed`, or when the driver is
/// gone. Without a parameter, a viewer's.
///
/// As an iterator it waits for the next event for as long as it takes.
pub struct Events<M: Machine = Viewer> {
    shared: Arc<Shared<M>>,
    /// What was handed over at once and waits for its turn.
    at_hand: Told<M>,
    alarm: Alarm,
    place: M::Place,
    /// Keeps the session open as long as somebody listens.
    _open: Hold<M>,
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
    /// The next event, if there is one within `patience`; none at all, [`Duration::ZERO`], takes only
    /// what is there already.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] when none came, [`RecvTimeoutError::Disconnected`] when there will
    /// be none any more.
    pub fn recv_timeout(&mut self, patience: Duration) -> Result<M::Event, RecvTimeoutError> {
        match Instant::now().checked_add(patience) {
            Some(deadline) => self.take(Some(deadline)),
            None => self.take(None),
        }
    }

    /// Waits until `deadline`, or without one for ever.
    fn take(&mut self, deadline: Option<Instant>) -> Result<M::Event, RecvTimeoutError> {
        if let Some(event) = self.at_hand.take(&mut self.place) {
            return Ok(event);
        }
        let mut queue = self.shared.lock();
        loop {
            let was_full = queue.waiting.len() >= QUEUE_EVENTS;
            std::mem::swap(&mut self.at_hand, &mut queue.waiting);
            if let Some(event) = self.at_hand.take(&mut self.place) {
                drop(queue);
                if was_full {
                    self.alarm.ring();
                }
                self.at_hand.fit();
                return Ok(event);
            }
            if queue.is_over {
                return Err(RecvTimeoutError::Disconnected);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(RecvTimeoutError::Timeout);
            }
            queue.is_awaited = true;
            queue = if let Some(left) = left {
                let waited = self.shared.arrived.wait_timeout(queue, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                let waited = self.shared.arrived.wait(queue);
                waited.unwrap_or_else(PoisonError::into_inner)
            };
            queue.is_awaited = false;
        }
    }
}

impl<M: Machine> Iterator for Events<M> {
    type Item = M::Event;

    fn next(&mut self) -> Option<M::Event> {
        self.take(None).ok()
    }
}

impl<M: Machine> Drop for Events<M> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.has_listener = false;
        queue.waiting.clear();
    }
}

impl<M: Machine> fmt::Debug for Events<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// The driver's end. Dropping it ends the events.
pub(crate) struct Outlet<M: Machine> {
    shared: Arc<Shared<M>>,
}

struct Shared<M: Machine> {
    queue: Mutex<Queue<M>>,
    arrived: Condvar,
}

struct Queue<M: Machine> {
    waiting: Told<M>,
    is_over: bool,
    has_listener: bool,
    /// Somebody sleeps until something arrives.
    is_awaited: bool,
}

impl<M: Machine> Shared<M> {
    fn lock(&self) -> MutexGuard<'_, Queue<M>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both ends. The application's keeps the machine of `handle` open.
pub(crate) fn channel<M: Machine>(handle: &Handle<M>, place: M::Place) -> (Outlet<M>, Events<M>) {
    let shared = Arc::new(Shared {
        queue: Mutex::new(Queue {
            waiting: Told::new(),
            is_over: false,
            has_listener: true,
            is_awaited: false,
        }),
        arrived: Condvar::new(),
    });
    let outlet = Outlet {
        shared: Arc::clone(&shared),
    };
    let events = Events {
        shared,
        at_hand: Told::new(),
        alarm: handle.alarm().clone(),
        place,
        _open: handle.hold(),
    };
    (outlet, events)
}

impl<M: Machine> Outlet<M> {
    /// Hands over what there is room for, and throws away what nobody will take. Whether anything
    /// moved.
    pub(crate) fn deliver(&mut self, machine: &mut M) -> bool {
        self.hand_over(machine, QUEUE_EVENTS)
    }

    /// Hands over everything that is left, room or not: the machine's queue is bounded, and the driver
    /// need not wait for a slow listener to be done.
    pub(crate) fn finish(&mut self, machine: &mut M) {
        self.hand_over(machine, usize::MAX);
    }

    fn hand_over(&mut self, machine: &mut M, room: usize) -> bool {
        let mut queue = self.shared.lock();
        let mut moved = false;
        if queue.has_listener {
            while queue.waiting.len() < room && queue.waiting.hear(machine) {
                moved = true;
            }
        } else {
            while machine.poll_event().is_some() {
                moved = true;
            }
        }
        let is_awaited = queue.is_awaited;
        drop(queue);
        if moved && is_awaited {
            self.shared.arrived.notify_all();
        }
        moved
    }
}

impl<M: Machine> Drop for Outlet<M> {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.arrived.notify_all();
    }
}
