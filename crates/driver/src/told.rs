//! An event on its way to the application.

use crate::Machine;

/// An event, and how far the application is once it has taken it.
pub struct Told<M: Machine> {
    /// The event.
    pub event: M::Event,
    /// How far it brings the application.
    pub place: M::Place,
}

impl<M: Machine> Told<M> {
    /// The machine's next event.
    #[inline]
    pub fn next(machine: &mut M) -> Option<Self> {
        let event = machine.poll_event()?;
        let place = machine.place();
        Some(Self { event, place })
    }
}

impl<M: Machine> core::fmt::Debug for Told<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}
