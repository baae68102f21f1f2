//! Giving up the front of the log.

use std::time::SystemTime;

use super::actor::Session;
use crate::store::{After, Origin, Retention, SessionStatus, StoreError};

/// Pruning waits until this part of a limit is over it, so that it is not for every frame.
const SLACK: u64 = 16;

/// How much the log holds, and how much it has to hold before it is pruned again.
pub(super) struct Weight {
    /// The first sequence number that is kept.
    first: u64,
    bytes: u64,
    limit_frames: u64,
    limit_bytes: u64,
}

impl Weight {
    /// A log that has just been read.
    pub(super) fn new(first: u64, bytes: u64, keep: &Retention) -> Self {
        Self {
            first,
            bytes,
            limit_frames: keep.frames,
            limit_bytes: keep.bytes,
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    fn frames(&self, last: u64) -> u64 {
        (last + 1).saturating_sub(self.first)
    }

    fn is_over(&self, last: u64) -> bool {
        self.frames(last) > self.limit_frames || self.bytes > self.limit_bytes
    }

    /// The log begins at `first` now. When something had to stay, it may be more than the limit.
    fn pruned(&mut self, first: u64, last: u64, keep: &Retention) {
        if first > self.first {
            self.bytes = self.bytes.min(keep.bytes);
        }
        self.first = first;
        let next = |now: u64, limit: u64| now.max(limit).saturating_add(limit / SLACK);
        self.limit_frames = next(self.frames(last), keep.frames);
        self.limit_bytes = next(self.bytes, keep.bytes);
    }
}

impl Session {
    pub(super) async fn prune_if_over(&mut self) {
        if self.weight.is_over(self.last_sequence) {
            self.prune().await;
        }
    }

    pub(super) async fn prune(&mut self) {
        let keep = &self.options.retention;
        let pruned = async {
            let floor = self.floor().await?;
            let now = SystemTime::now();
            self.store.prune(&self.id, keep, floor, now).await
        };
        let first = match pruned.await {
            Ok(first) => first,
            Err(error) => {
                tracing::warn!(session = %self.id, %error, "the log is not pruned");
                self.weight.first
            }
        };
        self.weight.pruned(first, self.last_sequence, keep);
    }

    /// What has to stay: from the oldest open request on, and from the first frame that the agent has
    /// not taken.
    async fn floor(&self) -> Result<u64, StoreError> {
        let asked = self.conversation.oldest_open();
        let archived = self.status == SessionStatus::Archived;
        if archived && !self.seat.is_taken() {
            return Ok(u64::MAX);
        }
        let cursor = self.store.agent_cursor(&self.id).await?;
        let (after, only) = (After::Sequence(cursor), Some(Origin::Viewer));
        let page = self.store.frames(&self.id, after, only, 1).await?;
        let untaken = page.frames.first().map(|frame| frame.sequence);
        let floor = [asked, untaken].into_iter().flatten().min();
        Ok(floor.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_pruned_when_it_is_a_part_over_its_limits() {
        let mut keep = Retention::default();
        (keep.frames, keep.bytes) = (160, 1600);
        let mut weight = Weight::new(1, 0, &keep);
        assert!(!weight.is_over(160) && weight.is_over(161));
        weight.pruned(2, 161, &keep);
        assert!(!weight.is_over(171) && weight.is_over(172));

        weight.add(1701);
        assert!(weight.is_over(100));
        // Nothing could be given up.
        weight.pruned(2, 100, &keep);
        assert!(!weight.is_over(100));
        weight.add(101);
        assert!(weight.is_over(100));
        weight.pruned(90, 100, &keep);
        assert_eq!(weight.bytes, 1600);
    }
}
