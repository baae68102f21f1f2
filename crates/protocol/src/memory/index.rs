//! Where in a row of things one is found, by its hash.

use alloc::{boxed::Box, vec};

/// The last `limit` things that were added, by their hashes.
///
/// A thing has a number, and is told by its age: the last one that was added is 1 old. What is older than the
/// limit is forgotten by that alone, without being looked for. So adding a thing touches one bucket, which is one
/// line of the processor's cache.
#[derive(Clone)]
pub(super) struct Index {
    /// Their number is a power of two.
    buckets: Box<[Bucket]>,
    /// The number of the next thing.
    next: u32,
    limit: u32,
    /// The bits of an entry that are a number.
    numbers: u32,
}

/// Things that hash to the same place, and some of those before it that found no room.
#[derive(Clone)]
#[repr(align(64))]
struct Bucket {
    /// The oldest first.
    entries: [Entry; PLACES],
    /// The last thing for which there was no room: as long as it is remembered, the next bucket has to be looked at
    /// as well.
    passed_on: Entry,
}

/// The low bits are those of a number, the high ones those of a hash.
type Entry = u32;

const PLACES: usize = 15;

/// So many things there are for each bucket at most: twice as many fit.
const LOAD: usize = 8;

impl Index {
    /// Of nothing, but with a place for a few things.
    pub(super) fn new(limit: u32) -> Self {
        // Numbers come again only long after they were forgotten.
        let bits = (u32::BITS - limit.leading_zeros() + 3).min(u32::BITS);
        let mut index = Self {
            buckets: Box::default(),
            next: 0,
            limit,
            numbers: u32::MAX >> (u32::BITS - bits),
        };
        index.clear(1);
        index
    }

    /// Whether `is_it` is true of the age of a thing with this hash. It is asked of few others.
    #[inline]
    pub(super) fn holds(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> bool {
        let wanted = self.entry(hash, 0);
        let mut at = self.home(hash);
        // Each bucket may once have passed something on to the next, all the way round.
        for _ in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get(at) else {
                return false;
            };
            if bucket.may_hold(wanted, self.numbers) && self.is_in(bucket, wanted, &is_it) {
                return true;
            }
            if !self.is_remembered(bucket.passed_on) {
                return false;
            }
            at = self.after(at);
        }
        false
    }

    /// Whether it is in this bucket, where something has the hash that `wanted` has.
    #[inline(never)]
    fn is_in(&self, bucket: &Bucket, wanted: Entry, is_it: impl Fn(u32) -> bool) -> bool {
        bucket.entries.iter().any(|entry| {
            (entry ^ wanted) & !self.numbers == 0
                && self.is_remembered(*entry)
                && is_it(self.age(*entry))
        })
    }

    /// Adds a thing.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        let entry = self.entry(hash, self.next);
        self.next = self.next.wrapping_add(1);
        if self.next & (self.numbers >> 1) == 0 {
            self.forget();
        }
        let mut at = self.home(hash);
        // There are more places than things to remember.
        for _ in 0..self.buckets.len() {
            let (next, limit, numbers) = (self.next, self.limit, self.numbers);
            let Some(bucket) = self.buckets.get_mut(at) else {
                return;
            };
            if next.wrapping_sub(bucket.oldest()) & numbers > limit {
                bucket.push(entry);
                return;
            }
            bucket.passed_on = entry;
            at = self.after(at);
        }
    }

    /// Whether there must be more room before another is added to `count` things.
    #[inline]
    pub(super) fn wants_room(&self, count: usize) -> bool {
        count >= self.buckets.len() * LOAD
    }

    /// Makes room for twice as many things. `hashes` are those of the things that are remembered, the oldest first.
    pub(super) fn grow(&mut self, hashes: impl Iterator<Item = u64>) {
        self.clear(self.buckets.len() * 2);
        for hash in hashes {
            self.add(hash);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    fn clear(&mut self, buckets: usize) {
        let forgotten = self.forgotten();
        let bucket = Bucket {
            entries: [forgotten; PLACES],
            passed_on: forgotten,
        };
        self.buckets = vec![bucket; buckets].into_boxed_slice();
    }

    /// Lets what was forgotten long ago count as forgotten just now, before its number comes again.
    #[cold]
    fn forget(&mut self) {
        let forgotten = self.forgotten();
        let (next, limit, numbers) = (self.next, self.limit, self.numbers);
        for bucket in &mut self.buckets {
            for entry in bucket.entries.iter_mut().chain([&mut bucket.passed_on]) {
                if next.wrapping_sub(*entry) & numbers > limit {
                    *entry = forgotten;
                }
            }
        }
    }

    /// The entry of a thing that is just too old.
    fn forgotten(&self) -> Entry {
        self.entry(0, self.next.wrapping_sub(self.limit + 1))
    }

    fn is_remembered(&self, entry: Entry) -> bool {
        self.age(entry) <= self.limit
    }

    fn age(&self, entry: Entry) -> u32 {
        self.next.wrapping_sub(entry) & self.numbers
    }

    fn entry(&self, hash: u64, number: u32) -> Entry {
        low(hash) & !self.numbers | number & self.numbers
    }

    fn home(&self, hash: u64) -> usize {
        self.round(usize::try_from(hash >> 32).unwrap_or_default())
    }

    fn after(&self, at: usize) -> usize {
        self.round(at + 1)
    }

    fn round(&self, at: usize) -> usize {
        at & self.buckets.len().wrapping_sub(1)
    }
}

impl Bucket {
    /// Whether any entry has the hash that `wanted` has.
    ///
    /// It looks at all of them, so that the processor can do so at once and need not guess.
    #[inline]
    fn may_hold(&self, wanted: Entry, numbers: u32) -> bool {
        let has = |entry: Entry| (entry ^ wanted) & !numbers == 0;
        self.entries
            .iter()
            .fold(has(self.passed_on), |found, entry| found | has(*entry))
    }

    fn oldest(&self) -> Entry {
        let [oldest, ..] = self.entries;
        oldest
    }

    /// Adds an entry in the place of the oldest.
    fn push(&mut self, entry: Entry) {
        let [_, rest @ ..] = self.entries;
        let [places @ .., last] = &mut self.entries;
        *places = rest;
        *last = entry;
    }
}

fn low(hash: u64) -> u32 {
    u32::try_from(hash & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::{prelude::*, sample::select};

    use super::*;

    /// Things that are nothing but their hashes.
    struct Row {
        index: Index,
        hashes: Vec<u64>,
        limit: usize,
    }

    impl Row {
        fn new(limit: u32) -> Self {
            Self {
                index: Index::new(limit),
                hashes: Vec::new(),
                limit: usize::try_from(limit).unwrap(),
            }
        }

        fn add(&mut self, hash: u64) {
            let count = self.hashes.len();
            if count < self.limit && self.index.wants_room(count) {
                self.index.grow(self.hashes.iter().copied());
            }
            self.hashes.push(hash);
            self.index.add(hash);
        }

        fn remembered(&self) -> &[u64] {
            &self.hashes[self.hashes.len().saturating_sub(self.limit)..]
        }

        /// Whether it holds a hash; it must ask of nothing that is forgotten.
        fn holds(&self, hash: u64) -> bool {
            self.index.holds(hash, |age| {
                let age = usize::try_from(age).unwrap();
                let remembered = self.remembered();
                remembered[remembered.len() - age] == hash
            })
        }
    }

    /// A hash whose bucket is number `home`.
    fn hash(home: u64, rest: u64) -> u64 {
        home << 32 | rest << 24
    }

    proptest! {
        /// Most are in few buckets, so that these pass many on; numbers come again several times.
        #[test]
        fn it_holds_the_last_ones_and_no_others(
            limit in 1..40_u32,
            runs in prop::collection::vec(
                prop::collection::vec((select(&[0, 0, 0, 0, 1, 5, 7][..]), 0..64_u64), 1..60),
                1..12,
            ),
            repeated in 1..6,
        ) {
            let mut row = Row::new(limit);
            for run in runs {
                for _ in 0..repeated {
                    for (home, rest) in &run {
                        row.add(hash(*home, *rest));
                    }
                }
                for home in 0..8 {
                    for rest in 0..64 {
                        let hash = hash(home, rest);
                        prop_assert_eq!(row.holds(hash), row.remembered().contains(&hash));
                    }
                }
            }
        }
    }

    #[test]
    fn a_search_ends_when_every_bucket_has_passed_something_on() {
        let mut row = Row::new(16);
        // Two buckets, of which the first is filled, and then the second.
        for rest in 0..16 {
            row.add(hash(0, rest));
        }
        for rest in 16..31 {
            row.add(hash(1, rest));
        }
        let has_passed_on = |bucket: &Bucket| row.index.is_remembered(bucket.passed_on);
        assert!(row.index.buckets.len() == 2 && row.index.buckets.iter().all(has_passed_on));
        for home in 0..2 {
            assert!(!row.holds(hash(home, 99)));
            assert!((15..31).all(|rest| row.holds(hash(u64::from(rest > 15), rest))));
        }
    }

    #[test]
    fn what_hashes_alike_is_told_apart_by_whoever_has_it() {
        let mut index = Index::new(8);
        index.add(7);
        index.add(7);
        assert!(index.holds(7, |age| age == 1) && index.holds(7, |age| age == 2));
        assert!(!index.holds(7, |_| false));
    }

    #[test]
    fn a_bucket_is_one_line_of_the_cache() {
        assert_eq!(size_of::<Bucket>(), 64);
        assert_eq!(align_of::<Bucket>(), 64);
    }
}
