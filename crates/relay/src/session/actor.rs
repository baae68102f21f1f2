//! The session's task.

use core::time::Duration;
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use attache_protocol::{ByteString, SessionId, viewer::Memory};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Command, Epoch, Mailbox, Presence, Subscribed, ViewerId, conversation::Conversation,
    intake::Untold, notices, progress::Progress, pruning::Weight, seat::Seat, worker::FOREVER,
};
use crate::{
    Identity, RelayError, RelayOptions,
    line::Line,
    metrics::Metrics,
    outgoing::{Ending, Item, Outgoing},
    sessions::Sessions,
    store::{Origin, SessionChange, SessionStatus, Store, WorkerReport},
};

/// A session that could leave memory looks no more often whether it may.
const LEAST_PATIENCE: Duration = Duration::from_millis(10);

pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) store: Arc<dyn Store>,
    pub(super) options: Arc<RelayOptions>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) killed: CancellationToken,
    pub(super) conversation: Conversation,
    pub(super) status: SessionStatus,
    pub(super) viewers: Vec<Viewer>,
    pub(super) viewers_so_far: u64,
    pub(super) epoch: Epoch,
    /// Which process the epoch is of, if it said so.
    pub(super) instance: Option<ByteString>,
    pub(super) seat: Seat,
    /// Told when an agent of this process takes something, and when it or a worker's stream may have
    /// gone.
    pub(super) stirred: Arc<Notify>,
    pub(super) presence: Presence,
    pub(super) report: WorkerReport,
    pub(super) last_sequence: u64,
    /// Which frames that are not stored have gone through already.
    pub(super) live_uuids: Memory,
    pub(super) untold: Untold,
    /// How many frames wait for the agent.
    pub(super) backlog: Arc<AtomicUsize>,
    /// Up to where agents of this process have taken frames.
    pub(super) taken: Arc<AtomicU64>,
    pub(super) progress: Progress,
    pub(super) weight: Weight,
}

pub(super) struct Viewer {
    pub(super) id: ViewerId,
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) by: Arc<Identity>,
}

impl Viewer {
    /// Whether nobody reads from it or speaks through it any more.
    pub(super) fn is_gone(&self) -> bool {
        Arc::strong_count(&self.outgoing) == 1
    }
}

impl Session {
    /// Serves the session until nobody uses it any more.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        sessions: &Weak<Sessions>,
    ) {
        let stirred = self.stirred.clone();
        let patience = self.options.idle_session.clamp(LEAST_PATIENCE, FOREVER);
        let mut idle_at = Instant::now() + patience;
        loop {
            let again = self.clear_away().await;
            self.prune_if_over().await;
            // Viewers go without a word, so that is looked for.
            let deserted = again.is_none() && self.seat.is_deserted();
            let idle = deserted.then_some(idle_at);
            let alarm = [self.seat.lapses_at(), again, idle];
            let alarm = alarm.into_iter().flatten().min();
            let alarm = async {
                match alarm {
                    Some(at) => sleep_until(at).await,
                    None => core::future::pending().await,
                }
            };
            tokio::select! {
                // What came before the lease ran out counts, however long it waited here.
                biased;
                command = inbox.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => return,
                },
                () = stirred.notified() => self.tell_what_is_taken(),
                () = alarm => {
                    self.lapse();
                    if idle.is_none_or(|idle| Instant::now() < idle) {
                        continue;
                    }
                    self.viewers.retain(|viewer| !viewer.is_gone());
                    let is_alone = || {
                        let no_calls = inbox.sender_strong_count() == 1 && inbox.is_empty();
                        no_calls && self.viewers.is_empty()
                    };
                    if sessions
                        .upgrade()
                        .is_none_or(|sessions| sessions.leave(&self.id, is_alone))
                    {
                        return;
                    }
                }
            }
            idle_at = Instant::now() + patience;
        }
    }

    async fn handle(&mut self, command: Command) {
        // A caller that no longer waits is no reason to stop halfway.
        match command {
            Command::Publish { by, lines, reply } => {
                drop(reply.send(self.publish(by, lines).await));
            }
            Command::Post { lines, by, reply } => drop(reply.send(self.post(lines, &by).await)),
            Command::TakeFrom { viewer, line } => self.take_from(viewer, line).await,
            Command::Subscribe {
                outgoing,
                by,
                reply,
            } => {
                let _ = reply.send(self.subscribe(outgoing, by));
            }
            Command::Attach { reply } => drop(reply.send(self.attach().await)),
            Command::Register { instance, reply } => {
                drop(reply.send(self.register(instance).await));
            }
            Command::AsWorker { by, call } => self.handle_worker(by, call).await,
            Command::Prune { reply } => {
                self.prune().await;
                let _ = reply.send(());
            }
            Command::Archive { by, reply } => drop(reply.send(self.archive(by).await)),
        }
    }

    fn subscribe(&mut self, outgoing: Arc<Outgoing>, by: Arc<Identity>) -> Subscribed {
        self.viewers_so_far += 1;
        let id = ViewerId(self.viewers_so_far);
        if let Ok(hello) = Line::known(&notices::hello(by.role)) {
            outgoing.push_first(Item::live(hello, Origin::Relay));
        }
        if outgoing.follows_log() {
            outgoing.push_first(Item::LogUpTo(self.last_sequence));
        }
        if self.status != SessionStatus::Archived {
            for request in self.conversation.open_requests() {
                outgoing.push_first(Item::live(request.clone(), Origin::Agent));
            }
            for update in self.progress.updates() {
                outgoing.push_first(update.clone());
            }
        }
        self.viewers.retain(|viewer| !viewer.is_gone());
        if self.status == SessionStatus::Archived {
            outgoing.end(Ending::SessionEnded);
        } else {
            self.viewers.push(Viewer { id, outgoing, by });
        }
        Subscribed {
            viewer: id,
            newest: self.last_sequence,
        }
    }

    pub(super) fn new_mailbox(&self) -> Arc<Mailbox> {
        Arc::new(Mailbox {
            arrived: Notify::new(),
            over: self.killed.child_token(),
            archived: CancellationToken::new(),
            backlog: self.backlog.clone(),
            taken: self.taken.clone(),
            stirred: self.stirred.clone(),
        })
    }

    async fn archive(&mut self, by: Option<Epoch>) -> Result<(), RelayError> {
        self.check_writable()?;
        if by.is_some_and(|by| by != self.epoch) {
            return Err(RelayError::Superseded);
        }
        let change = SessionChange::Status(SessionStatus::Archived);
        self.store
            .update(&self.id, change, SystemTime::now())
            .await?;
        self.status = SessionStatus::Archived;
        for viewer in self.viewers.drain(..) {
            viewer.outgoing.end(Ending::SessionEnded);
        }
        if let Some(mailbox) = self.seat.mailbox() {
            mailbox.archived.cancel();
        }
        self.presence.show_nobody();
        Ok(())
    }

    pub(super) fn check_writable(&self) -> Result<(), RelayError> {
        if self.status == SessionStatus::Archived {
            return Err(RelayError::Archived);
        }
        Ok(())
    }

    /// An agent of this process may have taken something: that is as good as processed.
    fn tell_what_is_taken(&mut self) {
        let updates = self
            .progress
            .advance_all(self.taken.load(Ordering::Relaxed));
        self.tell_progress(&updates);
    }

    pub(super) fn tell_progress(&mut self, updates: &[Item]) {
        for update in updates {
            self.fan_out(update.clone(), true, None);
        }
        self.deliver();
    }

    pub(super) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    pub(super) fn set_backlog(&self, frames: usize) {
        self.backlog.store(frames, Ordering::Relaxed);
    }
}
