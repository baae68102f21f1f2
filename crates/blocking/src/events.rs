//! The application's end of the events, and the driver's.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::RecvTimeoutError},
    time::{Duration, Instant},
};

use attache_driver::Machine;
use attache_protocol::viewer::Viewer;

use crate::{
    alarm::Alarm,
    handle::{Handle, Hold},
};

/// How many events wait outside the machine. Small: the machine has its own, configured bound.
const QUEUE_EVENTS: usize = 64;

/// The events of a session, in order; ends after the one that says `Closed`, or when the driver is
/// gone. Without a parameter, a viewer's.
///
/// As an iterator it waits for the next event for as long as it takes.
pub struct Events<M: Machine = Viewer> {
    shared: Arc<Shared<M::Event>>,
    alarm: Alarm,
    /// Keeps the session open as long as somebody listens.
    _open: Hold<M>,
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
        let mut queue = self.shared.lock();
        loop {
            let was_full = queue.waiting.len() == QUEUE_EVENTS;
            if let Some(event) = queue.waiting.pop_front() {
                drop(queue);
                if was_full {
                    self.alarm.ring();
                }
                return Ok(event);
            }
            if queue.is_over {
                return Err(RecvTimeoutError::Disconnected);
            }
            let Some(deadline) = deadline else {
                queue = self
                    .shared
                    .arrived
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            let waited = self.shared.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
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
pub(crate) struct Outlet<E> {
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    queue: Mutex<Queue<E>>,
    arrived: Condvar,
}

struct Queue<E> {
    waiting: VecDeque<E>,
    is_over: bool,
    has_listener: bool,
}

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, Queue<E>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both ends. The application's keeps the machine of `handle` open.
pub(crate) fn channel<M: Machine>(handle: &Handle<M>) -> (Outlet<M::Event>, Events<M>) {
    let shared = Arc::new(Shared {
        queue: Mutex::new(Queue {
            waiting: VecDeque::new(),
            is_over: false,
            has_listener: true,
        }),
        arrived: Condvar::new(),
    });
    let outlet = Outlet {
        shared: Arc::clone(&shared),
    };
    let events = Events {
        shared,
        alarm: handle.alarm().clone(),
        _open: handle.hold(),
    };
    (outlet, events)
}

impl<E> Outlet<E> {
    /// Hands over what there is room for, and throws away what nobody will take. Whether anything
    /// moved.
    pub(crate) fn deliver(&mut self, machine: &mut impl Machine<Event = E>) -> bool {
        self.hand_over(machine, QUEUE_EVENTS)
    }

    /// Hands over everything that is left, room or not: the machine's queue is bounded, and the driver
    /// need not wait for a slow listener to be done.
    pub(crate) fn finish(&mut self, machine: &mut impl Machine<Event = E>) {
        self.hand_over(machine, usize::MAX);
    }

    fn hand_over(&mut self, machine: &mut impl Machine<Event = E>, room: usize) -> bool {
        let mut queue = self.shared.lock();
        let mut moved = false;
        while queue.waiting.len() < room {
            let Some(event) = machine.poll_event() else {
                break;
            };
            moved = true;
            if queue.has_listener {
                queue.waiting.push_back(event);
            }
        }
        if moved {
            self.shared.arrived.notify_all();
        }
        moved
    }
}

impl<E> Drop for Outlet<E> {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.arrived.notify_all();
    }
}
