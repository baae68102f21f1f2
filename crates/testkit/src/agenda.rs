//! What is going to happen, and when.

use std::{collections::BTreeMap, time::Duration};

use attache_protocol::{
    io::{Input, StreamId},
    time::Timestamp,
};

use crate::server::LineId;

/// Something on its way to the viewer.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// Something read from a line: it waits while the viewer does not want to read, and dies with
    /// the line.
    FromLine(LineId, Input),
    /// The server's next comment on a stream.
    Comment(StreamId),
    /// The answer to an attempt, a call or a question.
    Answer(Input),
}

/// Happenings in the order of their time; at the same time, in the order they were planned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    planned: BTreeMap<(Timestamp, u64), Happening>,
    count: u64,
    busy_until: BTreeMap<LineId, Timestamp>,
}

impl Agenda {
    pub(crate) fn plan(&mut self, now: Timestamp, delay: Duration, happening: Happening) {
        let mut at = now.checked_add(delay).unwrap_or(now);
        if let Some(line) = happening.line() {
            // A line never reorders.
            let busy_until = self.busy_until.entry(line).or_default();
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

    /// What was on its way over this line is lost.
    pub(crate) fn lose(&mut self, line: LineId) {
        self.planned
            .retain(|_, happening| !matches!(happening, Happening::FromLine(id, _) if *id == line));
    }
}

impl Happening {
    /// The line whose order it keeps.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else belongs to no line that is open"
    )]
    fn line(&self) -> Option<LineId> {
        match self {
            Self::FromLine(id, _) => Some(*id),
            Self::Answer(Input::SocketOpened { id }) => Some(LineId::Socket(*id)),
            Self::Answer(Input::StreamOpened { id }) => Some(LineId::Stream(*id)),
            _ => None,
        }
    }
}
