//! Starting a session from its log.

use core::hash::{BuildHasher as _, Hasher as _};
use std::{
    hash::RandomState,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use attache_protocol::{SessionId, viewer::Memory};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Epoch, Presence,
    actor::Session,
    conversation::Conversation,
    deliveries::Deliveries,
    intake::Untold,
    progress::Progress,
    pruning::Weight,
    seat::{Lease, Seat, WorkerSeat},
    worker::lease_from_now,
};
use crate::{
    RelayOptions,
    line::Line,
    metrics::Metrics,
    store::{After, Origin, Store, StoreError},
};

/// How many stored frames are read at once.
const PAGE: usize = 1000;

impl Session {
    /// Derives everything from the log, so that a restarted relay goes on where the last one was.
    pub(super) async fn load(
        id: SessionId,
        store: Arc<dyn Store>,
        options: Arc<RelayOptions>,
        metrics: Arc<Metrics>,
        killed: CancellationToken,
        presence: Presence,
    ) -> Result<Self, StoreError> {
        let record = store
            .session(&id)
            .await?
            .ok_or(StoreError::UnknownSession)?;
        let agent_cursor = store.agent_cursor(&id).await?;
        let mut conversation = Conversation::default();
        let (mut first_kept, mut bytes) = (1, 0);
        let mut deliveries = Deliveries::default();
        let mut progress = Progress::default();
        let mut read = 0;
        loop {
            let page = store.frames(&id, After::Sequence(read), None, PAGE).await?;
            if read == 0 && page.first_kept > 1 {
                conversation = Conversation::without_its_beginning(record.status);
            }
            if read == 0 {
                first_kept = page.first_kept;
            }
            for frame in &page.frames {
                read = frame.sequence;
                bytes += frame.text.len() as u64;
                if frame.origin == Origin::Viewer && read > agent_cursor {
                    deliveries.add(read, &frame.uuid);
                }
                match Line::known(&frame.text) {
                    Ok(line) => {
                        conversation.observe(read, frame.origin, &line);
                        if frame.origin == Origin::Viewer {
                            progress.add(read, line.frame());
                            progress.advance_all(read.min(agent_cursor));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%id, sequence = read, %error, "a stored frame is no frame");
                    }
                }
            }
            if !page.has_more || page.frames.is_empty() {
                break;
            }
        }
        let weight = Weight::new(first_kept, bytes, &options.retention);
        let backlog = deliveries.unprocessed();
        let seat = if record.worker.epoch > 0 {
            let lease = Lease::Awaited(lease_from_now(&options));
            Seat::Worker(WorkerSeat::new(lease, deliveries))
        } else {
            Seat::Vacant
        };
        let mut session = Self {
            id,
            store,
            metrics,
            killed,
            conversation,
            status: record.status,
            viewers: Vec::new(),
            viewers_so_far: 0,
            epoch: Epoch(record.worker.epoch),
            instance: record.worker.instance,
            seat,
            stirred: Arc::new(Notify::new()),
            presence,
            report: record.worker.report,
            last_sequence: read,
            live_uuids: Memory::new(options.live_uuid_memory, secret()),
            untold: Untold::default(),
            options,
            backlog: Arc::new(AtomicUsize::new(backlog)),
            taken: Arc::new(AtomicU64::new(agent_cursor)),
            progress,
            weight,
        };
        session.save_status().await;
        Ok(session)
    }
}

/// A number that agents, who choose the `uuid`s, do not know.
fn secret() -> u64 {
    RandomState::new().build_hasher().finish()
}
