//! Who speaks for a session's agent, and whether it is there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

use super::{Mailbox, deliveries::Deliveries};

/// The one place of the session's agent. Whoever takes it gets a new epoch, and the one before
/// loses it.
pub(super) enum Seat {
    Vacant,
    /// An agent of this process.
    Agent(Weak<Mailbox>),
    /// A worker elsewhere.
    Worker(WorkerSeat),
}

pub(super) struct WorkerSeat {
    pub(super) lease: Lease,
    /// The stream that it reads, while it does.
    pub(super) stream: Weak<Mailbox>,
    pub(super) deliveries: Deliveries,
}

/// Whether a worker counts as being there.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Lease {
    /// It was there before this relay was; its next call says that it still is. So long it has time
    /// for that.
    Awaited(Instant),
    Until(Instant),
    Lost,
}

impl WorkerSeat {
    pub(super) fn new(lease: Lease, deliveries: Deliveries) -> Self {
        Self {
            lease,
            stream: Weak::new(),
            deliveries,
        }
    }
}

impl Seat {
    /// Whether somebody is there to be asked.
    pub(super) fn is_taken(&self) -> bool {
        match self {
            Self::Vacant => false,
            Self::Agent(mailbox) => mailbox.strong_count() > 0,
            Self::Worker(worker) => matches!(worker.lease, Lease::Until(_)),
        }
    }

    /// Whether whoever was here last is gone for good, and with it everything it waits for.
    pub(super) fn is_deserted(&self) -> bool {
        match self {
            Self::Vacant => true,
            Self::Agent(mailbox) => mailbox.strong_count() == 0,
            Self::Worker(worker) => worker.lease == Lease::Lost,
        }
    }

    /// Whether its worker was not heard of since the session was loaded.
    pub(super) fn is_awaited(&self) -> bool {
        match self {
            Self::Vacant | Self::Agent(_) => false,
            Self::Worker(worker) => matches!(worker.lease, Lease::Awaited(_)),
        }
    }

    pub(super) fn mailbox(&self) -> Option<Arc<Mailbox>> {
        match self {
            Self::Vacant => None,
            Self::Agent(mailbox) => mailbox.upgrade(),
            Self::Worker(worker) => worker.stream.upgrade(),
        }
    }

    /// When its worker is given up.
    pub(super) fn lapses_at(&self) -> Option<Instant> {
        match self {
            Self::Vacant | Self::Agent(_) => None,
            Self::Worker(worker) => match worker.lease {
                Lease::Until(lapse) | Lease::Awaited(lapse) => Some(lapse),
                Lease::Lost => None,
            },
        }
    }
}

/// What others can see of a seat without asking the session's task. Cloning is cheap.
#[derive(Clone, Default)]
pub(crate) struct Presence(Arc<Mutex<Seen>>);

#[derive(Default)]
enum Seen {
    #[default]
    Nobody,
    Agent(Weak<Mailbox>),
    Worker(Instant),
}

impl Presence {
    /// Whether there is an agent, or a worker whose lease has not run out.
    pub(crate) fn is_connected(&self) -> bool {
        match &*self.lock() {
            Seen::Nobody => false,
            Seen::Agent(mailbox) => mailbox.strong_count() > 0,
            Seen::Worker(until) => *until > Instant::now(),
        }
    }

    pub(super) fn show(&self, seat: &Seat) {
        *self.lock() = match seat {
            Seat::Vacant => Seen::Nobody,
            Seat::Agent(mailbox) => Seen::Agent(mailbox.clone()),
            Seat::Worker(worker) => match worker.lease {
                Lease::Until(until) => Seen::Worker(until),
                Lease::Awaited(_) | Lease::Lost => Seen::Nobody,
            },
        };
    }

    pub(super) fn show_nobody(&self) {
        *self.lock() = Seen::Nobody;
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // It is replaced whole, so it is sound even after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
