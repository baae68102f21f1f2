//! What waits for room: frames that have come and were not looked at, a page of the log that was not asked
//! for.
//!
//! Room is made by whoever takes events and effects, which the machine does not see. So what waits has no
//! deadline while there is no room, and one that has passed as soon as there is: the driver, which asks for
//! the deadline when it has drained the machine, calls again at once, and an application that takes nothing
//! costs nothing.

use super::{
    Viewer,
    phase::{Phase, Subscription},
};

impl Viewer {
    /// Whether one more frame may be looked at.
    pub(super) fn has_room(&self) -> bool {
        let Phase::Up(link) = &self.phase else {
            return false;
        };
        !self.events.is_full()
            && self.effects.len() < self.config.limits.effects.max(1)
            && self.posting.has_room(self.config.limits.effects)
            && self
                .catch_up
                .has_room(&self.config.limits, link.subscription)
    }

    /// Notes whether something waits for room from now on.
    pub(super) fn note_backlog(&mut self) {
        self.backlog = if !self.inbox.is_empty() || self.wants_page() {
            self.backlog.or(Some(self.now))
        } else {
            None
        };
    }

    /// Whether there is room for what waits.
    pub(super) fn can_go_on(&self) -> bool {
        (!self.inbox.is_empty() && self.has_room()) || (self.wants_page() && !self.events.is_full())
    }

    /// Nothing has happened for a while: queues need not be as long as they once were.
    pub(super) fn give_room_back(&mut self) {
        self.effects.shrink();
        self.events.shrink();
        self.inbox.shrink();
    }

    /// Whether a page would be asked for if there were room for what it brings.
    fn wants_page(&self) -> bool {
        match &self.phase {
            Phase::Up(link) => {
                link.subscription == Subscription::Made && self.catch_up.wants_page(&link.token)
            }
            Phase::Ending { token, .. } => self.catch_up.wants_page(token),
            Phase::Idle
            | Phase::FetchingToken { .. }
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Waiting { .. }
            | Phase::Closing { .. }
            | Phase::Closed => false,
        }
    }
}
