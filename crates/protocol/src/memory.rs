//! A bounded memory of ids.

use alloc::collections::{BTreeSet, VecDeque};

use bytestring::ByteString;

/// The last so many ids, each once.
///
/// Ids are copied in: a slice would keep the whole frame it came from alive.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    order: VecDeque<ByteString>,
    known: BTreeSet<ByteString>,
    limit: usize,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            order: VecDeque::new(),
            known: BTreeSet::new(),
            limit,
        }
    }

    /// Remembers `id`, forgetting the oldest one at the limit; `false` if it was known.
    pub(crate) fn insert(&mut self, id: &str) -> bool {
        if self.known.contains(id) {
            return false;
        }
        while self.order.len() >= self.limit {
            let Some(oldest) = self.order.pop_front() else {
                return true;
            };
            self.known.remove(&oldest);
        }
        let id = ByteString::from(id);
        self.order.push_back(id.clone());
        self.known.insert(id);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.order.clear();
        self.known.clear();
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.known.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_id_is_forgotten_first() {
        let mut memory = Memory::new(2);
        assert!(memory.insert("a") && memory.insert("b"));
        assert!(!memory.insert("a"));
        assert!(memory.insert("c"));
        assert!(!memory.contains("a"));
        assert!(memory.contains("b") && memory.contains("c"));
    }

    #[test]
    fn a_memory_of_nothing_knows_nothing() {
        let mut memory = Memory::new(0);
        assert!(memory.insert("a") && memory.insert("a"));
        assert!(!memory.contains("a"));
    }
}
