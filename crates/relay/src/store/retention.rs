//! How much of a log is kept.

use core::time::Duration;

/// How much of each session's log is kept. Whatever one of the limits is over, goes, the oldest
/// first; a single frame is always kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// How many frames. Default: 100 000.
    pub frames: u64,
    /// How many bytes of frames. Default: 256 MiB.
    pub bytes: u64,
    /// How old a frame may get; `None` is any age. Default: none.
    pub age: Option<Duration>,
    /// How many ids of given up frames are remembered, the newest, so that they are not stored
    /// again. Default: 65 536.
    pub remembered: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            frames: 100_000,
            bytes: 256 << 20,
            age: None,
            remembered: 1 << 16,
        }
    }
}
