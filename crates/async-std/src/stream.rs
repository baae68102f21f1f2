//! An answer that is read as it comes.

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll},
    time::SystemTime,
};

use attache_driver::{asynchronous::Body, failure};
use attache_protocol::{
    Bytes,
    io::{HttpRequest, NetworkFailure, Refusal},
};
use http::StatusCode;

use crate::{
    http::Http,
    line::{Incoming, Line, Unanswered},
};

/// The body of an answer that is read as it comes, made by [`Http::open`]. Dropping it closes the
/// connection.
pub struct OpenStream {
    /// The connection is its own and moves only while it is read from.
    line: Box<Line>,
    incoming: Incoming,
}

impl OpenStream {
    /// The next bytes, at least one and at most 64 KiB. Waits for as long as it takes.
    ///
    /// Cancel safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// [`NetworkFailure::Ended`] at the end of the body, another [`NetworkFailure`] when the connection
    /// broke. Nothing comes after that.
    pub async fn next(&mut self) -> Result<Bytes, NetworkFailure> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }
}

impl Body for OpenStream {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, NetworkFailure>> {
        let piece = self.line.poll_body(&mut self.incoming, cx);
        piece.map(|piece| piece?.ok_or(NetworkFailure::Ended))
    }
}

impl fmt::Debug for OpenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStream").finish_non_exhaustive()
    }
}

impl Http {
    /// Makes one call whose answer is read as it comes, on a connection of its own. There is no time
    /// limit: race it against a timer.
    ///
    /// Cancel safety: as with [`call`](Self::call).
    ///
    /// # Errors
    /// [`Refusal`] when there was no answer, or one other than 200.
    pub async fn open(&self, request: HttpRequest) -> Result<OpenStream, Refusal> {
        let (host, call) = self.prepare(request).map_err(Refusal::Network)?;
        let mut line = Line::open(host.way()).await.map_err(Refusal::Network)?;
        let (response, incoming) = line.ask(call).await.map_err(|unanswered| {
            let (Unanswered::Unsent(failure) | Unanswered::Failed(failure)) = unanswered;
            Refusal::Network(failure)
        })?;
        if response.status() != StatusCode::OK {
            return Err(Refusal::Http {
                status: response.status().as_u16(),
                retry_after: failure::announced_delay(response.headers(), SystemTime::now()),
            });
        }
        Ok(OpenStream {
            line: Box::new(line),
            incoming,
        })
    }
}
