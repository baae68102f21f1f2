//! What a driver needs of a runtime.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use attache_protocol::{
    Bytes,
    io::{HttpRequest, HttpResponse, NetworkFailure, Refusal, SocketRequest},
};
use futures_core::Stream;
use futures_util::Sink;
use tungstenite::{Error, Message};

/// What comes of an HTTP call.
pub type Answer = Result<HttpResponse, NetworkFailure>;

/// Connections and timers of one runtime. Cheap to clone.
///
/// Every future is polled by the driver and dropped when its outcome is no longer wanted; it must leave
/// nothing running behind it then.
pub trait Network: Clone + Send + Sync + Unpin + 'static {
    /// An open WebSocket.
    type Socket: WebSocket;
    /// The body of an answer that is read as it comes.
    type Body: Body;
    /// Waits for an instant.
    type Timer: Timer;

    /// Opens a WebSocket to the configured server.
    fn open_socket(
        &self,
        request: SocketRequest,
    ) -> impl Future<Output = Result<Self::Socket, Refusal>> + Send;

    /// Makes one call and reads the whole answer, whatever its status.
    fn call(&self, request: HttpRequest) -> impl Future<Output = Answer> + Send;

    /// Makes one call whose answer is read as it comes, on a connection of its own. An answer other
    /// than 200 is a refusal.
    fn open_stream(
        &self,
        request: HttpRequest,
    ) -> impl Future<Output = Result<Self::Body, Refusal>> + Send;
}

/// An open WebSocket.
pub trait WebSocket: Send + Unpin + 'static {
    /// Messages in, messages out, in the words of tungstenite.
    type Messages: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin;

    /// The messages.
    fn messages(&mut self) -> &mut Self::Messages;

    /// How many bytes have arrived so far, whether or not they make a message yet. May wrap around.
    fn received(&self) -> u64;

    /// Ends the stream below, so that the peer reads its end. Asked once.
    fn hang_up(&mut self, cx: &mut Context<'_>);
}

/// The body of an answer, read as it comes. Dropping it closes the connection.
pub trait Body: Send + Unpin + 'static {
    /// The next bytes, at least one. [`NetworkFailure::Ended`] at the end of the body; after a failure
    /// it is not asked any more.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, NetworkFailure>>;
}

/// Waits for an instant, which may be changed.
pub trait Timer: Send + Unpin + 'static {
    /// A timer for `at`.
    fn new(at: Instant) -> Self;

    /// Waits for `at` from now on.
    fn reset(&mut self, at: Instant);

    /// Ready once the instant has come.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
