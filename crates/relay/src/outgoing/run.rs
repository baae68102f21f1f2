//! Items that are queued and taken together.

use std::sync::Arc;

use axum::body::Bytes;

use super::{Item, message};

/// Items in the order in which they were said. All viewers that get them share them; cloning is a
/// reference count.
#[derive(Clone)]
pub(crate) struct Run {
    items: Arc<Vec<Item>>,
    /// Where those begin that are not taken yet.
    start: usize,
    bytes: usize,
    /// Up to where they bring a viewer in the log.
    sequence: Option<u64>,
}

impl Run {
    /// Those that are not taken yet.
    pub(crate) fn items(&self) -> &[Item] {
        self.items.get(self.start..).unwrap_or_default()
    }

    pub(super) fn frames(&self) -> usize {
        self.items().len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Up to where this brings a viewer in the log.
    pub(super) fn sequence(&self) -> Option<u64> {
        self.sequence
    }
}

impl From<Vec<Item>> for Run {
    fn from(items: Vec<Item>) -> Self {
        Self {
            bytes: items.iter().map(Item::bytes).sum(),
            sequence: items.iter().filter_map(Item::sequence).max(),
            items: Arc::new(items),
            start: 0,
        }
    }
}

impl From<Item> for Run {
    fn from(item: Item) -> Self {
        Self::from(vec![item])
    }
}

/// What was taken out of a queue at once.
#[derive(Default)]
pub(crate) struct Batch {
    parts: Vec<Part>,
    frames: usize,
    bytes: usize,
}

/// The first so many items of a run.
struct Part {
    run: Run,
    frames: usize,
}

impl Batch {
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        let parts = self.parts.iter();
        parts.flat_map(|part| part.run.items().iter().take(part.frames))
    }

    /// What goes to a socket, in as few pieces as there can be.
    pub(crate) fn messages(&self) -> Vec<Bytes> {
        message::joined(self.items().filter_map(Item::message))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what there is room for from the front of `run`, and hands back the rest of it.
    pub(super) fn take(&mut self, run: Run, most_frames: usize, most_bytes: usize) -> Option<Run> {
        let all = self.frames + run.frames() <= most_frames && self.bytes + run.bytes <= most_bytes;
        let (mut frames, mut bytes) = (run.frames(), run.bytes);
        if !all {
            (frames, bytes) = (0, 0);
            for item in run.items() {
                if self.frames + frames >= most_frames || self.bytes + bytes >= most_bytes {
                    break;
                }
                frames += 1;
                bytes += item.bytes();
            }
        }
        let rest = Run {
            items: run.items.clone(),
            start: run.start + frames,
            bytes: run.bytes - bytes,
            sequence: run.sequence,
        };
        self.frames += frames;
        self.bytes += bytes;
        self.parts.push(Part { run, frames });
        (rest.frames() > 0).then_some(rest)
    }
}
