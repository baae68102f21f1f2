//! What a session promises, in the simplest words.

use core::time::Duration;
use std::collections::HashSet;

use tokio::time::Instant;

use super::step::{Answer, Step};
use crate::{Agent, session::DeliveryStatus, store::Origin};

#[derive(Copy, Clone, PartialEq)]
enum Holder {
    Nobody,
    Agent,
    Worker(Lease),
}

#[derive(Copy, Clone, PartialEq)]
enum Lease {
    Awaited(Instant),
    Until(Instant),
    Lost,
}

pub(super) struct Model {
    pub(super) epoch: u64,
    holder: Holder,
    archived: bool,
    pub(super) log: Vec<(u8, Origin)>,
    /// Sequence numbers that need not be sent again.
    processed: HashSet<u64>,
    lease: Duration,
}

impl Model {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            epoch: 0,
            holder: Holder::Nobody,
            archived: false,
            log: Vec::new(),
            processed: HashSet::new(),
            lease,
        }
    }

    fn store(&mut self, uuid: u8, origin: Origin) -> Answer {
        if self.log.iter().any(|(known, _)| *known == uuid) {
            return Answer::Duplicate;
        }
        self.log.push((uuid, origin));
        Answer::Stored
    }

    /// The sequence numbers of the viewers' frames.
    fn viewers_frames(&self) -> impl Iterator<Item = u64> {
        let numbered = self.log.iter().zip(1..);
        numbered.filter_map(|((_, origin), at)| (*origin == Origin::Viewer).then_some(at))
    }

    /// Up to where everything is processed, in the viewers' frames.
    pub(super) fn cursor(&self) -> u64 {
        let done = self
            .viewers_frames()
            .take_while(|at| self.processed.contains(at));
        done.last().unwrap_or(0)
    }

    fn take_over(&mut self, holder: Holder) -> Answer {
        if self.archived {
            return Answer::Archived;
        }
        self.epoch += 1;
        if matches!(self.holder, Holder::Agent | Holder::Nobody) || holder == Holder::Agent {
            self.forget_what_is_out_of_order();
        }
        self.holder = holder;
        Answer::Done
    }

    /// Only the unbroken run of processed frames is kept anywhere but in a worker's seat.
    fn forget_what_is_out_of_order(&mut self) {
        let cursor = self.cursor();
        self.processed.retain(|at| *at <= cursor);
    }

    fn call(&mut self, epoch: u64) -> Result<(), Answer> {
        if self.archived {
            return Err(Answer::Archived);
        }
        match self.holder {
            Holder::Worker(Lease::Lost) if epoch == self.epoch => Err(Answer::LeaseLost),
            Holder::Worker(_) if epoch == self.epoch => {
                self.holder = Holder::Worker(Lease::Until(Instant::now() + self.lease));
                Ok(())
            }
            Holder::Nobody | Holder::Agent | Holder::Worker(_) => Err(Answer::Superseded),
        }
    }

    pub(super) fn expect(&mut self, step: &Step) -> Answer {
        let called = match step {
            Step::Upload { epoch, .. }
            | Step::Acknowledge { epoch, .. }
            | Step::Heartbeat { epoch }
            | Step::Listen { epoch, .. } => self.call(*epoch),
            Step::Register
            | Step::Attach
            | Step::DropAgent
            | Step::Post { .. }
            | Step::Archive { .. }
            | Step::Wait { .. }
            | Step::Restart => Ok(()),
        };
        if let Err(refused) = called {
            return refused;
        }
        match step {
            Step::Register => {
                let until = Instant::now() + self.lease;
                self.take_over(Holder::Worker(Lease::Until(until)))
            }
            Step::Attach => self.take_over(Holder::Agent),
            Step::DropAgent | Step::Heartbeat { .. } => Answer::Done,
            Step::Upload { uuid, .. } => self.store(*uuid, Origin::Agent),
            Step::Post { .. } | Step::Archive { .. } if self.archived => Answer::Archived,
            Step::Post { uuid } => self.store(*uuid, Origin::Viewer),
            Step::Acknowledge { uuid, status, .. } => {
                let at = self
                    .log
                    .iter()
                    .position(|one| *one == (*uuid, Origin::Viewer));
                if let (Some(at), DeliveryStatus::Processed) = (at, status) {
                    self.processed.insert(at as u64 + 1);
                }
                Answer::Done
            }
            Step::Listen { after, .. } => {
                let after = after
                    .filter(|after| *after <= self.log.len() as u64)
                    .unwrap_or(0);
                let to_send = |at: &u64| *at > after && !self.processed.contains(at);
                Answer::Sent(self.viewers_frames().filter(to_send).collect())
            }
            Step::Archive { epoch } if *epoch != self.epoch => Answer::Superseded,
            Step::Archive { .. } => {
                self.archived = true;
                Answer::Done
            }
            Step::Wait { .. } => {
                if let Holder::Worker(Lease::Until(until) | Lease::Awaited(until)) = self.holder
                    && until <= Instant::now()
                {
                    self.holder = Holder::Worker(Lease::Lost);
                }
                Answer::Done
            }
            Step::Restart => {
                self.forget_what_is_out_of_order();
                self.holder = if self.epoch > 0 {
                    Holder::Worker(Lease::Awaited(Instant::now() + self.lease))
                } else {
                    Holder::Nobody
                };
                Answer::Done
            }
        }
    }

    pub(super) fn is_connected(&self, agent: Option<&Agent>) -> bool {
        !self.archived
            && match self.holder {
                Holder::Nobody => false,
                Holder::Agent => agent.is_some(),
                Holder::Worker(lease) => matches!(lease, Lease::Until(_)),
            }
    }
}
