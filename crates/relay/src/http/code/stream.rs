//! What viewers say, as a worker reads it: server-sent events straight from the log.
//!
//! The log is read only as fast as the worker takes it, so a slow worker costs no memory.

use core::convert::Infallible;
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use attache_protocol::{SessionId, frame::Frame};
use axum::{
    body::{Body, Bytes},
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    Relay, RelayError,
    http::{access::WorkerOf, error::ApiError, events::query},
    outgoing::event::{KEEP_ALIVE, OPENING, Said},
    session::{Listening, Mailbox},
    store::{After, Origin, Store, StoreError, StoredFrame},
};

/// How many frames are read from the store at once.
const PAGE: usize = 16;

#[derive(Deserialize)]
pub(super) struct Position {
    from_sequence_num: Option<u64>,
}

pub(super) async fn listen(
    worker: WorkerOf,
    State(relay): State<Relay>,
    position: Result<Query<Position>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let stated = query(position)?.from_sequence_num;
    // Whoever reconnects by itself sends its first address again, and where it is in the header.
    let after = stated.max(last_event_id(&headers)?);
    let session = relay.session(&worker.id).await?;
    let listening = session.listen(worker.epoch, after).await?;
    let events = Events::new(worker.id, listening, &relay);
    let body = stream::unfold(events, async |mut events| {
        let chunk = events.next().await?;
        Some((Ok::<_, Infallible>(chunk), events))
    });
    let mut response = Body::from_stream(body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Some proxies gather answers unless they are asked not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    number
        .map(Some)
        .ok_or_else(|| ApiError::invalid("`Last-Event-ID` has to be a sequence number"))
}

/// The chunks of one stream.
struct Events {
    id: SessionId,
    store: Arc<dyn Store>,
    mailbox: Arc<Mailbox>,
    closing: CancellationToken,
    keep_alive: Duration,
    opened: bool,
    after: u64,
    skip: HashSet<u64>,
    ahead: VecDeque<StoredFrame>,
}

impl Events {
    fn new(id: SessionId, listening: Listening, relay: &Relay) -> Self {
        let Listening {
            mailbox,
            after,
            skip,
        } = listening;
        Self {
            id,
            store: relay.store().clone(),
            mailbox,
            closing: relay.closing().clone(),
            keep_alive: relay.options().worker_stream_keep_alive,
            opened: false,
            after,
            skip,
            ahead: VecDeque::new(),
        }
    }

    /// What to send next; `None` is the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.opened {
            self.opened = true;
            return Some(Bytes::from_static(OPENING));
        }
        let (mailbox, closing) = (self.mailbox.clone(), self.closing.clone());
        let ended = async {
            tokio::select! {
                () = mailbox.over.cancelled() => {}
                () = closing.cancelled() => {}
            }
        };
        tokio::select! {
            biased;
            () = ended => None,
            next = timeout(self.keep_alive, self.next_event()) => match next {
                Ok(Ok(event)) => event,
                Ok(Err(error)) => {
                    // The worker comes back and goes on where it was.
                    tracing::error!(session = %self.id, %error, "a worker's stream can't be read from the store");
                    None
                }
                Err(_) => Some(Bytes::from_static(KEEP_ALIVE)),
            },
        }
    }

    /// Cancel safe: what was read waits in `ahead`.
    async fn next_event(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            while let Some(stored) = self.ahead.pop_front() {
                self.after = stored.sequence;
                if self.skip.remove(&stored.sequence) {
                    continue;
                }
                match event(&stored) {
                    Ok(event) => return Ok(Some(event)),
                    Err(error) => {
                        tracing::warn!(session = %self.id, sequence = stored.sequence, %error, "a stored frame is no frame");
                    }
                }
            }
            let archived = self.mailbox.archived.is_cancelled();
            let arrived = self.mailbox.arrived.notified();
            let (after, only) = (After::Sequence(self.after), Some(Origin::Viewer));
            let page = self.store.frames(&self.id, after, only, PAGE).await?;
            self.ahead.extend(page.frames);
            if self.ahead.is_empty() {
                if archived {
                    return Ok(None);
                }
                tokio::select! {
                    () = arrived => {}
                    () = self.mailbox.archived.cancelled() => {}
                }
            }
        }
    }
}

/// One stored frame as a server-sent event.
fn event(stored: &StoredFrame) -> Result<Bytes, RelayError> {
    let frame = Frame::classify(stored.text.clone())
        .map_err(|bad| RelayError::Refused(bad.error.into()))?;
    let said = Said {
        uuid: Some(&stored.uuid),
        type_name: frame.type_name(),
        origin: stored.origin,
        at: stored.stored_at,
        text: &stored.text,
    };
    Ok(said.stored(stored.sequence))
}
