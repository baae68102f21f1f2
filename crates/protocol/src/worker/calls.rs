//! The HTTP calls that are under way: at most one of each kind.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{io::HttpRequestId, time::Timestamp};

/// What a call is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    Register,
    Bridge,
    Read,
    Report,
    Upload,
    Delivery,
    Heartbeat,
    Archive,
}

/// The calls under way, with the time by which each must have been answered.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Calls {
    open: BTreeMap<Call, (HttpRequestId, Option<Timestamp>)>,
}

impl Calls {
    pub(super) fn start(&mut self, call: Call, id: HttpRequestId, deadline: Option<Timestamp>) {
        self.open.insert(call, (id, deadline));
    }

    pub(super) fn is_open(&self, call: Call) -> bool {
        self.open.contains_key(&call)
    }

    /// The call `id` is over; what it was for, unless it had been given up.
    pub(super) fn over(&mut self, id: HttpRequestId) -> Option<Call> {
        let call = self
            .open
            .iter()
            .find(|(_, (open, _))| *open == id)
            .map(|(call, _)| *call)?;
        self.open.remove(&call);
        Some(call)
    }

    /// Gives a call up; its id, if it was under way.
    pub(super) fn cancel(&mut self, call: Call) -> Option<HttpRequestId> {
        self.open.remove(&call).map(|(id, _)| id)
    }

    /// The calls under way.
    pub(super) fn kinds(&self) -> Vec<Call> {
        self.open.keys().copied().collect()
    }

    /// A call that was not answered in time.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Option<(Call, HttpRequestId)> {
        let due = |deadline: &Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
        let (call, id) = self
            .open
            .iter()
            .find(|(_, (_, deadline))| due(deadline))
            .map(|(call, (id, _))| (*call, *id))?;
        self.open.remove(&call);
        Some((call, id))
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open
            .values()
            .filter_map(|(_, deadline)| *deadline)
            .min()
    }
}
