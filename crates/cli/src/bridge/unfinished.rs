//! Messages the agent has been given and not finished with.

use std::collections::VecDeque;

/// The messages that were written to the agent, oldest first, by the server's id for their delivery.
///
/// A turn's end finishes one message. The agent may have answered those that waited behind it in the same
/// turn; that shows when no other turn follows.
#[derive(Debug)]
pub(super) struct Unfinished<T> {
    waiting: VecDeque<T>,
    /// How many of them were there when the last turn ended; none while a turn goes on.
    left: usize,
}

impl<T> Unfinished<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            left: 0,
        }
    }

    /// The agent has been given a message.
    pub(super) fn written(&mut self, id: T) {
        self.waiting.push_back(id);
    }

    /// The agent is at work, so at one of those that wait.
    pub(super) fn turn_goes_on(&mut self) {
        self.left = 0;
    }

    /// The agent has ended a turn: what it has finished by that.
    pub(super) fn turn_ended(&mut self) -> Option<T> {
        let finished = self.waiting.pop_front();
        self.left = self.waiting.len();
        finished
    }

    /// The agent rests after a turn: what it must have finished with that one.
    pub(super) fn rests(&mut self) -> Vec<T> {
        let left = std::mem::take(&mut self.left);
        self.waiting.drain(..left).collect()
    }

    /// The agent is gone: what it will never finish.
    pub(super) fn abandoned(&mut self) -> Vec<T> {
        self.left = 0;
        self.waiting.drain(..).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(ids: impl IntoIterator<Item = u32>) -> Unfinished<u32> {
        let mut unfinished = Unfinished::new();
        for id in ids {
            unfinished.written(id);
        }
        unfinished
    }

    #[test]
    fn each_turn_finishes_one_message() {
        let mut unfinished = given(1..=3);
        assert_eq!(unfinished.turn_ended(), Some(1));
        unfinished.turn_goes_on();
        assert_eq!(unfinished.rests(), [0; 0]);
        assert_eq!(unfinished.turn_ended(), Some(2));
        assert_eq!(unfinished.turn_ended(), Some(3));
        assert_eq!(unfinished.turn_ended(), None);
        assert!(unfinished.is_empty());
    }

    #[test]
    fn an_agent_that_rests_has_finished_what_it_had_when_its_turn_ended() {
        let mut unfinished = given(1..=3);
        assert_eq!(unfinished.turn_ended(), Some(1));
        unfinished.written(4);
        assert_eq!(unfinished.rests(), [2, 3]);
        assert_eq!(unfinished.rests(), [0; 0]);
        assert_eq!(unfinished.turn_ended(), Some(4));
    }

    #[test]
    fn an_agent_that_is_gone_has_abandoned_the_rest() {
        let mut unfinished = given(1..=2);
        assert_eq!(unfinished.turn_ended(), Some(1));
        assert_eq!(unfinished.abandoned(), [2]);
        assert_eq!(unfinished.rests(), [0; 0]);
        assert!(unfinished.is_empty());
    }
}
