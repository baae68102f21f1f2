//! The handle with which an application commands a session.

use std::fmt;

use attache_driver::{Clock, CommandError, Ended};
use attache_protocol::{
    frame::{RequestId, control::Fields},
    policy::CloseCause,
    time::Timestamp,
    viewer::{
        Content, DecideError, Decision, MessageId, ReconnectError, RequestError, SendError, Status,
        Viewer,
    },
};

use crate::handle::Handle;

/// A session to command, from any thread. Clones command the same session.
///
/// Every command is carried out by the driver: it waits until the driver has looked at it, never for
/// the network.
#[derive(Clone)]
pub struct Session {
    handle: Handle<Viewer>,
    clock: Clock,
    /// The number of the status that was seen last.
    seen: u64,
}

impl Session {
    pub(crate) fn new(handle: Handle<Viewer>, clock: Clock) -> Self {
        Self {
            handle,
            clock,
            seen: 0,
        }
    }

    /// Queues a message to the agent. How it fares is told by
    /// [`Event::Send`](attache_protocol::viewer::Event::Send) under the id returned here.
    ///
    /// # Errors
    /// [`SendError`], which hands the content back.
    pub fn send(&self, content: Content) -> Result<MessageId, CommandError<SendError>> {
        self.handle
            .ask(move |viewer, now| viewer.send(now, content))
    }

    /// Answers a permission prompt.
    ///
    /// # Errors
    /// [`DecideError`]
    pub fn decide(
        &self,
        request_id: RequestId,
        decision: Decision,
    ) -> Result<(), CommandError<DecideError>> {
        self.handle
            .ask(move |viewer, now| viewer.decide(now, &request_id, &decision))
    }

    /// Asks the agent for something: any subtype, any fields. The outcome comes as
    /// [`Event::Request`](attache_protocol::viewer::Event::Request) under the id returned here.
    ///
    /// # Errors
    /// [`RequestError`]
    pub fn request(
        &self,
        subtype: impl Into<String>,
        fields: Fields,
    ) -> Result<RequestId, CommandError<RequestError>> {
        let subtype = subtype.into();
        self.handle
            .ask(move |viewer, now| viewer.request(now, &subtype, &fields))
    }

    /// Interrupts the agent's turn. The outcome comes as
    /// [`Event::Request`](attache_protocol::viewer::Event::Request).
    ///
    /// # Errors
    /// [`RequestError`]
    pub fn interrupt(&self) -> Result<RequestId, CommandError<RequestError>> {
        self.handle.ask(Viewer::interrupt)
    }

    /// Replaces the connection by a new one.
    ///
    /// # Errors
    /// [`ReconnectError`]
    pub fn reconnect(&self) -> Result<(), CommandError<ReconnectError>> {
        self.handle.ask(Viewer::reconnect)
    }

    /// Closes the session and waits until it is closed: for the closing handshake and a message that is
    /// on its way, but not longer than
    /// [`Liveness::close_deadline`](attache_protocol::viewer::Liveness::close_deadline). With the default
    /// it returns within 2 s, whatever the network does. Tells why it is closed, which may be an earlier
    /// cause.
    ///
    /// # Errors
    /// [`Ended`] when the driver was dropped before it ran, or panicked.
    pub fn close(&self) -> Result<CloseCause, Ended> {
        self.handle.close()
    }

    /// Where the connection stands.
    pub fn status(&self) -> Status {
        self.handle.view.look()
    }

    /// Waits until the status differs from the one last seen through this handle by this method.
    /// Intermediate statuses may be skipped; the events tell all of them.
    ///
    /// # Errors
    /// [`Ended`] when there will be no other status.
    pub fn status_changed(&mut self) -> Result<Status, Ended> {
        let seen = self.seen;
        let (status, version) = self
            .handle
            .view
            .wait_for(|status, version| (version != seen).then(|| (status.clone(), version)))?;
        self.seen = version;
        Ok(status)
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
            .field("status", &self.handle.view.look())
            .finish_non_exhaustive()
    }
}
