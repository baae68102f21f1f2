//! One viewer's socket.
//!
//! Reading and writing are two futures of one task, so that neither ever waits for the other, and
//! neither is dropped before the socket is.

use core::{pin::pin, time::Duration};

use attache_protocol::{
    ByteString,
    frame::{FrameError, control, split},
};
use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, WebSocket},
};
use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _, stream};
use tokio::time::timeout;

use super::subscription::Subscription;
use crate::{
    Identity, RefusedFrame, Relay, RelayOptions,
    line::Line,
    metrics::{self, Limit, Metrics},
    outgoing::{Batch, Ending, Item, Outgoing},
    session::{SessionHandle, ViewerId},
    store::Origin,
};

/// Big batches get more time to be written than small ones: a second for so many bytes.
const SLOWEST_BYTES_PER_SECOND: usize = 128 << 10;

/// Serves a viewer until its socket ends.
pub(super) async fn run(
    socket: Box<WebSocket>,
    subscription: Subscription,
    early: Vec<ByteString>,
    relay: &Relay,
) {
    let options = relay.options();
    let over = relay.credential_watch(&subscription.by).boxed();
    let outgoing = &subscription.outgoing;
    // Whole batches, so that writing and reading meet once for each.
    let in_batches = |batch: Vec<Message>| stream::iter(batch).map(Ok);
    let (sink, stream) = socket.with_flat_map(in_batches).split();
    let reader = Reader {
        stream,
        viewer: subscription.viewer,
        session: &subscription.session,
        outgoing,
        silence: options.viewer_silence,
        limit_bytes: options.viewer_message_limit_bytes,
        relay,
        by: &subscription.by,
    };
    let mut reading = pin!(reader.run(early));
    let mut writing = pin!(write(sink, outgoing, options, &subscription.metrics));
    tokio::select! {
        () = &mut reading => return,
        () = &mut writing => {}
        () = async {
            tokio::select! {
                () = relay.closing().cancelled() => outgoing.end(Ending::Restarting),
                () = over => outgoing.end_now(Ending::CredentialOver),
            }
        } => {
            tokio::select! {
                () = &mut reading => return,
                () = &mut writing => {}
            }
        }
    }
    // The close frame is out; the peer's answer is read, so that the connection ends in order.
    let _ = timeout(options.close_timeout, reading).await;
}

/// Closes a socket that nothing else was sent on.
pub(super) async fn close(mut socket: Box<WebSocket>, ending: Ending, patience: Duration) {
    let closed = async {
        if socket.send(close_message(ending)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(patience, closed).await;
}

struct Reader<'a, S> {
    stream: S,
    viewer: ViewerId,
    session: &'a SessionHandle,
    outgoing: &'a Outgoing,
    silence: Duration,
    limit_bytes: usize,
    relay: &'a Relay,
    by: &'a Identity,
}

impl<S: Stream<Item = Result<Message, axum::Error>> + Unpin> Reader<'_, S> {
    /// Reads until the socket ends, in whatever way.
    async fn run(mut self, early: Vec<ByteString>) {
        for text in early {
            self.take(&text).await;
        }
        loop {
            let message = match timeout(self.silence, self.stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "a viewer's socket broke");
                    return;
                }
                Ok(None) => return,
                Err(_) => {
                    tracing::debug!("a viewer is silent and given up");
                    return;
                }
            };
            let text = match message {
                Message::Text(text) => Bytes::from(text),
                Message::Binary(bytes) => bytes,
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
            };
            if text.len() > self.limit_bytes {
                // Read on: the peer's answer to the close frame is still to come.
                self.outgoing.end(Ending::TooLarge);
                continue;
            }
            let Ok(text) = ByteString::try_from(text) else {
                tracing::debug!("a binary message that is not text is ignored");
                continue;
            };
            for text in split(&text) {
                self.take(&text).await;
            }
        }
    }

    async fn take(&self, text: &str) {
        if !self.outgoing.is_open() {
            // Its end is decided, and may be that it may not say anything any more.
            return;
        }
        // Nothing more is read meanwhile, so whoever says too much has to wait, too.
        while let Err(wait) = self.relay.gate().limits.posts.check(&self.by.credential) {
            self.relay.metrics().limited(Limit::Posts);
            tokio::time::sleep(wait).await;
        }
        match Line::accept(text) {
            // When the session's task is gone, so is the relay; the socket ends with it.
            Ok(line) => drop(self.session.take_from(self.viewer, line).await),
            Err(refused) => {
                tracing::debug!(%refused, bytes = text.len(), "a viewer's frame is ignored");
                if let RefusedFrame::Malformed(FrameError::NoSubtype { request_id }) = &refused {
                    let answer = control::error(request_id, &refused.to_string());
                    if let Ok(answer) = Line::known(&answer) {
                        self.outgoing.push(&Item::live(answer, Origin::Relay));
                    }
                }
            }
        }
    }
}

/// Sends what is queued until nothing more will come, and last the close frame; or until the peer
/// takes nothing any more.
async fn write(
    mut sink: impl Sink<Vec<Message>, Error = axum::Error> + Unpin,
    outgoing: &Outgoing,
    options: &RelayOptions,
    metrics: &Metrics,
) {
    loop {
        let (batch, ending, idle) = match timeout(options.keep_alive, outgoing.next()).await {
            Ok(Ok(batch)) => (batch, None, false),
            Ok(Err(ending)) => (Batch::default(), Some(ending), false),
            Err(_) => (Batch::default(), None, true),
        };
        let (events, bytes) = (batch.frames(), batch.bytes());
        let mut messages = Vec::with_capacity(events + 1);
        messages.extend(
            batch
                .items()
                .filter_map(Item::wire)
                .cloned()
                .map(Message::Text),
        );
        messages.extend(idle.then(|| Message::Ping(Bytes::new())));
        messages.extend(ending.map(close_message));
        drop(batch);
        let patience =
            options.write_timeout + Duration::from_secs((bytes / SLOWEST_BYTES_PER_SECOND) as u64);
        match timeout(patience, sink.send(messages)).await {
            Ok(Ok(())) if ending.is_none() => metrics.sent(metrics::Reader::Viewer, events, bytes),
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a viewer's socket broke");
                return;
            }
            Err(_) => {
                tracing::debug!("a viewer takes nothing any more and is given up");
                return;
            }
        }
    }
}

fn close_message(ending: Ending) -> Message {
    Message::Close(Some(CloseFrame {
        code: ending.code(),
        reason: ending.reason().into(),
    }))
}
