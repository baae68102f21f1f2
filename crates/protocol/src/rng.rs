//! The session's only source of chance: a generator the driver seeds once.

use alloc::{format, string::String};
use core::time::Duration;

use rand_core::{Rng as _, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Same seed, same draws, on any machine.
#[derive(Clone, Debug)]
pub(crate) struct Rng(Xoshiro256PlusPlus);

impl Rng {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(Xoshiro256PlusPlus::from_seed(seed))
    }

    /// A secret number that is not one of the draws.
    pub(crate) fn key(seed: &[u8; 32]) -> u64 {
        Xoshiro256PlusPlus::from_seed(seed.map(|byte| !byte)).next_u64()
    }

    /// A duration between `low` and `high`, both included.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (low, high) = (nanos(low), nanos(high).max(nanos(low)));
        let width = u128::from(high - low) + 1;
        // The high half of the product is uniform over `0..width` up to a bias of width / 2^64.
        let offset = (u128::from(self.0.next_u64()) * width) >> 64;
        Duration::from_nanos(low.saturating_add(u64::try_from(offset).unwrap_or(0)))
    }

    /// A version 4 UUID in its usual spelling.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.0.next_u64(), self.0.next_u64());
        let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
        let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};

    use super::*;

    #[test]
    fn every_uuid_is_of_version_4_and_chance_everywhere_else() {
        let mut rng = Rng::new([7; 32]);
        let uuids: Vec<String> = (0..500).map(|_| rng.uuid()).collect();
        assert_eq!(uuids[0], Rng::new([7; 32]).uuid());
        for place in 0..36 {
            let seen: BTreeSet<u8> = uuids.iter().map(|uuid| uuid.as_bytes()[place]).collect();
            let seen: String = seen.into_iter().map(char::from).collect();
            let expected = match place {
                8 | 13 | 18 | 23 => "-",
                14 => "4",
                19 => "89ab",
                _ => "0123456789abcdef",
            };
            assert_eq!(seen, expected, "at {place}");
        }
        assert!(uuids.iter().all(|uuid| uuid.len() == 36));
    }

    #[test]
    fn both_ends_are_drawn_as_well() {
        let mut rng = Rng::new([1; 32]);
        let (low, high) = (Duration::ZERO, Duration::from_nanos(1));
        let draws: Vec<Duration> = (0..100).map(|_| rng.between(low, high)).collect();
        assert!(draws.contains(&low) && draws.contains(&high));
    }

    #[test]
    fn draws_stay_between_their_bounds() {
        let mut rng = Rng::new([1; 32]);
        let (low, high) = (Duration::from_millis(5), Duration::from_millis(6));
        for _ in 0..1000 {
            assert!((low..=high).contains(&rng.between(low, high)));
        }
        assert_eq!(rng.between(high, low), high);
        rng.between(Duration::ZERO, Duration::MAX);
    }
}
