//! A bounded memory of ids.

mod index;

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use crate::kept_id::KeptId;
use index::Index;

/// The last so many ids, each once.
///
/// It takes nothing before the first id, grows with what it holds, and at its limit it allocates nothing any
/// more for ids that are UUIDs: 32 bytes for each of them, 128 KiB for 4096.
#[derive(Clone)]
pub struct Memory {
    table: Option<Box<Table>>,
    limit: u32,
    key: u64,
}

impl Memory {
    /// Room for `limit` ids. The secret `key` keeps others from choosing ids that slow it down; it makes no
    /// other difference.
    pub fn new(limit: usize, key: u64) -> Self {
        Self {
            table: None,
            limit: u32::try_from(limit).unwrap_or(u32::MAX).min(u32::MAX / 4),
            key,
        }
    }

    /// Remembers `id`, forgetting the oldest one at the limit; `false` if it was known.
    pub fn insert(&mut self, id: impl Into<KeptId>) -> bool {
        let (limit, key) = (self.limit, self.key);
        let table = self
            .table
            .get_or_insert_with(|| Box::new(Table::new(limit, key)));
        table.insert(id.into())
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.table = None;
    }

    pub(crate) fn contains(&self, id: impl Into<KeptId>) -> bool {
        let Some(table) = &self.table else {
            return false;
        };
        let id = id.into();
        table.holds(&id, id.hash(table.key))
    }
}

impl fmt::Debug for Memory {
    /// What it knows, the oldest first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.table.as_ref().map(|table| {
            let next = as_index(table.next);
            table.ids.split_at_checked(next).unwrap_or_default()
        });
        let (newer, older) = ids.unwrap_or_default();
        f.debug_list().entries(older).entries(newer).finish()
    }
}

/// Ids in a ring, and where they are.
#[derive(Clone)]
struct Table {
    /// The ids; at the limit the oldest one is overwritten.
    ids: Vec<KeptId>,
    /// Where the next id goes.
    next: u32,
    limit: u32,
    key: u64,
    index: Index,
}

/// Ids that there is room for at first.
const FEWEST: usize = 8;

impl Table {
    fn new(limit: u32, key: u64) -> Self {
        Self {
            ids: Vec::new(),
            next: 0,
            limit,
            key,
            index: Index::new(limit),
        }
    }

    #[inline]
    fn insert(&mut self, id: KeptId) -> bool {
        let hash = id.hash(self.key);
        if self.holds(&id, hash) {
            return false;
        }
        if let Some(oldest) = self.ids.get_mut(as_index(self.next)) {
            *oldest = id;
        } else if self.next < self.limit {
            self.make_room();
            self.ids.push(id);
        } else {
            return true;
        }
        self.index.add(hash);
        self.next += 1;
        if self.next == self.limit {
            self.next = 0;
        }
        true
    }

    #[inline]
    fn holds(&self, id: &KeptId, hash: u64) -> bool {
        self.index.holds(hash, |age| {
            let since_first = self.next.checked_sub(age);
            let place = since_first.unwrap_or_else(|| (self.next + self.limit).saturating_sub(age));
            self.ids.get(as_index(place)) == Some(id)
        })
    }

    /// Makes room for one more id.
    #[cold]
    fn make_room(&mut self) {
        let length = self.ids.len() + 1;
        if length > self.ids.capacity() {
            let wanted = (length * 2).max(FEWEST).min(as_index(self.limit));
            self.ids.reserve_exact(wanted - self.ids.len());
        }
        if self.index.wants_room(self.ids.len()) {
            self.index.grow(self.ids.iter().map(|id| id.hash(self.key)));
        }
    }
}

fn as_index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::{
        collections::VecDeque,
        format,
        string::{String, ToString},
    };

    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn the_oldest_id_is_forgotten_first() {
        let mut memory = Memory::new(2, 1);
        assert!(memory.insert("a") && memory.insert("b"));
        assert!(!memory.insert("a"));
        assert!(memory.insert("c"));
        assert!(!memory.contains("a"));
        assert!(memory.contains("b") && memory.contains("c"));
        assert_eq!(format!("{memory:?}"), "[KeptId(b), KeptId(c)]");
    }

    #[test]
    fn a_memory_of_nothing_knows_nothing() {
        let mut memory = Memory::new(0, 1);
        assert!(memory.insert("a") && memory.insert("a"));
        assert!(!memory.contains("a"));
    }

    #[test]
    fn what_was_cleared_is_not_known() {
        let mut memory = Memory::new(2, 1);
        memory.insert("a");
        memory.clear();
        assert!(!memory.contains("a"));
        assert!(memory.insert("a"));
    }

    #[test]
    fn it_takes_32_bytes_an_id_at_most() {
        let mut memory = Memory::new(4096, 1);
        let mut rng = Rng::new([1; 32]);
        for _ in 0..10_000 {
            assert!(memory.insert(&*rng.uuid()));
        }
        let table = memory.table.unwrap();
        let bytes = table.ids.capacity() * size_of::<KeptId>() + table.index.bytes();
        assert_eq!(bytes, 128 * 1024);
    }

    #[test]
    fn it_grows_by_doubling_up_to_its_limit() {
        let mut memory = Memory::new(1000, 1);
        let (mut ids, mut index) = (Vec::new(), Vec::new());
        for number in 0..1000 {
            memory.insert(&*number.to_string());
            let table = memory.table.as_ref().unwrap();
            ids.push(table.ids.capacity());
            index.push(table.index.bytes());
        }
        ids.dedup();
        index.dedup();
        assert_eq!(ids, [8, 18, 38, 78, 158, 318, 638, 1000]);
        assert_eq!(index, [1, 2, 4, 8, 16, 32, 64, 128].map(|lines| lines * 64));
    }

    #[test]
    fn it_knows_the_last_ones_whatever_the_limit() {
        for limit in [1, 2, 3, 7, 8, 9, 100, 1000] {
            let mut memory = Memory::new(limit, 5);
            let mut rng = Rng::new([1; 32]);
            let mut last = VecDeque::new();
            for number in 0..3 * limit {
                let id = if number % 3 == 0 {
                    number.to_string()
                } else {
                    rng.uuid()
                };
                assert!(memory.insert(&*id));
                last.push_back(id);
                if last.len() > limit {
                    let forgotten: String = last.pop_front().unwrap();
                    assert!(!memory.contains(&*forgotten));
                }
                assert!(last.iter().rev().take(20).all(|id| memory.contains(&**id)));
            }
            assert!(last.iter().all(|id| memory.contains(&**id)));
        }
    }

    proptest! {
        /// Few ids and a small table, so that they are in each other's way.
        #[test]
        fn it_is_a_queue_that_holds_everything_once(
            limit in 0..12_usize,
            key: u64,
            ids in prop::collection::vec(0..24_u8, 0..200),
        ) {
            let mut memory = Memory::new(limit, key);
            let mut model: VecDeque<u8> = VecDeque::new();
            for id in ids {
                let is_new = !model.contains(&id);
                if is_new {
                    model.push_back(id);
                    if model.len() > limit {
                        model.pop_front();
                    }
                }
                prop_assert_eq!(memory.insert(&*id.to_string()), is_new);
                for known in 0..24 {
                    prop_assert_eq!(memory.contains(&*known.to_string()), model.contains(&known));
                }
                let shown: Vec<KeptId> =
                    model.iter().map(|id| KeptId::from(&*id.to_string())).collect();
                prop_assert_eq!(format!("{:?}", memory), format!("{:?}", shown));
            }
        }
    }
}
