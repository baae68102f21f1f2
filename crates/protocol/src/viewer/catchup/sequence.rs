//! How far a stream that numbers its events has been read.

use crate::kept_id::KeptId;

/// The number of the last event read, and what may come next.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence {
    reached: Option<u64>,
    last_id: Option<KeptId>,
    next: Next,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum Next {
    /// The number after the last one; with any later one there is a hole.
    #[default]
    Successor,
    /// Any later number: that there is a hole has been told.
    Later,
}

/// What the number of an event says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::viewer) enum Step {
    /// The event has been read before.
    Old,
    /// It is the next one.
    Next,
    /// There is a hole before it.
    Jump,
}

impl Sequence {
    /// The number to go on after; none when nothing is known of the log.
    pub(super) fn reached(&self) -> Option<u64> {
        self.reached
    }

    /// The id of the last event read.
    pub(super) fn last_id(&self) -> Option<&KeptId> {
        self.last_id.as_ref()
    }

    /// An event with this number came.
    pub(super) fn step(&mut self, number: u64) -> Step {
        let next = core::mem::take(&mut self.next);
        let step = match self.reached {
            Some(reached) if number <= reached => {
                self.next = next;
                return Step::Old;
            }
            Some(reached) if next == Next::Successor && number > reached + 1 => Step::Jump,
            Some(_) | None => Step::Next,
        };
        self.reached = Some(number);
        step
    }

    /// The event that was stepped to is called `id`.
    pub(super) fn named(&mut self, id: &KeptId) {
        self.last_id = Some(id.clone());
    }

    /// Everything up to `number` is known, or not wanted.
    pub(super) fn begin_after(&mut self, number: u64) {
        self.reached = Some(number);
        self.next = Next::Successor;
    }

    /// What has not come up to `number` will not come.
    pub(super) fn skip_to(&mut self, number: u64) {
        self.begin_after(self.reached.unwrap_or_default().max(number));
    }

    /// There is a hole here, and it has been told.
    pub(super) fn expect_hole(&mut self) {
        self.next = Next::Later;
    }

    /// The numbers count from the beginning again.
    pub(super) fn start_over(&mut self) {
        self.reached = Some(0);
        self.next = Next::Later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_seen_once() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.step(7), Step::Next);
        assert_eq!(sequence.step(8), Step::Next);
        assert_eq!(sequence.step(8), Step::Old);
        assert_eq!(sequence.step(10), Step::Jump);
        assert_eq!(sequence.step(11), Step::Next);
        sequence.expect_hole();
        assert_eq!(sequence.step(11), Step::Old);
        assert_eq!(sequence.step(20), Step::Next);
        assert_eq!(sequence.step(22), Step::Jump);
        sequence.skip_to(30);
        assert_eq!(sequence.step(30), Step::Old);
        assert_eq!(sequence.step(31), Step::Next);
    }

    #[test]
    fn the_end_of_all_numbers_is_survived() {
        let mut sequence = Sequence::default();
        sequence.begin_after(u64::MAX - 1);
        assert_eq!(sequence.step(u64::MAX), Step::Next);
        assert_eq!(sequence.step(u64::MAX), Step::Old);
    }
}
