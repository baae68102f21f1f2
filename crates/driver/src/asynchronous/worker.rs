//! The handle with which an agent's process commands its worker.

use std::fmt;

use attache_protocol::{
    ByteString, SessionId,
    frame::Frame,
    worker::{
        AgentState, Delivery, EventId, UploadError, UploadRefusal, Worker, WorkerCloseCause,
        WorkerStatus,
    },
};

use super::handle::Handle;
use crate::Ended;

/// A worker to command. Clones command the same worker.
///
/// What is told to a worker is carried out by its driver at once, without waiting for the network; only
/// [`upload`](Self::upload) waits, for room.
#[derive(Clone)]
pub struct WorkerSession {
    handle: Handle<Worker>,
    /// The status that this handle told last.
    told: WorkerStatus,
}

impl WorkerSession {
    pub(crate) fn new(handle: Handle<Worker>) -> Self {
        let told = handle.view.current().status;
        Self { handle, told }
    }

    /// Puts one frame of the agent's in line: everything put in line is uploaded in order, each frame
    /// once. While too much is waiting for the server, this waits for room: stop reading the agent
    /// meanwhile, and it feels that through its pipe.
    ///
    /// Frames that are in line when the worker closes are sent as long as
    /// [`WorkerPatience::flush`](attache_protocol::worker::WorkerPatience::flush) lasts; the last one is lost at
    /// once if there was no room for it in the queue.
    ///
    /// Cancel safe: when the future is dropped before it is done, the frame is not in line.
    ///
    /// # Errors
    /// [`UploadError`], which hands the text back, when it is no frame or the worker is closing or gone.
    pub async fn upload(&self, text: ByteString) -> Result<(), UploadError> {
        if let Err(malformed) = Frame::classify(text.clone()) {
            return Err(UploadError {
                reason: UploadRefusal::Malformed(malformed.error),
                text,
            });
        }
        let kept = text.clone();
        let write = move |worker: &mut Worker, now| {
            if let Err(error) = worker.upload(now, text) {
                tracing::warn!(%error, "a frame was not uploaded");
            }
        };
        let written = self.handle.write(write).await;
        written.map_err(|Ended| UploadError {
            reason: UploadRefusal::Closed,
            text: kept,
        })
    }

    /// Says what the agent is at. The last word counts, and is repeated to the server until it is known
    /// there.
    ///
    /// Cancel safe: when the future is dropped before it is done, nothing has been said.
    ///
    /// # Errors
    /// [`Ended`] when there is no worker any more.
    pub async fn report(&self, state: AgentState) -> Result<(), Ended> {
        self.handle
            .tell(move |worker, now| worker.report(now, state))
            .await
    }

    /// Says how far the agent is with an inbound event. That it was received is said without asking.
    ///
    /// Cancel safe: when the future is dropped before it is done, nothing has been said.
    ///
    /// # Errors
    /// [`Ended`] when there is no worker any more.
    pub async fn acknowledge(&self, event: EventId, delivery: Delivery) -> Result<(), Ended> {
        self.handle
            .tell(move |worker, now| worker.acknowledge(now, &event, delivery))
            .await
    }

    /// Closes the worker and waits until it is closed: reports idle, sends what is left and archives the
    /// session, all within
    /// [`WorkerPatience::close`](attache_protocol::worker::WorkerPatience::close). With the default it
    /// returns within 2 s, whatever the network does; a session whose archive does not get through by
    /// then, or that is only then being created, stays behind. Tells why it is closed, which may be an
    /// earlier cause.
    ///
    /// Cancel safety: when the future is dropped, the worker closes all the same, unless this was still
    /// waiting in line.
    ///
    /// # Errors
    /// [`Ended`] when the driver was dropped.
    pub async fn close(&self) -> Result<WorkerCloseCause, Ended> {
        self.handle.close().await
    }

    /// Where the worker stands.
    pub fn status(&self) -> WorkerStatus {
        self.handle.view.current().status
    }

    /// Waits until the status differs from the one last told through this handle by this method (at
    /// first, from the one when the handle was made). Intermediate statuses may be skipped; the events
    /// tell all of them.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Ended`] when there will be no other status.
    pub async fn status_changed(&mut self) -> Result<WorkerStatus, Ended> {
        let told = self.told;
        self.told = self
            .handle
            .view
            .wait_for(|view| (view.status != told).then_some(view.status))
            .await?;
        Ok(self.told)
    }

    /// The session, once it is registered; from the start, if it is one that was joined.
    pub fn session(&self) -> Option<SessionId> {
        self.handle.view.current().session
    }

    /// Says that this machine woke up, or that its network changed: the connection is probed at once.
    pub fn woke(&self) {
        self.handle.woke();
    }
}

impl fmt::Debug for WorkerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerSession")
            .field("view", &self.handle.view.current())
            .finish_non_exhaustive()
    }
}
