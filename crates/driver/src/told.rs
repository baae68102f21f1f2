//! Events on their way to the application.

use std::{collections::VecDeque, fmt};

use crate::Machine;

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
