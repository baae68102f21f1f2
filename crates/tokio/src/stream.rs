//! An answer that is read as it comes.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use attache_driver::failure;
use attache_protocol::{
    Bytes,
    io::{HttpRequest, NetworkFailure, Refusal},
};
use hyper::{
    StatusCode,
    body::{Body as _, Incoming},
    client::conn::http1,
};

use crate::{
    http::Http,
    line::{self, Line},
};

/// The most bytes that are reported at once. What is read ahead is no more than that either.
const CHUNK: usize = 64 * 1024;

/// What comes over an open stream. The connection is its own and moves only while it is read from.
struct Body {
    line: Line,
    incoming: Incoming,
    /// What was read and not reported yet.
    rest: Bytes,
}

/// The body of an answer that is read as it comes, made by [`Http::open`]. Dropping it closes the
/// connection.
pub struct OpenStream(Box<Body>);

impl OpenStream {
    /// The next bytes, at least one and at most 64 KiB. Waits for as long as it takes.
    ///
    /// Cancel safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// [`NetworkFailure::Ended`] at the end of the body, another [`NetworkFailure`] when the connection
    /// broke. Nothing comes after that.
    pub async fn next(&mut self) -> Result<Bytes, NetworkFailure> {
        poll_fn(|cx| self.0.poll_chunk(cx)).await
    }
}

impl fmt::Debug for OpenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStream").finish_non_exhaustive()
    }
}

impl Http {
    /// Makes one call whose answer is read as it comes, on a connection of its own. There is no time
    /// limit: wrap it in [`tokio::time::timeout`].
    ///
    /// Cancel safety: as with [`call`](Self::call).
    ///
    /// # Errors
    /// [`Refusal`] when there was no answer, or one other than 200.
    pub async fn open(&self, request: HttpRequest) -> Result<OpenStream, Refusal> {
        let body = Body::open(self, request).await?;
        Ok(OpenStream(Box::new(body)))
    }
}

impl attache_driver::asynchronous::Body for OpenStream {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, NetworkFailure>> {
        self.0.poll_chunk(cx)
    }
}

impl Body {
    async fn open(http: &Http, request: HttpRequest) -> Result<Self, Refusal> {
        let (host, call) = http.prepare(request).map_err(Refusal::Network)?;
        let mut settings = http1::Builder::new();
        settings.max_buf_size(CHUNK);
        let mut line = Line::open(host.way(), &settings)
            .await
            .map_err(Refusal::Network)?;
        let response = line.ask(call).await.map_err(Refusal::Network)?;
        if response.status() != StatusCode::OK {
            return Err(Refusal::Http {
                status: response.status().as_u16(),
                retry_after: failure::announced_delay(response.headers(), SystemTime::now()),
            });
        }
        Ok(Self {
            line,
            incoming: response.into_body(),
            rest: Bytes::new(),
        })
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, NetworkFailure>> {
        while self.rest.is_empty() {
            let incoming = &mut self.incoming;
            let read = self
                .line
                .poll_beside(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx));
            match ready!(read) {
                // Trailers are no part of the body.
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Err(line::broken(&error))),
                None => return Poll::Ready(Err(NetworkFailure::Ended)),
            }
        }
        let length = self.rest.len().min(CHUNK);
        Poll::Ready(Ok(self.rest.split_to(length)))
    }
}
