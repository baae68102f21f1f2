//! What is going to happen, and when.

use std::{collections::BTreeMap, time::Duration};

use attache_protocol::{
    io::{Input, SocketId},
    time::Timestamp,
};

/// Something on its way to the viewer.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// Something read from a socket: it waits while the viewer does not want to read, and dies with
    /// the socket.
    FromSocket(SocketId, Input),
    /// The answer to an attempt, a call or a question.
    Answer(Input),
}

/// Happenings in the order of their time; at the same time, in the order they were planned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    planned: BTreeMap<(Timestamp, u64), Happening>,
    count: u64,
    busy_until: BTreeMap<SocketId, Timestamp>,
}

impl Agenda {
    pub(crate) fn plan(&mut self, now: Timestamp, delay: Duration, happening: Happening) {
        let mut at = now.checked_add(delay).unwrap_or(now);
        if let Happening::FromSocket(id, _) | Happening::Answer(Input::SocketOpened { id }) =
            &happening
        {
            // A socket never reorders.
            let busy_until = self.busy_until.entry(*id).or_default();
            at = at.max(*busy_until);
            *busy_until = at;
        }
        self.planned.insert((at, self.count), happening);
        self.count += 1;
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.planned.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Happening> {
        let first = self.planned.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// What was on its way over this socket is lost.
    pub(crate) fn lose(&mut self, socket: SocketId) {
        self.planned.retain(
            |_, happening| !matches!(happening, Happening::FromSocket(id, _) if *id == socket),
        );
    }
}
