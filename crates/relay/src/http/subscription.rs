//! A viewer's place in a session.

use std::sync::Arc;

use crate::{
    Identity, RelayError, RelayOptions,
    outgoing::Outgoing,
    session::{SessionHandle, ViewerId},
};

/// A place among a session's viewers. From its making on nothing that is stored passes it by;
/// dropping it gives it up.
pub(super) struct Subscription {
    pub(super) session: SessionHandle,
    pub(super) viewer: ViewerId,
    pub(super) by: Arc<Identity>,
    pub(super) outgoing: Arc<Outgoing>,
    /// Where the log ended when this was made.
    pub(super) newest: u64,
}

impl Subscription {
    pub(super) async fn of_socket(
        session: SessionHandle,
        by: Arc<Identity>,
        options: &RelayOptions,
    ) -> Result<Self, RelayError> {
        let (frames, bytes) = (options.viewer_buffer_frames, options.viewer_buffer_bytes);
        Self::new(session, by, Outgoing::for_socket(frames, bytes)).await
    }

    pub(super) async fn of_stream(
        session: SessionHandle,
        by: Arc<Identity>,
        options: &RelayOptions,
    ) -> Result<Self, RelayError> {
        let (frames, bytes) = (options.viewer_buffer_frames, options.viewer_buffer_bytes);
        Self::new(session, by, Outgoing::for_stream(frames, bytes)).await
    }

    async fn new(
        session: SessionHandle,
        by: Arc<Identity>,
        outgoing: Outgoing,
    ) -> Result<Self, RelayError> {
        let outgoing = Arc::new(outgoing);
        let subscribed = session.subscribe(outgoing.clone(), by.clone()).await?;
        Ok(Self {
            session,
            viewer: subscribed.viewer,
            by,
            outgoing,
            newest: subscribed.newest,
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.outgoing.abandon();
    }
}
