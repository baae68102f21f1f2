//! What the streams of workers and viewers have in common.

use core::{convert::Infallible, future::Future, time::Duration};

use attache_protocol::SessionId;
use axum::{
    body::{Body, Bytes},
    extract::{Query, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    http::{error::ApiError, events::query},
    outgoing::event::{KEEP_ALIVE, OPENING},
    store::StoreError,
};

#[derive(Deserialize)]
pub(super) struct Position {
    from_sequence_num: Option<u64>,
}

/// The sequence number behind which the reader wants to go on.
pub(super) fn position(
    position: Result<Query<Position>, QueryRejection>,
    headers: &HeaderMap,
) -> Result<Option<u64>, ApiError> {
    let stated = query(position)?.from_sequence_num;
    // Whoever reconnects by itself sends its first address again, and where it is in the header.
    Ok(stated.max(last_event_id(headers)?))
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

/// Where the events of a stream come from.
pub(super) trait Events: Send + 'static {
    /// Whose events these are.
    fn session(&self) -> &SessionId;

    /// The next event; `None` is the end. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Ready when the stream is to end, whatever there is still to say.
    fn cut(&self) -> impl Future<Output = ()> + Send + 'static;
}

/// A stream of server-sent events. What has nothing to say for as long as `keep_alive` says so.
pub(super) fn response(events: impl Events, keep_alive: Duration) -> Response {
    let opening = Some(Bytes::from_static(OPENING));
    let body = stream::unfold((opening, events), move |(opening, mut events)| async move {
        let chunk = match opening {
            Some(opening) => opening,
            None => next(&mut events, keep_alive).await?,
        };
        Some((Ok::<_, Infallible>(chunk), (None, events)))
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
    response
}

async fn next(events: &mut impl Events, keep_alive: Duration) -> Option<Bytes> {
    tokio::select! {
        biased;
        () = events.cut() => None,
        next = timeout(keep_alive, events.next()) => match next {
            Ok(Ok(event)) => event,
            Ok(Err(error)) => {
                // The reader comes back and goes on where it was.
                tracing::error!(session = %events.session(), %error, "a stream can't be read from the store");
                None
            }
            Err(_) => Some(Bytes::from_static(KEEP_ALIVE)),
        },
    }
}
