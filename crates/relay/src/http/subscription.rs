//! A viewer's place in a session.

use std::sync::Arc;

use crate::{
    Identity, Relay, RelayError,
    metrics::{Metrics, Present, Transport},
    outgoing::{Ending, Outgoing},
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
    pub(super) metrics: Arc<Metrics>,
    _present: Present,
}

impl Subscription {
    pub(super) async fn of_socket(
        session: SessionHandle,
        by: Arc<Identity>,
        relay: &Relay,
    ) -> Result<Self, RelayError> {
        let options = relay.options();
        let (frames, bytes) = (options.viewer_buffer_frames, options.viewer_buffer_bytes);
        let outgoing = Outgoing::for_socket(frames, bytes);
        Self::new(session, by, outgoing, relay.metrics(), Transport::WebSocket).await
    }

    pub(super) async fn of_stream(
        session: SessionHandle,
        by: Arc<Identity>,
        relay: &Relay,
    ) -> Result<Self, RelayError> {
        let options = relay.options();
        let (frames, bytes) = (options.viewer_buffer_frames, options.viewer_buffer_bytes);
        let outgoing = Outgoing::for_stream(frames, bytes);
        Self::new(session, by, outgoing, relay.metrics(), Transport::Sse).await
    }

    async fn new(
        session: SessionHandle,
        by: Arc<Identity>,
        outgoing: Outgoing,
        metrics: &Arc<Metrics>,
        transport: Transport,
    ) -> Result<Self, RelayError> {
        let outgoing = Arc::new(outgoing);
        let subscribed = session.subscribe(outgoing.clone(), by.clone()).await?;
        Ok(Self {
            session,
            viewer: subscribed.viewer,
            by,
            outgoing,
            newest: subscribed.newest,
            metrics: metrics.clone(),
            _present: metrics.viewer(transport),
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(ending @ (Ending::TooSlow | Ending::TooLarge | Ending::CredentialOver)) =
            self.outgoing.ending()
        {
            self.metrics.dropped(ending);
        }
        self.outgoing.abandon();
    }
}
