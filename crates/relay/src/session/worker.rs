//! What the session does for its worker.

use core::time::Duration;
use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use attache_protocol::ByteString;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    DeliveryStatus, Epoch,
    actor::Session,
    calls::{Listening, ReportChange, WorkerCall},
    deliveries::Deliveries,
    seat::{Lease, Seat},
};
use crate::{
    RelayError, RelayOptions,
    store::{After, Origin, SessionChange, StoreError},
};

/// How many frames are read from the store at once.
const PAGE: usize = 256;

/// What can be added to any instant.
pub(super) const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

impl Session {
    pub(super) async fn handle_worker(&mut self, by: Epoch, call: WorkerCall) {
        let was_away = self.seat.is_awaited();
        let allowed = self.check_worker(by);
        if was_away
            && allowed.is_ok()
            && let Err(error) = self.welcome_back().await
        {
            tracing::warn!(session = %self.id, %error, "the worker is not told what was taken back");
        }
        // A caller that no longer waits is no reason to stop halfway.
        match call {
            WorkerCall::Upload { lines, reply } => drop(reply.send(match allowed {
                Ok(()) => self.publish(by, lines).await,
                Err(error) => Err(error),
            })),
            WorkerCall::Report { change, reply } => drop(reply.send(match allowed {
                Ok(()) => self.report(change).await,
                Err(error) => Err(error),
            })),
            WorkerCall::Describe { reply } => {
                drop(reply.send(allowed.map(|()| self.report.clone())));
            }
            WorkerCall::Acknowledge { updates, reply } => drop(reply.send(match allowed {
                Ok(()) => self.acknowledge(&updates).await,
                Err(error) => Err(error),
            })),
            WorkerCall::Heartbeat { reply } => drop(reply.send(allowed)),
            WorkerCall::Listen { after, reply } => drop(reply.send(match allowed {
                Ok(()) => self.listen(after).await,
                Err(error) => Err(error),
            })),
        }
    }

    /// What a worker said it is at holds for nobody else: an agent of this process says nothing of
    /// itself.
    pub(super) async fn forget_report(&mut self) {
        if self.report.status.is_none() {
            return;
        }
        self.report.status = None;
        self.report.requires_action_details = None;
        let change = SessionChange::Worker(self.report.clone());
        if let Err(error) = self.store.update(&self.id, change, SystemTime::now()).await {
            tracing::warn!(session = %self.id, %error, "the worker's last status is still stored");
        }
    }

    /// A frame of a viewer has been stored.
    pub(super) fn stored_for_worker(&mut self, sequence: u64, uuid: &str) {
        if let Seat::Worker(worker) = &mut self.seat {
            worker.deliveries.add(sequence, uuid);
        }
    }

    /// Whether the holder of epoch `by` may act. If so it has been heard of.
    fn check_worker(&mut self, by: Epoch) -> Result<(), RelayError> {
        self.check_writable()?;
        if by != self.epoch {
            return Err(RelayError::Superseded);
        }
        let lease = self.new_lease();
        let Seat::Worker(worker) = &mut self.seat else {
            return Err(RelayError::Superseded);
        };
        if worker.lease == Lease::Lost {
            return Err(RelayError::LeaseLost);
        }
        worker.lease = lease;
        self.presence.show(&self.seat);
        Ok(())
    }

    pub(super) fn new_lease(&self) -> Lease {
        Lease::Until(lease_from_now(&self.options))
    }

    async fn report(&mut self, change: ReportChange) -> Result<(), RelayError> {
        let mut report = self.report.clone();
        if let Some(status) = change.status {
            report.status = Some(status);
            report.requires_action_details = None;
        }
        if change.requires_action_details.is_some() {
            report.requires_action_details = change.requires_action_details;
        }
        if !change.external_metadata.is_empty() {
            report.external_metadata = merged(&report.external_metadata, change.external_metadata);
        }
        let limit = self.options.worker_state_limit_bytes;
        let details = report.requires_action_details.as_deref();
        if report.external_metadata.len() + details.map_or(0, str::len) > limit {
            return Err(RelayError::WorkerStateTooLarge(limit));
        }
        if report != self.report {
            let change = SessionChange::Worker(report.clone());
            self.store
                .update(&self.id, change, SystemTime::now())
                .await?;
            self.report = report;
        }
        Ok(())
    }

    async fn acknowledge(
        &mut self,
        updates: &[(String, DeliveryStatus)],
    ) -> Result<(), RelayError> {
        let Seat::Worker(worker) = &mut self.seat else {
            return Err(RelayError::Superseded);
        };
        let mut progress = Vec::new();
        for (uuid, status) in updates {
            worker.deliveries.acknowledge(uuid, *status);
            if let Some(sequence) = worker.deliveries.sequence_of(uuid) {
                progress.push((sequence, *status));
            }
        }
        if let Some(settled) = worker.deliveries.settled() {
            // An agent of this process may have moved it in its last moment.
            let mut at = self.store.agent_cursor(&self.id).await?;
            while at < settled
                && !self
                    .store
                    .advance_agent_cursor(&self.id, at, settled)
                    .await?
            {
                at = self.store.agent_cursor(&self.id).await?;
            }
            worker.deliveries.forget(settled);
        }
        let unprocessed = worker.deliveries.unprocessed();
        self.set_backlog(unprocessed);
        // Only now, because what viewers are told must not be less after a restart.
        let news = progress
            .into_iter()
            .filter_map(|(sequence, status)| self.progress.advance(sequence, status));
        let news: Vec<_> = news.collect();
        self.tell_progress(&news);
        Ok(())
    }

    async fn listen(&mut self, after: Option<u64>) -> Result<Listening, RelayError> {
        let cursor = self.store.agent_cursor(&self.id).await?;
        self.end_holder();
        let mailbox = self.new_mailbox();
        let Seat::Worker(worker) = &mut self.seat else {
            return Err(RelayError::Superseded);
        };
        worker.stream = Arc::downgrade(&mailbox);
        // A position beyond the end is none of this log's.
        let after = after.filter(|after| *after <= self.last_sequence);
        Ok(Listening {
            mailbox,
            after: after.unwrap_or_default().max(cursor),
            skip: worker.deliveries.processed(),
        })
    }

    pub(super) async fn deliveries_in_store(&self) -> Result<Deliveries, StoreError> {
        let mut deliveries = Deliveries::default();
        let mut read = self.store.agent_cursor(&self.id).await?;
        loop {
            let (after, only) = (After::Sequence(read), Some(Origin::Viewer));
            let page = self.store.frames(&self.id, after, only, PAGE).await?;
            for frame in &page.frames {
                read = frame.sequence;
                deliveries.add(frame.sequence, &frame.uuid);
            }
            if !page.has_more || page.frames.is_empty() {
                return Ok(deliveries);
            }
        }
    }
}

/// When a lease ends that begins now.
pub(super) fn lease_from_now(options: &RelayOptions) -> Instant {
    Instant::now() + options.worker_lease.min(FOREVER)
}

/// `patch` laid over the JSON object `before`, one level deep.
fn merged(before: &str, patch: Vec<(String, Option<Box<RawValue>>)>) -> ByteString {
    let mut object: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(before).unwrap_or_default();
    for (name, value) in patch {
        match value {
            Some(value) => object.insert(name, value),
            None => object.remove(&name),
        };
    }
    serde_json::to_string(&object).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::{MemoryStore, Relay};

    #[tokio::test(start_paused = true)]
    async fn any_call_renews_the_lease_and_silence_loses_it() {
        let relay = Relay::new(Arc::new(MemoryStore::new()), RelayOptions::default());
        let id = relay.create_session("a lease").await.unwrap();
        let session = relay.session(&id).await.unwrap();
        let epoch = session.register(None).await.unwrap();
        for _ in 0..3 {
            sleep(Duration::from_secs(59)).await;
            session.heartbeat(epoch).await.unwrap();
            sleep(Duration::from_secs(59)).await;
            session.upload(epoch, Vec::new()).await.unwrap();
        }
        sleep(Duration::from_secs(59)).await;
        let listening = session.listen(epoch, None).await.unwrap();
        sleep(Duration::from_secs(59)).await;
        assert!(session.is_connected() && !listening.mailbox.over.is_cancelled());

        sleep(Duration::from_secs(2)).await;
        assert!(!session.is_connected() && listening.mailbox.over.is_cancelled());
        let late = session.heartbeat(epoch).await;
        assert!(matches!(late, Err(RelayError::LeaseLost)));
        let newer = session.register(None).await.unwrap();
        assert!(session.is_connected());
        let late = session.heartbeat(epoch).await;
        assert!(matches!(late, Err(RelayError::Superseded)));
        session.heartbeat(newer).await.unwrap();
    }

    #[test]
    fn metadata_is_merged_one_level_deep_and_null_deletes() {
        let raw = |json: &str| Some(RawValue::from_string(json.to_owned()).unwrap());
        let patch = vec![
            ("a".to_owned(), raw("{\"new\": 1e400}")),
            ("b".to_owned(), None),
            ("never".to_owned(), None),
        ];
        let merged = merged(
            r#"{"a":{"old":1},"b":2,"c":12345678901234567890123}"#,
            patch,
        );
        assert_eq!(
            merged,
            r#"{"a":{"new": 1e400},"c":12345678901234567890123}"#
        );
    }
}
