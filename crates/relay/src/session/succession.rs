//! Who comes after whom as the session's agent, and what is done about what the one before leaves
//! behind.

use core::time::Duration;
use std::{sync::Arc, time::SystemTime};

use attache_protocol::ByteString;
use tokio::time::Instant;

use super::{
    Epoch, Mailbox,
    actor::Session,
    notices::{self, Withdrawal},
    seat::{Lease, Seat, WorkerSeat},
    settled::Deserter,
};
use crate::{
    RelayError, id,
    line::Line,
    store::{Appended, NewFrame, Origin, SessionStatus},
};

/// When to try again what the store did not do.
const SOON: Duration = Duration::from_secs(1);

impl Session {
    /// Gives the seat to an agent of this process.
    pub(super) async fn attach(&mut self) -> Result<(Epoch, Arc<Mailbox>), RelayError> {
        self.check_writable()?;
        let name = id::uuid().map_err(|_| RelayError::NoRandomness)?;
        let epoch = self.succeed(Some(name.into())).await?;
        let mailbox = self.new_mailbox();
        self.seat = Seat::Agent(Arc::downgrade(&mailbox));
        self.presence.show(&self.seat);
        self.forget_report().await;
        Ok((epoch, mailbox))
    }

    /// Gives the seat to a worker.
    pub(super) async fn register(
        &mut self,
        instance: Option<ByteString>,
    ) -> Result<Epoch, RelayError> {
        self.check_writable()?;
        let epoch = self.succeed(instance).await?;
        let deliveries = match core::mem::replace(&mut self.seat, Seat::Vacant) {
            Seat::Worker(worker) => worker.deliveries,
            Seat::Vacant | Seat::Agent(_) => {
                self.presence.show(&self.seat);
                self.deliveries_in_store().await?
            }
        };
        self.set_backlog(deliveries.unprocessed());
        self.seat = Seat::Worker(WorkerSeat::new(self.new_lease(), deliveries));
        self.presence.show(&self.seat);
        self.welcome_back().await?;
        Ok(epoch)
    }

    /// Tells the worker what was taken back from it while it was away: its agent may still wait.
    pub(super) async fn welcome_back(&mut self) -> Result<(), RelayError> {
        let returned = Deserter(self.instance.clone());
        let lost = self.conversation.lost_by(&returned);
        let lines = lost.map(notices::nobody_answers);
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        self.say(Origin::Viewer, lines).await
    }

    /// The worker was silent for too long, if it was.
    pub(super) fn lapse(&mut self) {
        let due = |at| at <= Instant::now();
        let Seat::Worker(worker) = &mut self.seat else {
            return;
        };
        match worker.lease {
            Lease::Until(at) | Lease::Awaited(at) if due(at) => {}
            Lease::Until(_) | Lease::Awaited(_) | Lease::Lost => return,
        }
        worker.lease = Lease::Lost;
        tracing::info!(session = %self.id, "the worker was silent for too long and is given up");
        self.end_holder();
        self.presence.show(&self.seat);
    }

    /// Takes back what an agent asks that is gone. When that fails, says when to try again.
    pub(super) async fn clear_away(&mut self) -> Option<Instant> {
        let archived = self.status == SessionStatus::Archived;
        if archived || !self.seat.is_deserted() || self.conversation.open_ids().next().is_none() {
            return None;
        }
        let why = Withdrawal::Lost(Deserter(self.instance.clone()));
        let error = self.withdraw(&why).await.err()?;
        tracing::warn!(session = %self.id, %error, "what a lost agent asked is still open");
        Some(Instant::now() + SOON)
    }

    /// Fences whoever has the seat. What it asks is taken back, unless `instance` is the same
    /// process again.
    async fn succeed(&mut self, instance: Option<ByteString>) -> Result<Epoch, RelayError> {
        let asks = self.conversation.open_ids().next().is_some();
        if asks && self.instance != instance {
            // Under no name, so that after a crash halfway the newcomer is not taken for the one
            // that asked.
            self.fence(None).await?;
            match &mut self.seat {
                Seat::Worker(worker) => worker.lease = Lease::Lost,
                seat @ (Seat::Vacant | Seat::Agent(_)) => *seat = Seat::Vacant,
            }
            self.presence.show(&self.seat);
            self.withdraw(&Withdrawal::Replaced).await?;
        }
        self.fence(instance).await
    }

    async fn fence(&mut self, instance: Option<ByteString>) -> Result<Epoch, RelayError> {
        let epoch = self.store.next_epoch(&self.id, instance.as_deref()).await?;
        self.end_holder();
        self.epoch = Epoch(epoch);
        self.instance = instance;
        Ok(self.epoch)
    }

    /// Ends the stream or the attachment of whoever speaks for the agent now.
    pub(super) fn end_holder(&self) {
        if let Some(mailbox) = self.seat.mailbox() {
            mailbox.over.cancel();
        }
    }

    /// Takes back everything that is asked.
    async fn withdraw(&mut self, why: &Withdrawal) -> Result<(), RelayError> {
        let lines = self.conversation.open_ids().map(|id| why.of(id));
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        self.say(Origin::Relay, lines).await?;
        // It said that it waits for a person; it does not any more.
        self.forget_report().await;
        self.save_status().await;
        Ok(())
    }

    /// Stores what the relay says of its own accord, in the place of `origin`, and passes it on.
    async fn say(&mut self, origin: Origin, lines: Vec<Line>) -> Result<(), RelayError> {
        let frames = lines.iter().map(|line| NewFrame {
            uuid: line.uuid(),
            text: line.frame().text().clone(),
            origin,
        });
        let at = SystemTime::now();
        let outcome = self.append(frames.collect(), at).await?;
        for (line, outcome) in lines.into_iter().zip(outcome) {
            if let Appended::Stored(sequence) = outcome {
                self.stored(origin, line, sequence, at, None);
            }
        }
        self.deliver();
        if let Some(mailbox) = self.seat.mailbox() {
            mailbox.arrived.notify_one();
        }
        Ok(())
    }
}
