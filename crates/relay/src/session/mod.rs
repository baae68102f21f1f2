//! A live session: one task that orders everything said in it.
//!
//! Every frame goes through the session's task: stored first, then handed to the viewers' queues
//! and the agent. That is why every socket sees the log's order, and why a caller that goes away
//! halfway leaves nothing half done.

mod actor;
mod admission;
mod calls;
mod conversation;
mod deliveries;
mod intake;
mod loading;
#[cfg(test)]
mod model;
mod notices;
mod progress;
mod pruning;
mod seat;
mod settled;
mod speaking;
mod succession;
mod worker;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

pub(crate) use attache_protocol::frame::relay::DeliveryStatus;
use attache_protocol::{ByteString, SessionId, frame::relay::AnswerRefused};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::calls::WorkerCall;
pub(crate) use self::{
    calls::{Listening, ReportChange},
    seat::Presence,
};
use crate::{
    Identity, RelayError, RelayOptions, line::Line, metrics::Metrics, outgoing::Outgoing,
    sessions::Sessions, store::Store,
};

/// How many commands wait for a session's task before callers wait too.
const COMMANDS: usize = 256;

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// It is stored under its `uuid`, and on its way to the viewers.
    Stored(ByteString),
    /// A frame with its `uuid` was stored before; nothing changed.
    Duplicate(ByteString),
    /// It is on its way to whoever is attached, and is not kept.
    Live,
    /// It says nothing to anybody: a keep-alive, a credential, or what only a relay may say.
    Ignored,
    /// It answers what nobody waits for any more; nothing changed.
    Refused(AnswerRefused),
}

/// Names one subscription of a session.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ViewerId(u64);

/// A new subscription.
pub(crate) struct Subscribed {
    pub(crate) viewer: ViewerId,
    /// Where the log ends at this moment.
    pub(crate) newest: u64,
}

/// Names one attachment of an agent to a session, in this process or not; the highest is the one
/// that counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(pub(crate) u64);

/// What the session's task and the attached agent share.
pub(crate) struct Mailbox {
    /// Frames for the agent have been stored.
    pub(crate) arrived: Notify,
    /// Another agent has taken over, or the relay has stopped.
    pub(crate) over: CancellationToken,
    /// Nothing more will come than what the log holds.
    pub(crate) archived: CancellationToken,
    backlog: Arc<AtomicUsize>,
    /// Up to which sequence number agents of this process have taken frames.
    taken: Arc<AtomicU64>,
    /// Told when that moves, and when this is dropped.
    stirred: Arc<Notify>,
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.stirred.notify_one();
    }
}

impl Mailbox {
    /// The agent has taken the frame at `sequence`.
    pub(crate) fn took(&self, sequence: u64) {
        self.taken.fetch_max(sequence, Ordering::Relaxed);
        let _ = self
            .backlog
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                waiting.checked_sub(1)
            });
        self.stirred.notify_one();
    }
}

/// What a session's task can be asked to do.
enum Command {
    Publish {
        by: Epoch,
        lines: Vec<Line>,
        reply: oneshot::Sender<Result<Vec<Published>, RelayError>>,
    },
    Post {
        lines: Vec<Line>,
        by: Arc<Identity>,
        reply: oneshot::Sender<Result<Vec<Published>, RelayError>>,
    },
    TakeFrom {
        viewer: ViewerId,
        line: Line,
    },
    Subscribe {
        outgoing: Arc<Outgoing>,
        by: Arc<Identity>,
        reply: oneshot::Sender<Subscribed>,
    },
    Attach {
        reply: oneshot::Sender<Result<(Epoch, Arc<Mailbox>), RelayError>>,
    },
    Register {
        instance: Option<ByteString>,
        reply: oneshot::Sender<Result<Epoch, RelayError>>,
    },
    AsWorker {
        by: Epoch,
        call: WorkerCall,
    },
    Prune {
        reply: oneshot::Sender<()>,
    },
    Archive {
        /// The worker that asks, if it is one.
        by: Option<Epoch>,
        reply: oneshot::Sender<Result<(), RelayError>>,
    },
}

/// A way to talk to a session's task. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct SessionHandle {
    commands: mpsc::Sender<Command>,
    presence: Presence,
}

impl SessionHandle {
    /// Starts the task of the session `id`, which `store` knows. When nobody uses it any more it
    /// leaves `sessions` and ends.
    pub(crate) fn start(
        id: SessionId,
        store: Arc<dyn Store>,
        options: Arc<RelayOptions>,
        metrics: Arc<Metrics>,
        killed: CancellationToken,
        sessions: Weak<Sessions>,
    ) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let presence = Presence::default();
        let shown = presence.clone();
        tokio::spawn(async move {
            let loading =
                actor::Session::load(id.clone(), store, options, metrics, killed.clone(), shown);
            let session = async {
                match loading.await {
                    Ok(session) => session.run(inbox, &sessions).await,
                    Err(error) => {
                        tracing::error!(session = %id, %error, "the session can't be read from the store");
                    }
                }
            };
            killed.run_until_cancelled(session).await;
        });
        Self { commands, presence }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.commands.is_closed()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.presence.is_connected() && !self.is_over()
    }

    pub(crate) async fn publish(
        &self,
        by: Epoch,
        lines: Vec<Line>,
    ) -> Result<Vec<Published>, RelayError> {
        self.ask(|reply| Command::Publish { by, lines, reply })
            .await?
    }

    /// Says something in somebody's name.
    pub(crate) async fn post(
        &self,
        lines: Vec<Line>,
        by: Arc<Identity>,
    ) -> Result<Vec<Published>, RelayError> {
        self.ask(|reply| Command::Post { lines, by, reply }).await?
    }

    pub(crate) async fn take_from(&self, viewer: ViewerId, line: Line) -> Result<(), RelayError> {
        let command = Command::TakeFrom { viewer, line };
        self.commands
            .send(command)
            .await
            .map_err(|_| RelayError::Stopped)
    }

    pub(crate) async fn subscribe(
        &self,
        outgoing: Arc<Outgoing>,
        by: Arc<Identity>,
    ) -> Result<Subscribed, RelayError> {
        self.ask(|reply| Command::Subscribe {
            outgoing,
            by,
            reply,
        })
        .await
    }

    pub(crate) async fn attach(&self) -> Result<(Epoch, Arc<Mailbox>), RelayError> {
        self.ask(|reply| Command::Attach { reply }).await?
    }

    /// Gives up what is too much or too old in the log.
    pub(crate) async fn prune(&self) -> Result<(), RelayError> {
        self.ask(|reply| Command::Prune { reply }).await
    }

    /// Ends the session, for a person or for the worker of epoch `by`.
    pub(crate) async fn archive(&self, by: Option<Epoch>) -> Result<(), RelayError> {
        self.ask(|reply| Command::Archive { by, reply }).await?
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, RelayError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply)).await;
        sent.map_err(|_| RelayError::Stopped)?;
        answer.await.map_err(|_| RelayError::Stopped)
    }
}
