//! The handle with which an application commands a session.

use std::fmt;

use attache_protocol::{
    frame::{RequestId, control::Fields},
    policy::CloseCause,
    time::Timestamp,
    viewer::{
        Content, DecideError, Decision, MessageId, ReconnectError, RequestError, SendError, Status,
        Viewer,
    },
};

use super::handle::Handle;
use crate::{Clock, CommandError, Ended};

/// A session to command. Clones command the same session.
///
/// Every command is carried out by the driver: it waits until the driver has looked at it, never for
/// the network. **Cancel safety** of every async method but [`status_changed`](Self::status_changed):
/// when the future is dropped, the command has been carried out or will be, unless it was still
/// waiting in line; do not drop a future whose outcome matters.
#[derive(Clone)]
pub struct Session {
    handle: Handle<Viewer>,
    clock: Clock,
}

impl Session {
    pub(crate) fn new(handle: Handle<Viewer>, clock: Clock) -> Self {
        Self { handle, clock }
    }

    /// Queues a message to the agent. How it fares is told by
    /// [`Event::Send`](attache_protocol::viewer::Event::Send) under the id returned here.
    ///
    /// # Errors
    /// [`SendError`], which hands the content back.
    pub async fn send(&self, content: Content) -> Result<MessageId, CommandError<SendError>> {
        self.handle
            .ask(move |viewer, now| viewer.send(now, content))
            .await
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
        self.handle
            .ask(move |viewer, now| viewer.decide(now, &request_id, &decision))
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
        self.handle
            .ask(move |viewer, now| viewer.request(now, &subtype, &fields))
            .await
    }

    /// Interrupts the agent's turn. The outcome comes as
    /// [`Event::Request`](attache_protocol::viewer::Event::Request).
    ///
    /// # Errors
    /// [`RequestError`]
    pub async fn interrupt(&self) -> Result<RequestId, CommandError<RequestError>> {
        self.handle.ask(Viewer::interrupt).await
    }

    /// Replaces the connection by a new one.
    ///
    /// # Errors
    /// [`ReconnectError`]
    pub async fn reconnect(&self) -> Result<(), CommandError<ReconnectError>> {
        self.handle.ask(Viewer::reconnect).await
    }

    /// Closes the session and waits until it is closed: for the closing handshake and a message that is
    /// on its way, but not longer than
    /// [`Liveness::close_deadline`](attache_protocol::viewer::Liveness::close_deadline). With the default
    /// it returns within 2 s, whatever the network does. Tells why it is closed, which may be an earlier
    /// cause.
    ///
    /// # Errors
    /// [`Ended`] when the driver was dropped.
    pub async fn close(&self) -> Result<CloseCause, Ended> {
        self.handle.close().await
    }

    /// Where the connection stands.
    pub fn status(&self) -> Status {
        self.handle.view.current()
    }

    /// Waits until the status differs from the one last seen through this handle by this method.
    /// Intermediate statuses may be skipped; the events tell all of them.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Ended`] when there will be no other status.
    pub async fn status_changed(&mut self) -> Result<Status, Ended> {
        self.handle.view.changed().await
    }

    /// The present on the session's own time line, to read
    /// [`Status::Waiting::next_attempt_at`](Status::Waiting) against.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Says that this machine woke up, or that its network changed: the connection is probed at once.
    pub fn woke(&self) {
        self.handle.woke();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
