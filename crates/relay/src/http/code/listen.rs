//! What viewers say, as a worker reads it: server-sent events straight from the log.

use core::future::Future;
use std::sync::Arc;

use attache_protocol::SessionId;
use axum::{
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::Response,
};
use tokio_util::sync::CancellationToken;

use super::{
    log::{LogReader, Read},
    stream::{self, Events, Position},
};
use crate::{
    Relay,
    http::{access::WorkerOf, error::ApiError},
    metrics::{Metrics, Reader},
    session::{Listening, Mailbox},
    store::StoreError,
};

pub(super) async fn listen(
    worker: WorkerOf,
    State(relay): State<Relay>,
    position: Result<Query<Position>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = stream::position(position, &headers)?;
    let session = relay.session(&worker.id).await?;
    let Listening {
        mailbox,
        after,
        skip,
    } = session.listen(worker.epoch, after).await?;
    let heard = Heard {
        log: LogReader::of_viewers(worker.id, relay.store().clone(), after, skip),
        mailbox,
        closing: relay.closing().child_token(),
        metrics: relay.metrics().clone(),
    };
    Ok(stream::response(
        heard,
        relay.options().worker_stream_keep_alive,
    ))
}

/// What one worker hears.
struct Heard {
    log: LogReader,
    mailbox: Arc<Mailbox>,
    closing: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Events for Heard {
    fn session(&self) -> &SessionId {
        self.log.session()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let archived = self.mailbox.archived.is_cancelled();
            let arrived = self.mailbox.arrived.notified();
            match self.log.next(u64::MAX).await? {
                Some(Read::Event(event)) => {
                    self.metrics.sent(Reader::Worker, 1, event.len());
                    return Ok(Some(event));
                }
                // Nothing that is still for the worker is ever given up.
                Some(Read::Truncated(_)) => {}
                None if archived => return Ok(None),
                None => tokio::select! {
                    () = arrived => {}
                    () = self.mailbox.archived.cancelled() => {}
                },
            }
        }
    }

    fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mailbox, closing) = (self.mailbox.clone(), self.closing.clone());
        async move {
            tokio::select! {
                () = mailbox.over.cancelled() => {}
                () = closing.cancelled() => {}
            }
        }
    }
}
