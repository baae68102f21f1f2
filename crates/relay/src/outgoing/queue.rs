//! Runs in the order in which they go out.

use std::collections::{HashSet, VecDeque};

use super::{Batch, Ending, Item, Run};

/// How much is taken out at once: the queue keeps counting what is not on its way yet.
pub(super) const BATCH_FRAMES: usize = 512;
pub(super) const BATCH_BYTES: usize = 256 << 10;
/// How much room an empty queue keeps.
pub(super) const ROOM_KEPT: usize = 16;
/// Of how many messages a stream that lags is still told how far they have got.
const UPDATES_KEPT: usize = 256;

#[derive(Default)]
pub(super) struct Queue {
    pub(super) runs: VecDeque<Run>,
    /// How many of the runs at the front belong to the start of the subscription. Each is one item.
    pub(super) first: usize,
    pub(super) frames: usize,
    pub(super) bytes: usize,
    /// The highest sequence number that was ever queued.
    newest: u64,
    pub(super) ending: Option<Ending>,
}

/// What happens to a viewer that does not keep up. In either case what waited is given up: it can
/// be read from the log.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Overflow {
    /// Its socket is closed.
    End,
    /// Its stream goes on from the log.
    Lag,
}

impl Queue {
    /// One that holds and takes nothing.
    pub(super) fn ended(ending: Ending) -> Self {
        Self {
            ending: Some(ending),
            ..Self::default()
        }
    }

    /// How many items wait that do not belong to the start of the subscription.
    pub(super) fn waiting(&self) -> usize {
        self.frames - self.first
    }

    /// Takes in `run`, unless the end is decided.
    pub(super) fn add(&mut self, run: Run) -> bool {
        let open = self.ending.is_none();
        if open {
            self.frames += run.frames();
            self.bytes += run.bytes();
            self.newest = self.newest.max(run.sequence().unwrap_or_default());
            self.runs.push_back(run);
        }
        open
    }

    /// Gives out what goes on its way at once.
    pub(super) fn take(&mut self) -> Batch {
        let mut batch = Batch::default();
        while batch.frames() < BATCH_FRAMES
            && batch.bytes() < BATCH_BYTES
            && let Some(run) = self.runs.pop_front()
        {
            self.first = self.first.saturating_sub(1);
            if let Some(rest) = batch.take(run, BATCH_FRAMES, BATCH_BYTES) {
                self.runs.push_front(rest);
            }
        }
        self.frames -= batch.frames();
        self.bytes -= batch.bytes();
        batch
    }

    pub(super) fn overflow(&mut self, how: Overflow) {
        match how {
            Overflow::End => *self = Self::ended(Ending::TooSlow),
            Overflow::Lag => {
                // What a subscription starts with is not all in the log behind its position.
                let lost = self.runs.split_off(self.first);
                self.runs.push_back(Run::from(Item::LogUpTo(self.newest)));
                // How far messages have got is in no log at all.
                self.runs.extend(latest_updates(&lost).map(Run::from));
                self.frames = self.runs.iter().map(Run::frames).sum();
                self.bytes = self.runs.iter().map(Run::bytes).sum();
            }
        }
    }
}

/// The last word on each message, of the last few messages.
fn latest_updates(runs: &VecDeque<Run>) -> impl Iterator<Item = Item> {
    let mut told = HashSet::new();
    let newest_first = runs.iter().rev().flat_map(|run| run.items().iter().rev());
    let latest = newest_first.filter(|item| item.delivered().is_some_and(|one| told.insert(one)));
    let latest: Vec<_> = latest.take(UPDATES_KEPT).cloned().collect();
    latest.into_iter().rev()
}
