//! What the stores do, on disk and off.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod crash;
mod model;
mod opening;
mod suite;
mod torn;

use std::{future::Future, path::Path, time::Duration};

use tempfile::TempDir;

/// A store answers soon, even on a slow disk.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("a store answers within a minute")
}

/// A folder that is kept in memory where the system has such a place: for tests of what is
/// written, not of when the disk has it.
fn quick_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = TempDir::new_in(memory)
    {
        return folder;
    }
    TempDir::new().unwrap()
}
