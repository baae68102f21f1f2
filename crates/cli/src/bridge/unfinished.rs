//! Messages the agent has been given and not finished with.

use std::collections::VecDeque;

/// The messages that were written to the agent, oldest first, by the server's id for their delivery.
///
/// An agent may answer several messages in one turn, so a turn's end finishes everything that was
/// written before the turn began.
#[derive(Debug)]
pub(super) struct Unfinished<T> {
    waiting: VecDeque<T>,
    /// How many of them the current turn is about.
    in_turn: usize,
}

impl<T> Unfinished<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            in_turn: 0,
        }
    }

    /// The agent has been given a message.
    pub(super) fn written(&mut self, id: T) {
        self.waiting.push_back(id);
        self.in_turn = self.in_turn.max(1);
    }

    /// The agent has ended a turn: what it has finished by that.
    pub(super) fn turn_ended(&mut self) -> Vec<T> {
        let finished = self.waiting.drain(..self.in_turn).collect();
        self.in_turn = self.waiting.len();
        finished
    }

    /// The agent is gone: what it will never finish.
    pub(super) fn abandoned(&mut self) -> Vec<T> {
        self.in_turn = 0;
        self.waiting.drain(..).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_finishes_what_was_written_before_it_began() {
        let mut unfinished = Unfinished::new();
        assert_eq!(unfinished.turn_ended(), [0; 0]);
        for id in 1..=3 {
            unfinished.written(id);
        }
        assert_eq!(unfinished.turn_ended(), [1]);
        unfinished.written(4);
        assert_eq!(unfinished.turn_ended(), [2, 3]);
        assert_eq!(unfinished.turn_ended(), [4]);
        assert_eq!(unfinished.turn_ended(), [0; 0]);
        unfinished.written(5);
        assert_eq!(unfinished.abandoned(), [5]);
        assert!(unfinished.is_empty());
        unfinished.written(6);
        assert_eq!(unfinished.turn_ended(), [6]);
    }
}
