//! What a store's commits cost.

use core::time::Duration;

/// The upper bounds of [`CommitStats::within`].
pub const COMMIT_BOUNDS: [Duration; 12] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// What a store has committed since it was opened. All numbers only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitStats {
    /// How many commits there were.
    pub commits: u64,
    /// How many of them failed; nothing of those is stored.
    pub failed: u64,
    /// How many writes they held: so many calls shared the waits for the disk.
    pub writes: u64,
    /// How many writes the largest one held.
    pub largest: u64,
    /// How long they took together.
    pub took: Duration,
    /// How many took at most as long as the bound of the same place in [`COMMIT_BOUNDS`], but
    /// longer than the bound before. What is missing to [`commits`](Self::commits) took longer.
    pub within: [u64; COMMIT_BOUNDS.len()],
}

impl CommitStats {
    /// Counts one more commit.
    pub fn count(&mut self, writes: u64, took: Duration, succeeded: bool) {
        self.commits += 1;
        self.failed += u64::from(!succeeded);
        self.writes += writes;
        self.largest = self.largest.max(writes);
        self.took += took;
        let place = COMMIT_BOUNDS.partition_point(|bound| *bound < took);
        if let Some(bucket) = self.within.get_mut(place) {
            *bucket += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_counted_under_the_first_bound_it_keeps() {
        let mut stats = CommitStats::default();
        stats.count(1, Duration::ZERO, true);
        stats.count(3, Duration::from_millis(5), true);
        stats.count(2, Duration::from_micros(5_001), false);
        stats.count(1, Duration::from_secs(3), true);
        assert_eq!(stats.within, [1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
        let totals = (stats.commits, stats.failed, stats.writes, stats.largest);
        assert_eq!(totals, (4, 1, 7, 3));
        assert_eq!(stats.took, Duration::from_micros(3_010_001));
    }
}
