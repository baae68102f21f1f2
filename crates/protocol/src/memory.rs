//! A bounded memory of ids.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{fmt, mem};

use crate::kept_id::KeptId;

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
        let table = self.table.get_or_insert_with(|| {
            Box::new(Table {
                ids: Vec::new(),
                places: Box::default(),
                oldest: 0,
                limit,
                key,
            })
        });
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
        table.find(&id, id.hash(table.key)).is_some()
    }
}

impl fmt::Debug for Memory {
    /// What it knows, the oldest first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.table.as_ref().map(|table| {
            let oldest = as_index(table.oldest);
            table.ids.split_at_checked(oldest).unwrap_or_default()
        });
        let (newer, older) = ids.unwrap_or_default();
        f.debug_list().entries(older).entries(newer).finish()
    }
}

/// Ids in a ring, and a table that finds them.
#[derive(Clone)]
struct Table {
    /// The ids; at the limit the oldest one is overwritten.
    ids: Vec<KeptId>,
    /// Where the ids are, by their hashes; at most half of the places are taken.
    places: Box<[Place]>,
    /// The oldest id, once the limit is reached.
    oldest: u32,
    limit: u32,
    key: u64,
}

/// The number of an id, counted from 1; 0 is free.
type Place = u32;

const FREE: Place = 0;

/// Places of the first table.
const FEWEST: usize = 16;

impl Table {
    fn insert(&mut self, id: KeptId) -> bool {
        let hash = id.hash(self.key);
        if self.find(&id, hash).is_some() {
            return false;
        }
        if self.ids.len() < as_index(self.limit) {
            self.make_room();
            self.ids.push(id);
            self.take_place(hash, as_place(self.ids.len()));
        } else if let Some(oldest) = self.ids.get_mut(as_index(self.oldest)) {
            let forgotten = mem::replace(oldest, id);
            let place = self.oldest + 1;
            self.leave_place(forgotten.hash(self.key), place);
            self.take_place(hash, place);
            self.oldest = if place == self.limit { 0 } else { place };
        }
        true
    }

    fn find(&self, id: &KeptId, hash: u64) -> Option<Place> {
        let mut at = self.start(hash);
        loop {
            let place = *self.places.get(at)?;
            if self.ids.get(as_index(place).checked_sub(1)?)? == id {
                return Some(place);
            }
            at = self.after(at);
        }
    }

    /// Makes room for one more id.
    fn make_room(&mut self) {
        let length = self.ids.len() + 1;
        if length > self.ids.capacity() {
            let wanted = (length * 2).max(FEWEST / 2).min(as_index(self.limit));
            self.ids.reserve_exact(wanted - self.ids.len());
        }
        if length * 2 > self.places.len() {
            let wanted = (self.places.len() * 2).max(FEWEST);
            self.places = vec![FREE; wanted].into_boxed_slice();
            for place in 1..=as_place(self.ids.len()) {
                self.take_place(self.hash_at(place), place);
            }
        }
    }

    fn take_place(&mut self, hash: u64, place: Place) {
        let mut at = self.start(hash);
        while self.places.get(at).is_some_and(|taken| *taken != FREE) {
            at = self.after(at);
        }
        self.set(at, place);
    }

    /// Frees the place of an id, and closes the gap in the row of those that were put behind it.
    fn leave_place(&mut self, hash: u64, place: Place) {
        let mut gap = self.start(hash);
        while self.places.get(gap).is_some_and(|taken| *taken != place) {
            gap = self.after(gap);
        }
        let mut at = self.after(gap);
        while let Some(&taken) = self.places.get(at)
            && taken != FREE
        {
            let start = self.start(self.hash_at(taken));
            // Where it would be looked for first lies before the gap, going round.
            if self.distance(start, at) >= self.distance(gap, at) {
                self.set(gap, taken);
                gap = at;
            }
            at = self.after(at);
        }
        self.set(gap, FREE);
    }

    fn hash_at(&self, place: Place) -> u64 {
        let id = as_index(place)
            .checked_sub(1)
            .and_then(|index| self.ids.get(index));
        id.map_or(0, |id| id.hash(self.key))
    }

    fn set(&mut self, at: usize, place: Place) {
        if let Some(slot) = self.places.get_mut(at) {
            *slot = place;
        }
    }

    fn start(&self, hash: u64) -> usize {
        self.round(usize::try_from(hash >> 32).unwrap_or_default())
    }

    fn after(&self, at: usize) -> usize {
        self.round(at + 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        self.round(to.wrapping_sub(from))
    }

    /// The number of places is a power of two.
    fn round(&self, at: usize) -> usize {
        at & self.places.len().wrapping_sub(1)
    }
}

fn as_index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

fn as_place(count: usize) -> Place {
    u32::try_from(count).unwrap_or(u32::MAX)
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
        let bytes =
            table.ids.capacity() * size_of::<KeptId>() + table.places.len() * size_of::<Place>();
        assert_eq!(bytes, 128 * 1024);
    }

    #[test]
    fn it_grows_by_doubling_up_to_its_limit() {
        let mut memory = Memory::new(1000, 1);
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for number in 0..1000 {
            memory.insert(&*number.to_string());
            let table = memory.table.as_ref().unwrap();
            ids.push(table.ids.capacity());
            places.push(table.places.len());
        }
        ids.dedup();
        places.dedup();
        assert_eq!(ids, [8, 18, 38, 78, 158, 318, 638, 1000]);
        assert_eq!(places, [16, 32, 64, 128, 256, 512, 1024, 2048]);
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
