//! What the stores do, on disk and off.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod opening;
mod suite;
mod torn;

use std::{future::Future, time::Duration};

/// A store answers soon, even on a slow disk.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("a store answers within a minute")
}
