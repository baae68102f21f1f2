//! Looking after sessions that nobody uses.

use std::{sync::Arc, time::SystemTime};

use attache_protocol::SessionId;

use crate::{
    Relay, RelayError, RelayOptions,
    store::{After, SessionRecord, SessionStatus, Store, StoreError},
};

/// How many sessions are read at once.
const PAGE: usize = 100;

/// Starts every session whose log holds something too old, or a prompt that may be nobody's any more:
/// a session that starts sees to that itself. Holds no `relay` while it waits, so that it does not
/// keep it alive.
pub(crate) async fn sweep(
    store: Arc<dyn Store>,
    options: Arc<RelayOptions>,
    relay: impl Fn() -> Option<Relay>,
) {
    let mut after: Option<SessionId> = None;
    loop {
        let page = match store.sessions(after.as_ref(), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "sessions can't be read; their logs are pruned later");
                return;
            }
        };
        for record in &page.items {
            let due = match relay() {
                None => return,
                Some(relay) if relay.is_running(&record.id) => options.retention.age.is_some(),
                Some(_) => is_due(record, &*store, &options).await.unwrap_or(false),
            };
            if due && let Some(relay) = relay() {
                let pruned = async { relay.session(&record.id).await?.prune().await };
                match pruned.await {
                    Ok(()) => {}
                    Err(RelayError::Stopped) => return,
                    Err(error) => {
                        tracing::warn!(session = %record.id, %error, "a log is not pruned");
                    }
                }
            }
        }
        after = page.items.last().map(|record| record.id.clone());
        if !page.has_more || after.is_none() {
            return;
        }
    }
}

/// Whether a session that does not run has something to do.
async fn is_due(
    record: &SessionRecord,
    store: &dyn Store,
    options: &RelayOptions,
) -> Result<bool, StoreError> {
    if record.status == SessionStatus::RequiresAction {
        return Ok(true);
    }
    let Some(age) = options.retention.age else {
        return Ok(false);
    };
    let front = store
        .frames(&record.id, After::Sequence(0), None, 1)
        .await?;
    let is_old = front.frames.iter().any(|frame| {
        let old = SystemTime::now().duration_since(frame.stored_at);
        old.is_ok_and(|old| old > age)
    });
    // The last frame of a log stays.
    Ok(is_old && front.has_more)
}
