//! One event stream, from the attempt to open it to its end.

use std::task::{Context, Poll, ready};

use attache_protocol::io::{HttpRequest, Input, Refusal, StreamId};
use futures_util::future::BoxFuture;
use tracing::Instrument as _;

use super::network::{Body, Network};

/// An attempt to open a stream, or the stream that came of it.
pub(crate) enum EventStream<B> {
    Opening(BoxFuture<'static, Result<B, Refusal>>),
    Open(Box<B>),
}

impl<B: Body> EventStream<B> {
    /// Starts to open a stream.
    pub(crate) fn open(network: impl Network<Body = B>, request: HttpRequest) -> Self {
        let open = async move { network.open_stream(request).await };
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
