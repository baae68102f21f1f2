//! A session's log as server-sent events, read only as fast as somebody takes it.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use attache_protocol::{SessionId, frame::Frame};
use axum::body::Bytes;

use crate::{
    outgoing::event::Said,
    store::{After, Origin, Store, StoreError, StoredFrame},
};

/// How many frames are read from the store at once.
const PAGE: usize = 16;

/// Reads one session's log, from a position on.
pub(super) struct LogReader {
    id: SessionId,
    store: Arc<dyn Store>,
    /// Whose frames; `None` is everybody's.
    only: Option<Origin>,
    after: u64,
    skip: HashSet<u64>,
    ahead: VecDeque<StoredFrame>,
}

/// What a log has next.
pub(super) enum Read {
    /// A frame, as an event.
    Event(Bytes),
    /// What should come next is no longer kept; this sequence number comes instead.
    Truncated(u64),
}

impl LogReader {
    /// Everybody's frames behind the sequence number `after`.
    pub(super) fn of_all(id: SessionId, store: Arc<dyn Store>, after: u64) -> Self {
        Self {
            id,
            store,
            only: None,
            after,
            skip: HashSet::new(),
            ahead: VecDeque::new(),
        }
    }

    /// The viewers' frames behind the sequence number `after`, but for those in `skip`.
    pub(super) fn of_viewers(
        id: SessionId,
        store: Arc<dyn Store>,
        after: u64,
        skip: HashSet<u64>,
    ) -> Self {
        Self {
            only: Some(Origin::Viewer),
            skip,
            ..Self::of_all(id, store, after)
        }
    }

    pub(super) fn session(&self) -> &SessionId {
        &self.id
    }

    /// What comes next, up to the sequence number `up_to`; `None` when there is nothing more for now.
    /// Cancel safe: what was read waits in `ahead`.
    pub(super) async fn next(&mut self, up_to: u64) -> Result<Option<Read>, StoreError> {
        loop {
            while let Some(stored) = self.ahead.pop_front() {
                if stored.sequence > up_to {
                    break;
                }
                if self.pass(stored.sequence)
                    && !self.skip.remove(&stored.sequence)
                    && let Some(event) = self.event(&stored)
                {
                    return Ok(Some(Read::Event(event)));
                }
            }
            self.ahead.clear();
            if self.after >= up_to {
                return Ok(None);
            }
            let limit = usize::try_from(up_to - self.after).map_or(PAGE, |left| left.min(PAGE));
            let after = After::Sequence(self.after);
            let page = self.store.frames(&self.id, after, self.only, limit).await?;
            let first = page.first_kept;
            let is_cut = self.only.is_none() && self.pass(first.saturating_sub(1));
            self.ahead.extend(page.frames);
            if is_cut {
                return Ok(Some(Read::Truncated(first)));
            }
            if self.ahead.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Goes on behind `sequence`. Returns whether that is a step forward.
    pub(super) fn pass(&mut self, sequence: u64) -> bool {
        let forward = sequence > self.after;
        self.after = self.after.max(sequence);
        forward
    }

    fn event(&self, stored: &StoredFrame) -> Option<Bytes> {
        let sequence = stored.sequence;
        match Frame::classify(stored.text.clone()) {
            Ok(frame) => Some(Said::of(stored, frame.type_name()).stored(sequence)),
            Err(bad) => {
                let error = bad.error;
                tracing::warn!(session = %self.id, sequence, %error, "a stored frame is no frame");
                None
            }
        }
    }
}
