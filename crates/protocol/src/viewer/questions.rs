//! What a driver and an application may ask at any time.

use super::{Cursor, Status, Viewer, phase::Phase};

impl Viewer {
    /// Where the connection stands.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// How far the application has come: with every message taken so far, and with no other. Kept, and
    /// handed in as [`ViewerConfig::resume_from`](super::ViewerConfig::resume_from), it goes on from
    /// there in another process. `None` until there is something to go on from.
    pub fn cursor(&self) -> Option<Cursor> {
        self.events.cursor().cloned()
    }

    /// Whether the driver should read from the socket or the stream. False while the application takes too few
    /// events; the peer then feels it through TCP, and its silence is not held against it.
    pub fn wants_read(&self) -> bool {
        match self.phase {
            Phase::Up(_) => self.has_room() && self.inbox.is_empty(),
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Waiting { .. }
            | Phase::Ending { .. }
            | Phase::Closing { .. }
            | Phase::Closed => true,
        }
    }

    /// Whether the end is decided: commands are refused, inputs change nothing.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether the end is decided and every effect and event has been taken.
    pub fn is_drained(&self) -> bool {
        self.is_closed() && self.effects.is_empty() && self.events.is_empty()
    }
}
