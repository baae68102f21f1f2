//! What is asked of a server: sockets to open, calls to make, and their answers.

use alloc::{string::String, vec::Vec};
use core::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use super::Token;

/// A WebSocket to open: the driver adds scheme and authority of its base URL.
///
/// `Debug` shows no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketRequest {
    /// Path and query, percent-encoded, starting with `/`.
    pub path: String,
    /// Goes into `Authorization: Bearer …` unless `None`.
    pub bearer: Option<Token>,
    /// Further request headers.
    pub headers: Vec<Header>,
}

/// One HTTP header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name, lower case.
    pub name: &'static str,
    /// The value, visible ASCII.
    pub value: String,
}

/// An HTTP call to make: the driver adds scheme and authority of its base URL.
///
/// `Debug` shows no token and no body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Which server.
    pub server: Server,
    /// Path and query, percent-encoded, starting with `/`.
    pub path: String,
    /// Goes into `Authorization: Bearer …`.
    pub bearer: Token,
    /// Further request headers.
    pub headers: Vec<Header>,
    /// A JSON body, sent as `content-type: application/json`.
    pub body: Option<Bytes>,
    /// A longer answer body, in bytes, is reported as [`NetworkFailure::TooLarge`](super::NetworkFailure::TooLarge).
    pub response_limit: usize,
}

/// Which server a call goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// The one the driver was set up with.
    Configured,
    /// The one at this base URL, which the configured server named. The driver applies the same rules
    /// to it as to its own.
    At(ByteString),
}

/// The HTTP methods in use.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

/// An HTTP answer. `Debug` shows no body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// `Retry-After`, as a delay from now.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("body_bytes", &self.body.as_ref().map_or(0, Bytes::len))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
