//! The session's task.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use attache_protocol::{ByteString, SessionId};
use tokio::{
    sync::{Notify, mpsc},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use super::{
    Command, Epoch, Mailbox, Presence, Subscribed, ViewerId,
    conversation::Conversation,
    deliveries::Deliveries,
    live_uuids::LiveUuids,
    notices,
    progress::Progress,
    seat::{Lease, Seat, WorkerSeat},
    worker::lease_from_now,
};
use crate::{
    Identity, RelayError, RelayOptions,
    line::Line,
    metrics::Metrics,
    outgoing::{Ending, Item, Outgoing},
    store::{After, Origin, SessionChange, SessionStatus, Store, StoreError, WorkerReport},
};

/// How many stored frames are read at once when a session starts.
const REPLAY_PAGE: usize = 1000;

pub(super) async fn run(
    id: SessionId,
    store: Arc<dyn Store>,
    options: Arc<RelayOptions>,
    metrics: Arc<Metrics>,
    killed: CancellationToken,
    presence: Presence,
    mut inbox: mpsc::Receiver<Command>,
) {
    let mut session =
        match Session::load(id.clone(), store, options, metrics, killed, presence).await {
            Ok(session) => session,
            Err(error) => {
                tracing::error!(session = %id, %error, "the session can't be read from the store");
                return;
            }
        };
    let stirred = session.stirred.clone();
    loop {
        let again = session.clear_away().await;
        let alarm = [session.seat.lapses_at(), again]
            .into_iter()
            .flatten()
            .min();
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
                Some(command) => session.handle(command).await,
                None => return,
            },
            () = stirred.notified() => session.tell_what_is_taken(),
            () = alarm => session.lapse(),
        }
    }
}

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
    pub(super) live_uuids: LiveUuids,
    /// How many frames wait for the agent.
    pub(super) backlog: Arc<AtomicUsize>,
    /// Up to where agents of this process have taken frames.
    pub(super) taken: Arc<AtomicU64>,
    pub(super) progress: Progress,
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
    /// Derives everything from the log, so that a restarted relay goes on where the last one was.
    async fn load(
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
        let mut deliveries = Deliveries::default();
        let mut progress = Progress::default();
        let mut read = 0;
        loop {
            let page = store
                .frames(&id, After::Sequence(read), None, REPLAY_PAGE)
                .await?;
            for frame in &page.frames {
                read = frame.sequence;
                if frame.origin == Origin::Viewer && read > agent_cursor {
                    deliveries.add(read, &frame.uuid);
                }
                match Line::known(&frame.text) {
                    Ok(line) => {
                        conversation.observe(frame.origin, &line);
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
            live_uuids: LiveUuids::new(options.live_uuid_memory),
            options,
            backlog: Arc::new(AtomicUsize::new(backlog)),
            taken: Arc::new(AtomicU64::new(agent_cursor)),
            progress,
        };
        session.save_status().await;
        Ok(session)
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
            Command::Archive { by, reply } => drop(reply.send(self.archive(by).await)),
        }
    }

    fn subscribe(&mut self, outgoing: Arc<Outgoing>, by: Arc<Identity>) -> Subscribed {
        self.viewers_so_far += 1;
        let id = ViewerId(self.viewers_so_far);
        if let Ok(hello) = Line::known(&notices::hello(by.role)) {
            outgoing.push_first(Item::live(&hello, Origin::Relay));
        }
        if outgoing.follows_log() {
            outgoing.push_first(Item::LogUpTo(self.last_sequence));
        }
        if self.status != SessionStatus::Archived {
            for request in self.conversation.open_requests() {
                outgoing.push_first(Item::live(request, Origin::Agent));
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
            self.fan_out(update, true, None);
        }
    }

    pub(super) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    pub(super) fn set_backlog(&self, frames: usize) {
        self.backlog.store(frames, Ordering::Relaxed);
    }
}
