//! What passes between a machine and its driver: orders ([`Effect`]), facts ([`Input`]), and the ids
//! that keep them apart. Plain data, nothing else.
//!
//! Every order that will be answered carries an id that is used once; a fact that names any other id
//! changes nothing. That is how an abandoned socket can never hurt its successor.

mod call;
mod ids;

use core::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

pub use call::{Header, HttpRequest, HttpResponse, Method, Server, SocketRequest};
pub(crate) use ids::IdCounter;
pub use ids::{HttpRequestId, SocketId, StreamId, Token, TokenRequestId};

/// An order to the driver. Carry orders out in the sequence in which they come.
///
/// The enum is exhaustive on purpose: a new effect must not compile past an adapter that ignores it.
/// `Debug` shows no token and no frame content.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a dropped effect is an order that nobody carries out"]
pub enum Effect {
    /// Ask the token source for a credential; answer with [`Input::TokenFetched`] or
    /// [`Input::TokenRefused`].
    FetchToken {
        /// What the answer names.
        id: TokenRequestId,
        /// Why one is wanted.
        reason: TokenReason,
    },
    /// Open a WebSocket; answer with [`Input::SocketOpened`] or [`Input::SocketRefused`].
    OpenSocket {
        /// What every later input about this socket names.
        id: SocketId,
        /// Where to.
        request: SocketRequest,
    },
    /// Write one text message.
    SendText {
        /// To which socket.
        id: SocketId,
        /// The message, a whole number of frames.
        text: ByteString,
    },
    /// Write a ping with this payload (8 bytes, big endian); the peer's pong comes back as
    /// [`Input::SocketPong`].
    SendPing {
        /// To which socket.
        id: SocketId,
        /// What the pong will carry.
        payload: u64,
    },
    /// Send a close frame after everything already ordered, go on reading, and report
    /// [`Input::SocketClosed`] once the peer is done.
    CloseSocket {
        /// Which socket.
        id: SocketId,
        /// The close code.
        code: u16,
    },
    /// Drop the socket (or the attempt to open it) at once. Nothing more is reported about it.
    AbortSocket {
        /// Which socket.
        id: SocketId,
    },
    /// Make an HTTP call; answer with [`Input::HttpAnswered`] or [`Input::HttpFailed`].
    SendHttp {
        /// What the answer names.
        id: HttpRequestId,
        /// The call.
        request: HttpRequest,
    },
    /// Give an HTTP call up. Nothing more is reported about it.
    CancelHttp {
        /// Which call.
        id: HttpRequestId,
    },
    /// Open an event stream: an HTTP call whose answer is read as it comes. Report
    /// [`Input::StreamOpened`] at a 200, then [`Input::StreamBytes`] for whatever arrives, and
    /// [`Input::StreamClosed`] when there will be no more, or instead of opening.
    OpenStream {
        /// What every later input about this stream names.
        id: StreamId,
        /// The call. Its `response_limit` does not apply.
        request: HttpRequest,
    },
    /// Drop the stream (or the attempt to open it) at once. Nothing more is reported about it.
    CloseStream {
        /// Which stream.
        id: StreamId,
    },
}

/// A fact from the driver. Report facts as they happen and judge none of them.
///
/// `Debug` shows no token and no frame content.
#[derive(Clone, PartialEq, Eq)]
pub enum Input {
    /// The token source gave a credential.
    TokenFetched {
        /// The question.
        id: TokenRequestId,
        /// The credential.
        token: Token,
    },
    /// The token source gave none.
    TokenRefused {
        /// The question.
        id: TokenRequestId,
        /// Why not.
        refusal: TokenRefusal,
    },
    /// The upgrade was answered with 101.
    SocketOpened {
        /// The attempt.
        id: SocketId,
    },
    /// The socket did not open.
    SocketRefused {
        /// The attempt.
        id: SocketId,
        /// Why not.
        refusal: Refusal,
    },
    /// Bytes arrived that do not yet make a message. Optional; any byte is a sign of life.
    SocketBytes {
        /// The socket.
        id: SocketId,
    },
    /// A whole text message.
    SocketText {
        /// The socket.
        id: SocketId,
        /// The message.
        text: ByteString,
    },
    /// A whole binary message.
    SocketBinary {
        /// The socket.
        id: SocketId,
        /// The message.
        bytes: Bytes,
    },
    /// A ping came (and was answered by the WebSocket library).
    SocketPing {
        /// The socket.
        id: SocketId,
    },
    /// A pong came.
    SocketPong {
        /// The socket.
        id: SocketId,
        /// Its payload if that is 8 bytes long, read big endian.
        payload: Option<u64>,
    },
    /// The socket is gone: nothing can be written to it and nothing more will come.
    SocketClosed {
        /// The socket.
        id: SocketId,
        /// How it went.
        ending: SocketEnding,
    },
    /// An HTTP answer came, with whatever status.
    HttpAnswered {
        /// The call.
        id: HttpRequestId,
        /// The answer.
        response: HttpResponse,
    },
    /// No HTTP answer came.
    HttpFailed {
        /// The call.
        id: HttpRequestId,
        /// Why not.
        failure: NetworkFailure,
    },
    /// The stream was answered with 200.
    StreamOpened {
        /// The attempt.
        id: StreamId,
    },
    /// Bytes of the stream's body, cut anywhere.
    StreamBytes {
        /// The stream.
        id: StreamId,
        /// What arrived.
        bytes: Bytes,
    },
    /// The stream did not open, or is over.
    StreamClosed {
        /// The stream.
        id: StreamId,
        /// How it went. [`NetworkFailure::Ended`] also stands for an orderly end.
        ending: Refusal,
    },
    /// The machine this runs on woke up, or its network changed: connections may be dead without a
    /// sign.
    Woke,
}

/// Why a token is asked for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum TokenReason {
    /// A connection is about to be attempted.
    Attempt,
    /// The last token was refused; only a different one helps.
    Rejected,
}

/// Why a token source gave no token.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// Not now: the source can't be reached or failed. It will be asked again.
    Unavailable,
    /// Not any more: the person signed out or the grant is gone. It will not be asked again.
    SignedOut,
}

/// Why a socket or a stream did not open, or how a stream ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server answered the upgrade with another status than 101.
    Http {
        /// The status code.
        status: u16,
        /// `Retry-After`, as a delay from now.
        retry_after: Option<Duration>,
    },
    /// The server was not reached, or did not speak WebSocket.
    Network(NetworkFailure),
}

/// How an open socket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEnding {
    /// The peer sent a close frame.
    CloseFrame {
        /// Its code; 1005 for a frame without one.
        code: u16,
        /// Its reason, empty if there was none.
        reason: ByteString,
    },
    /// There was no close frame.
    Lost(NetworkFailure),
}

/// What can go wrong underneath.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NetworkFailure {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The connection was reset.
    #[error("connection reset")]
    Reset,
    /// The stream ended without a word.
    #[error("connection ended unexpectedly")]
    Ended,
    /// The name could not be resolved.
    #[error("name not resolved")]
    Dns,
    /// The TLS handshake failed.
    #[error("TLS failed")]
    Tls,
    /// The driver's own time limit passed.
    #[error("timed out")]
    TimedOut,
    /// The peer broke HTTP or WebSocket.
    #[error("protocol broken by the peer")]
    Protocol,
    /// The peer sent more than the limit allows.
    #[error("larger than the limit")]
    TooLarge,
    /// Anything else.
    #[error("network failure")]
    Other,
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FetchToken { id, reason } => write!(f, "FetchToken({id:?}, {reason:?})"),
            Self::OpenSocket { id, request } => write!(f, "OpenSocket({id:?}, {request:?})"),
            Self::SendText { id, text } => write!(f, "SendText({id:?}, {} bytes)", text.len()),
            Self::SendPing { id, payload } => write!(f, "SendPing({id:?}, {payload})"),
            Self::CloseSocket { id, code } => write!(f, "CloseSocket({id:?}, {code})"),
            Self::AbortSocket { id } => write!(f, "AbortSocket({id:?})"),
            Self::SendHttp { id, request } => write!(f, "SendHttp({id:?}, {request:?})"),
            Self::CancelHttp { id } => write!(f, "CancelHttp({id:?})"),
            Self::OpenStream { id, request } => write!(f, "OpenStream({id:?}, {request:?})"),
            Self::CloseStream { id } => write!(f, "CloseStream({id:?})"),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenFetched { id, token } => write!(f, "TokenFetched({id:?}, {token:?})"),
            Self::TokenRefused { id, refusal } => write!(f, "TokenRefused({id:?}, {refusal:?})"),
            Self::SocketOpened { id } => write!(f, "SocketOpened({id:?})"),
            Self::SocketRefused { id, refusal } => write!(f, "SocketRefused({id:?}, {refusal:?})"),
            Self::SocketBytes { id } => write!(f, "SocketBytes({id:?})"),
            Self::SocketText { id, text } => write!(f, "SocketText({id:?}, {} bytes)", text.len()),
            Self::SocketBinary { id, bytes } => {
                write!(f, "SocketBinary({id:?}, {} bytes)", bytes.len())
            }
            Self::SocketPing { id } => write!(f, "SocketPing({id:?})"),
            Self::SocketPong { id, payload } => write!(f, "SocketPong({id:?}, {payload:?})"),
            Self::SocketClosed { id, ending } => write!(f, "SocketClosed({id:?}, {ending:?})"),
            Self::HttpAnswered { id, response } => write!(f, "HttpAnswered({id:?}, {response:?})"),
            Self::HttpFailed { id, failure } => write!(f, "HttpFailed({id:?}, {failure:?})"),
            Self::StreamOpened { id } => write!(f, "StreamOpened({id:?})"),
            Self::StreamBytes { id, bytes } => {
                write!(f, "StreamBytes({id:?}, {} bytes)", bytes.len())
            }
            Self::StreamClosed { id, ending } => write!(f, "StreamClosed({id:?}, {ending:?})"),
            Self::Woke => f.write_str("Woke"),
        }
    }
}
