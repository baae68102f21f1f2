//! One viewer's socket.
//!
//! Reading and writing are two futures of one task, so that neither ever waits for the other, and
//! neither is dropped before the socket is.

use core::{pin::pin, time::Duration};

use attache_protocol::{
    ByteString,
    frame::{FrameError, control, split},
};
use axum::body::Bytes;
use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message, protocol::CloseFrame};

use super::{
    subscription::Subscription,
    websocket::{Outbound, WebSocket},
};
use crate::{
    Identity, RefusedFrame, Relay, RelayOptions,
    line::Line,
    metrics::{self, Limit, Metrics},
    outgoing::{Ending, Item, Outgoing},
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
    let (sink, stream) = socket.split();
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
        if socket.send(farewell(ending)).await.is_ok() {
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

impl<S: Stream<Item = Result<Message, Error>> + Unpin> Reader<'_, S> {
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
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                    continue;
                }
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
    mut sink: impl Sink<Outbound, Error = Error> + Unpin,
    outgoing: &Outgoing,
    options: &RelayOptions,
    metrics: &Metrics,
) {
    loop {
        let (mut frames, mut bytes, mut ending) = (0, 0, None);
        let outbound = match timeout(options.keep_alive, outgoing.next()).await {
            Ok(Ok(batch)) => {
                (frames, bytes) = (batch.frames(), batch.bytes());
                Outbound::Messages(batch.messages())
            }
            Ok(Err(found)) => {
                ending = Some(found);
                farewell(found)
            }
            Err(_) => Outbound::Control(Message::Ping(Bytes::new())),
        };
        let patience =
            options.write_timeout + Duration::from_secs((bytes / SLOWEST_BYTES_PER_SECOND) as u64);
        match timeout(patience, sink.send(outbound)).await {
            Ok(Ok(())) if ending.is_none() => metrics.sent(metrics::Reader::Viewer, frames, bytes),
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

fn farewell(ending: Ending) -> Outbound {
    Outbound::Control(Message::Close(Some(CloseFrame {
        code: ending.code().into(),
        reason: ending.reason().into(),
    })))
}
