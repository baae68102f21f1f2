//! The handle with which an application commands a session.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use attache_driver::Clock;
use attache_protocol::{
    frame::{RequestId, control::Fields},
    policy::CloseCause,
    time::Timestamp,
    viewer::{
        Content, DecideError, Decision, MessageId, ReconnectError, RequestError, SendError, Status,
    },
};
use futures_util::task::AtomicWaker;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that wait for the driver. It takes them at every turn, so few are enough.
const CHANNEL_COMMANDS: usize = 64;

/// A session to command. Clones command the same session.
///
/// Every command is carried out by the driver: it waits until the driver has looked at it, never for
/// the network. **Cancel safety** of every async method but [`status_changed`](Self::status_changed):
/// when the future is dropped, the command has been carried out or will be, unless it was still
/// waiting in line; do not drop a future whose outcome matters.
#[derive(Clone)]
pub struct Session {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Status>,
    wake: Arc<Wake>,
    clock: Clock,
}

/// Why a command did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError<E> {
    /// The session refused it.
    #[error(transparent)]
    Refused(#[from] E),
    /// There is no session any more: its driver is done, or was dropped.
    #[error("the session has ended")]
    Ended,
}

/// The driver was dropped before the session was closed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's driver was dropped before the session was closed")]
pub struct Ended;

type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// A command on its way to the driver.
pub(crate) enum Command {
    Send(Content, Reply<MessageId, SendError>),
    Decide(RequestId, Decision, Reply<(), DecideError>),
    Request(String, Fields, Reply<RequestId, RequestError>),
    Interrupt(Reply<RequestId, RequestError>),
    Reconnect(Reply<(), ReconnectError>),
    Close,
}

impl Session {
    /// Queues a message to the agent. How it fares is told by
    /// [`Event::Send`](attache_protocol::viewer::Event::Send) under the id returned here.
    ///
    /// # Errors
    /// [`SendError`], which hands the content back.
    pub async fn send(&self, content: Content) -> Result<MessageId, CommandError<SendError>> {
        self.command(|reply| Command::Send(content, reply)).await
    }

    /// Answers a permission prompt.
    ///
    /// # Errors
    /// [`DecideError`]
    pub async fn decide(
        &self,
        request_id: RequestId,
        decision: Decision,
    ) -> Result<(), CommandError<DecideError>> {
        self.command(|reply| Command::Decide(request_id, decision, reply))
            .await
    }

    /// Asks the agent for something: any subtype, any fields. The outcome comes as
    /// [`Event::Request`](attache_protocol::viewer::Event::Request) under the id returned here.
    ///
    /// # Errors
    /// [`RequestError`]
    pub async fn request(
        &self,
        subtype: impl Into<String>,
        fields: Fields,
    ) -> Result<RequestId, CommandError<RequestError>> {
        let subtype = subtype.into();
        self.command(|reply| Command::Request(subtype, fields, reply))
            .await
    }

    /// Interrupts the agent's turn. The outcome comes as
    /// [`Event::Request`](attache_protocol::viewer::Event::Request).
    ///
    /// # Errors
    /// [`RequestError`]
    pub async fn interrupt(&self) -> Result<RequestId, CommandError<RequestError>> {
        self.command(Command::Interrupt).await
    }

    /// Replaces the connection by a new one.
    ///
    /// # Errors
    /// [`ReconnectError`]
    pub async fn reconnect(&self) -> Result<(), CommandError<ReconnectError>> {
        self.command(Command::Reconnect).await
    }

    /// Closes the session and waits until it is closed: the closing handshake, but not longer than
    /// [`Liveness::close_deadline`](attache_protocol::viewer::Liveness::close_deadline). Tells why it
    /// is closed, which may be an earlier cause.
    ///
    /// # Errors
    /// [`Ended`] when the driver was dropped.
    pub async fn close(&self) -> Result<CloseCause, Ended> {
        // A driver that is done takes no commands; its last status tells the rest.
        let _ = self.commands.send(Command::Close).await;
        let mut status = self.status.clone();
        let closed = |status: &Status| closed_cause(status).is_some();
        let last = status.wait_for(closed).await.map_err(|_| Ended)?;
        closed_cause(&last).ok_or(Ended)
    }

    /// Where the connection stands.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until the status differs from the one last seen through this handle by this method.
    /// Intermediate statuses may be skipped; the events tell all of them.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Ended`] when there will be no other status.
    pub async fn status_changed(&mut self) -> Result<Status, Ended> {
        self.status.changed().await.map_err(|_| Ended)?;
        Ok(self.status.borrow_and_update().clone())
    }

    /// The present on the session's own time line, to read
    /// [`Status::Waiting::next_attempt_at`](Status::Waiting) against.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Says that this machine woke up, or that its network changed: the connection is probed at once.
    pub fn woke(&self) {
        self.wake.set();
    }

    async fn command<T, E>(
        &self,
        command: impl FnOnce(Reply<T, E>) -> Command,
    ) -> Result<T, CommandError<E>> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| CommandError::Ended)?;
        let answer = answer.await.map_err(|_| CommandError::Ended)?;
        answer.map_err(CommandError::Refused)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}

/// The driver's end of every [`Session`].
pub(crate) struct Inlet {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) wake: Arc<Wake>,
}

impl Inlet {
    /// Refuses every command from now on, those in line included.
    pub(crate) fn finish(&mut self) {
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
    }
}

/// Both ends, and a sender that keeps the session open.
pub(crate) fn channel(clock: Clock) -> (Inlet, Session, mpsc::Sender<Command>) {
    let (command_sender, commands) = mpsc::channel(CHANNEL_COMMANDS);
    let (status_sender, status) = watch::channel(Status::Idle);
    let wake = Arc::new(Wake::default());
    let session = Session {
        commands: command_sender.clone(),
        status,
        wake: Arc::clone(&wake),
        clock,
    };
    let inlet = Inlet {
        commands,
        status: status_sender,
        wake,
    };
    (inlet, session, command_sender)
}

/// A flag that wakes the driver.
#[derive(Default)]
pub(crate) struct Wake {
    raised: AtomicBool,
    driver: AtomicWaker,
}

impl Wake {
    fn set(&self) {
        self.raised.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Lowers the flag; whether it was up.
    pub(crate) fn take(&self, cx: &mut Context<'_>) -> bool {
        self.driver.register(cx.waker());
        self.raised.swap(false, Ordering::AcqRel)
    }
}

/// Why a session with this status is closed, if it is.
pub(crate) fn closed_cause(status: &Status) -> Option<CloseCause> {
    match status {
        Status::Closed { cause } => Some(*cause),
        Status::Idle
        | Status::Connecting { .. }
        | Status::CatchingUp
        | Status::Live
        | Status::Waiting { .. }
        | Status::Closing => None,
    }
}
