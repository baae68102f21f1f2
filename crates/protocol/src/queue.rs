//! A queue that takes little when little is in it.

use alloc::collections::{VecDeque, vec_deque};

/// First in, first out. It grows by doubling from one place, keeps the places it has while it is emptied and
/// filled, and gives them back when it is told that nothing happens.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T>(VecDeque<T>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Queue<T> {
    #[inline]
    pub(crate) fn push_back(&mut self, item: T) {
        if self.0.len() == self.0.capacity() {
            self.push_beyond(item);
        } else {
            // Where it is known that there is room, the item is moved only once.
            self.0.push_back(item);
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.0.front()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.0.front_mut()
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.0.back_mut()
    }

    pub(crate) fn iter_mut(&mut self) -> vec_deque::IterMut<'_, T> {
        self.0.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back all places that are not taken.
    pub(crate) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    #[cold]
    fn push_beyond(&mut self, item: T) {
        self.0.reserve_exact(self.0.len().max(1));
        self.0.push_back(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_one_place_at_first_and_none_when_nothing_happens() {
        let mut queue = Queue::default();
        assert_eq!(queue.0.capacity(), 0);
        queue.push_back(1);
        assert_eq!(queue.0.capacity(), 1);
        for number in 2..=100 {
            queue.push_back(number);
        }
        let places = queue.0.capacity();
        for number in 1..=100 {
            assert_eq!(queue.pop_front(), Some(number));
        }
        assert_eq!(queue.0.capacity(), places);
        queue.shrink();
        assert_eq!(queue.0.capacity(), 0);
    }
}
