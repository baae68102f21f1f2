//! Events on their way to the application.

use std::{collections::VecDeque, fmt};

use crate::Machine;

/// How many events there is room for at all times once there were so many.
const ROOM_KEPT: usize = 32;

/// So many or fewer are no part of a stream that brings many.
const FEW: usize = 8;

/// Events in order, and with each how far the application is once it has taken it.
///
/// They lie apart, because an event is moved as few times as possible: it is large.
pub struct Told<M: Machine> {
    events: VecDeque<M::Event>,
    places: VecDeque<M::Place>,
}

impl<M: Machine> Told<M> {
    /// No events.
    pub fn new() -> Self {
        Self {
            events: VecDeque::new(),
            places: VecDeque::new(),
        }
    }

    /// Adds the machine's next event. Whether it had one.
    #[inline]
    pub fn hear(&mut self, machine: &mut M) -> bool {
        let Some(event) = machine.poll_event() else {
            return false;
        };
        self.events.push_back(event);
        self.places.push_back(machine.place());
        true
    }

    /// Takes the first event, and notes how far that brings the application.
    #[inline]
    pub fn take(&mut self, place: &mut M::Place) -> Option<M::Event> {
        if let Some(reached) = self.places.pop_front() {
            *place = reached;
        }
        self.events.pop_front()
    }

    /// Gives memory back when few events lie in much of it.
    pub fn fit(&mut self) {
        if self.events.len() <= FEW && self.events.capacity() > ROOM_KEPT {
            self.events.shrink_to(ROOM_KEPT);
            self.places.shrink_to(ROOM_KEPT);
        }
    }

    /// Forgets the events.
    pub fn clear(&mut self) {
        self.events.clear();
        self.places.clear();
    }

    /// How many events there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl<M: Machine> Default for Told<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> fmt::Debug for Told<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use attache_protocol::{
        SessionId,
        time::Timestamp,
        viewer::{Viewer, ViewerConfig},
    };

    use super::*;

    #[test]
    fn room_for_many_events_is_kept_while_many_come() {
        let config = ViewerConfig::new(SessionId::parse("session_1").unwrap());
        let mut viewer = Viewer::new(config, [0; 32], Timestamp::ORIGIN);
        viewer.connect(Timestamp::ORIGIN).unwrap();
        let mut told: Told<Viewer> = Told::new();
        assert!(told.hear(&mut viewer));
        let event = told.events.pop_front().unwrap();

        for (events, has_much) in [(500, true), (FEW + 1, true), (FEW, false), (1, false)] {
            told.clear();
            told.events
                .extend(std::iter::repeat_n(&event, events).cloned());
            told.places.extend(std::iter::repeat_n(None, events));
            told.fit();
            assert_eq!(told.len(), events);
            assert_eq!(told.events.capacity() > ROOM_KEPT, has_much, "{events}");
            assert_eq!(told.places.capacity() > ROOM_KEPT, has_much, "{events}");
        }
    }
}
