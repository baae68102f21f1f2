//! What waits to be sent to one viewer: bounded, and never in anybody's way.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;

/// How much is taken out at once: the queue keeps counting what is not on its way yet.
const BATCH_FRAMES: usize = 64;
const BATCH_BYTES: usize = 256 << 10;

/// Why the relay closes a viewer's socket.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    SessionEnded,
    SessionNotFound,
    Unauthorized,
    TooLarge,
    Restarting,
    TooSlow,
    Failed,
}

impl Ending {
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::SessionEnded => 1000,
            Self::TooLarge => 1009,
            Self::Failed => 1011,
            Self::Restarting => 1012,
            Self::TooSlow => 1013,
            Self::SessionNotFound => 4001,
            Self::Unauthorized => 4003,
        }
    }

    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::SessionEnded => "session ended",
            Self::Failed => "the relay failed; try again",
            Self::TooLarge => "message too large",
            Self::Restarting => "the relay restarts",
            Self::TooSlow => "too slow; reconnect and backfill",
            Self::SessionNotFound => "session not found",
            Self::Unauthorized => "unauthorized",
        }
    }
}

/// One viewer's queue. The session fills it and never waits; the viewer's socket empties it.
pub(crate) struct Outgoing {
    limit_frames: usize,
    limit_bytes: usize,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Utf8Bytes>,
    bytes: usize,
    ending: Option<Ending>,
}

impl Outgoing {
    pub(crate) fn new(limit_frames: usize, limit_bytes: usize) -> Self {
        Self {
            limit_frames,
            limit_bytes,
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Queues a frame. When there is no room the viewer is too slow, and what waited is given up:
    /// it can be read from the log. Returns whether the viewer still takes frames.
    pub(crate) fn push(&self, wire: &Utf8Bytes) -> bool {
        let mut queue = self.lock();
        let full = queue.frames.len() >= self.limit_frames
            || (!queue.frames.is_empty() && queue.bytes + wire.len() > self.limit_bytes);
        if full && queue.ending.is_none() {
            *queue = Queue {
                ending: Some(Ending::TooSlow),
                ..Queue::default()
            };
        }
        self.add(queue, wire)
    }

    /// Queues a frame that belongs to the start of a subscription, whether or not there is room.
    pub(crate) fn push_first(&self, wire: &Utf8Bytes) {
        self.add(self.lock(), wire);
    }

    /// Ends the socket after what is queued now; later frames are not taken. The first ending
    /// stays.
    pub(crate) fn end(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.changed.notify_one();
    }

    /// Gives up what is queued: nobody is there to take it.
    pub(crate) fn abandon(&self) {
        *self.lock() = Queue {
            ending: Some(Ending::Failed),
            ..Queue::default()
        };
    }

    /// Whether frames are still taken.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().ending.is_none()
    }

    /// Waits until there is something to send and moves some of it into `batch`, or says that and
    /// why nothing more will come. Cancel safe.
    pub(crate) async fn next(&self, batch: &mut Vec<Utf8Bytes>) -> Option<Ending> {
        loop {
            {
                let mut queue = self.lock();
                let mut bytes = 0;
                while batch.len() < BATCH_FRAMES
                    && bytes < BATCH_BYTES
                    && let Some(wire) = queue.frames.pop_front()
                {
                    bytes += wire.len();
                    batch.push(wire);
                }
                queue.bytes -= bytes;
                if !batch.is_empty() {
                    return None;
                }
                if queue.ending.is_some() {
                    return queue.ending;
                }
            }
            self.changed.notified().await;
        }
    }

    fn add(&self, mut queue: MutexGuard<'_, Queue>, wire: &Utf8Bytes) -> bool {
        let open = queue.ending.is_none();
        if open {
            queue.bytes += wire.len();
            queue.frames.push_back(wire.clone());
        }
        drop(queue);
        self.changed.notify_one();
        open
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole after every statement, so it is sound even after a panic elsewhere.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn drain(outgoing: &Outgoing) -> (Vec<Utf8Bytes>, Ending) {
        let mut all = Vec::new();
        loop {
            let mut batch = Vec::new();
            if let Some(ending) = outgoing.next(&mut batch).await {
                return (all, ending);
            }
            all.append(&mut batch);
        }
    }

    #[tokio::test]
    async fn an_ending_comes_after_what_was_queued() {
        let outgoing = Outgoing::new(1024, 1024);
        for _ in 0..200 {
            assert!(outgoing.push(&"x".into()));
        }
        outgoing.end(Ending::SessionEnded);
        outgoing.end(Ending::Restarting);
        assert!(!outgoing.push(&"late".into()));
        let (all, ending) = drain(&outgoing).await;
        assert_eq!((all.len(), ending), (200, Ending::SessionEnded));
    }

    #[tokio::test]
    async fn too_many_frames_or_bytes_end_the_viewer() {
        let by_count = Outgoing::new(2, 1024);
        assert!(by_count.push(&"a".into()) && by_count.push(&"b".into()));
        assert!(!by_count.push(&"c".into()));
        assert_eq!(drain(&by_count).await, (Vec::new(), Ending::TooSlow));

        let by_bytes = Outgoing::new(1024, 10);
        assert!(by_bytes.push(&"123456".into()));
        assert!(!by_bytes.push(&"123456".into()));
        assert_eq!(drain(&by_bytes).await, (Vec::new(), Ending::TooSlow));
    }

    #[test]
    fn an_abandoned_queue_holds_and_takes_nothing() {
        let outgoing = Outgoing::new(4, 10);
        outgoing.push(&"a".into());
        outgoing.abandon();
        assert!(!outgoing.is_open() && !outgoing.push(&"b".into()));
        assert_eq!(outgoing.lock().frames.len(), 0);
    }

    #[tokio::test]
    async fn one_huge_frame_fits_when_nothing_waits() {
        let outgoing = Outgoing::new(4, 10);
        assert!(outgoing.push(&"x".repeat(100).into()));
    }
}
