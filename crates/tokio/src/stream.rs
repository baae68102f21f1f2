//! One event stream, from the attempt to open it to its end.

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
    io::{HttpRequest, Input, NetworkFailure, Refusal, StreamId},
};
use futures_util::future::BoxFuture;
use hyper::{
    StatusCode,
    body::{Body as _, Incoming},
    client::conn::http1,
};
use tracing::Instrument as _;

use crate::{
    http::Http,
    line::{self, Line},
};

/// The most bytes that are reported at once. What is read ahead is no more than that either.
const CHUNK: usize = 64 * 1024;

/// An attempt to open a stream, or the stream that came of it.
pub(crate) enum EventStream {
    Opening(BoxFuture<'static, Result<Body, Refusal>>),
    Open(Box<Body>),
}

/// What comes over an open stream. The connection is its own and moves only while it is read from.
pub(crate) struct Body {
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

impl EventStream {
    /// Starts to open a stream.
    pub(crate) fn open(http: Http, request: HttpRequest) -> Self {
        let open = async move { Body::open(&http, request).await };
        Self::Opening(Box::pin(open.in_current_span()))
    }

    /// Goes on opening. Ready once, when it is decided.
    pub(crate) fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        match self {
            Self::Opening(opening) => {
                let opened = ready!(opening.as_mut().poll(cx));
                Poll::Ready(opened.map(|body| *self = Self::Open(Box::new(body))))
            }
            Self::Open(_) => Poll::Pending,
        }
    }

    /// The next thing that comes over an open stream. After [`Input::StreamClosed`] the stream is to be
    /// dropped.
    pub(crate) fn poll_read(&mut self, id: StreamId, cx: &mut Context<'_>) -> Poll<Input> {
        match self {
            Self::Opening(_) => Poll::Pending,
            Self::Open(body) => body.poll_chunk(cx).map(|chunk| match chunk {
                Ok(bytes) => Input::StreamBytes { id, bytes },
                Err(failure) => Input::StreamClosed {
                    id,
                    ending: Refusal::Network(failure),
                },
            }),
        }
    }
}

impl Body {
    async fn open(http: &Http, request: HttpRequest) -> Result<Self, Refusal> {
        let (host, call) = http.prepare(request).map_err(Refusal::Network)?;
        let mut settings = http1::Builder::new();
        settings.max_buf_size(CHUNK);
        let mut line = Line::open(host.connector(), &settings)
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
