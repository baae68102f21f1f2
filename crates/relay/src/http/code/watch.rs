//! What is said in a session, as a viewer reads it: the log from a position on, then live.

use core::future::Future;
use std::collections::VecDeque;

use attache_protocol::SessionId;
use axum::{
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::Response,
};
use tokio_util::sync::CancellationToken;

use super::{
    events::check_position,
    log::{LogReader, Read},
    stream::{self, Events, Position},
};
use crate::{
    Relay,
    http::{
        access::{Allowed, Named},
        error::ApiError,
        subscription::Subscription,
    },
    metrics::Reader,
    outgoing::{Ending, Item, event},
    store::StoreError,
};

pub(super) async fn watch(
    Allowed(by): Allowed,
    Named(id): Named,
    State(relay): State<Relay>,
    position: Result<Query<Position>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = stream::position(position, &headers)?;
    let session = relay.session(&id).await?;
    let subscription = Subscription::of_stream(session, by, &relay).await?;
    let newest = subscription.newest;
    let after = after.unwrap_or(newest);
    check_position(after, newest)?;
    let keep_alive = relay.options().keep_alive;
    let seen = Seen {
        log: LogReader::of_all(id, relay.store().clone(), after),
        subscription,
        queue: VecDeque::new(),
        has_ended: false,
        // Their own: thousands of streams that wait for one would wait for its lock.
        closing: relay.closing().child_token(),
        killed: relay.killed().child_token(),
        started: false,
        relay,
    };
    Ok(stream::response(seen, keep_alive))
}

/// What one viewer sees.
struct Seen {
    relay: Relay,
    log: LogReader,
    subscription: Subscription,
    queue: VecDeque<Item>,
    has_ended: bool,
    closing: CancellationToken,
    killed: CancellationToken,
    started: bool,
}

impl Events for Seen {
    fn session(&self) -> &SessionId {
        self.log.session()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let event = self.next_event().await?;
        if let Some(event) = &event {
            let metrics = self.relay.metrics();
            metrics.sent(Reader::Viewer, 1, event.len());
        }
        Ok(event)
    }

    fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        let (closing, killed) = (self.closing.clone(), self.killed.clone());
        async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = killed.cancelled() => {}
            }
        }
    }
}

impl Seen {
    /// Cancel safe: what was taken out of the queue is in the log or was sent.
    async fn next_event(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let Some(item) = self.queue.front() else {
                match self.subscription.outgoing.next().await {
                    Ok(batch) => self.queue.extend(batch.items().cloned()),
                    Err(ending) => {
                        let is_news = ending == Ending::SessionEnded && !self.has_ended;
                        self.has_ended = true;
                        return Ok(is_news.then(|| Bytes::from_static(event::SESSION_ENDED)));
                    }
                }
                continue;
            };
            // What the queue has lost is in the log.
            let before = match item {
                Item::Stored(sequence, _) => sequence.saturating_sub(1),
                Item::LogUpTo(sequence) => *sequence,
                Item::Live(_) | Item::Delivery(_) => 0,
            };
            match self.log.next(before).await? {
                Some(Read::Event(event)) => return Ok(Some(event)),
                Some(Read::Truncated(first)) => return Ok(Some(event::truncated(first))),
                None => {}
            }
            let Some(item) = self.queue.pop_front() else {
                continue;
            };
            let is_new = match item {
                Item::Stored(sequence, _) => self.log.pass(sequence),
                Item::LogUpTo(_) => {
                    // The first one is how a subscription starts.
                    if core::mem::replace(&mut self.started, true) {
                        self.relay.metrics().lagged();
                    }
                    true
                }
                Item::Live(_) | Item::Delivery(_) => true,
            };
            if is_new && let Some(event) = item.event() {
                return Ok(Some(event));
            }
        }
    }
}
