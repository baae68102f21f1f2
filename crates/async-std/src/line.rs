//! One HTTP connection.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::{Instant, SystemTime},
};

use attache_driver::{
    Way, failure,
    servers::{self, IDLE_LIMIT},
};
use attache_protocol::{
    Bytes,
    io::{HttpResponse, NetworkFailure},
};
use bytes::{Buf as _, BytesMut};
use futures_io::AsyncRead as _;
use futures_util::{AsyncWriteExt as _, io::AsyncWrite as _};
use http::{HeaderValue, Method, Request, Response, header::CONTENT_LENGTH};
use ureq_proto::{
    BodyMode,
    client::{
        Call, RecvBodyResult, RecvResponseResult, SendRequestResult,
        state::{RecvBody, RecvResponse},
    },
};

use crate::dial::{self, Connection};

/// The most bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// The longest head of a message, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// One connection. It moves only while somebody polls it.
pub(crate) struct Line {
    stream: Connection,
    /// What was read and not used yet.
    read: BytesMut,
    stage: Stage,
    since: Instant,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Stage {
    /// Another call may be made.
    Idle,
    /// A call is under way, or the last one has left the connection unusable.
    Taken,
}

/// Why a call has no answer.
pub(crate) enum Unanswered {
    /// Nothing of it was sent.
    Unsent(NetworkFailure),
    /// The server may have carried it out.
    Failed(NetworkFailure),
}

/// The rest of an answer.
pub(crate) enum Incoming {
    Body(Box<Call<RecvBody>>),
    /// There is nothing more.
    Over,
}

impl Line {
    pub(crate) async fn open(way: &Way) -> Result<Self, NetworkFailure> {
        Ok(Self {
            stream: dial::open(way).await?,
            read: BytesMut::new(),
            stage: Stage::Idle,
            since: Instant::now(),
        })
    }

    /// Sends `request` and reads the whole answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Bytes>,
        limit: usize,
    ) -> Result<HttpResponse, Unanswered> {
        let (response, mut incoming) = self.ask(request).await?;
        let body = self.collect(&mut incoming, limit).await;
        self.since = Instant::now();
        Ok(HttpResponse {
            status: response.status().as_u16(),
            retry_after: failure::announced_delay(response.headers(), SystemTime::now()),
            body: body.map_err(Unanswered::Failed)?,
        })
    }

    /// Sends `request` and reads the head of the answer. The body is read with
    /// [`poll_body`](Self::poll_body).
    pub(crate) async fn ask(
        &mut self,
        request: Request<Bytes>,
    ) -> Result<(Response<()>, Incoming), Unanswered> {
        self.stage = Stage::Taken;
        let (head, body, call) = prepare(request).map_err(Unanswered::Unsent)?;
        self.send(&head, &body).await?;
        self.receive(call).await.map_err(Unanswered::Failed)
    }

    /// Writes a call. A server that takes no more of it may have answered already, so only a call of
    /// which nothing was sent has failed here.
    async fn send(&mut self, head: &[u8], body: &[u8]) -> Result<(), Unanswered> {
        let stream = &mut self.stream;
        let first = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, head)).await;
        let sent = first.map_err(|error| Unanswered::Unsent(failure::io(&error)))?;
        let rest = head.get(sent..).unwrap_or_default();
        let written = async {
            stream.write_all(rest).await?;
            stream.write_all(body).await?;
            stream.flush().await
        };
        if let Err(error) = written.await {
            tracing::debug!(%error, "the server does not take all of the call");
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        mut call: Call<RecvResponse>,
    ) -> Result<(Response<()>, Incoming), NetworkFailure> {
        let response = loop {
            let (used, response) = call.try_response(&self.read, false).map_err(broken)?;
            self.read.advance(used);
            if let Some(response) = response {
                break response;
            }
            if used == 0 {
                if self.read.len() >= HEAD_LIMIT {
                    return Err(NetworkFailure::Protocol);
                }
                poll_fn(|cx| self.poll_fill(cx)).await?;
            }
        };
        let incoming = match call.proceed() {
            Some(RecvResponseResult::RecvBody(body)) => Incoming::Body(Box::new(body)),
            Some(RecvResponseResult::Cleanup(done)) => self.finish(done.must_close_connection()),
            Some(RecvResponseResult::Redirect(done)) => self.finish(done.must_close_connection()),
            None => return Err(NetworkFailure::Protocol),
        };
        Ok((response, incoming))
    }

    async fn collect(
        &mut self,
        incoming: &mut Incoming,
        limit: usize,
    ) -> Result<Bytes, NetworkFailure> {
        let mut whole = BytesMut::new();
        while let Some(piece) = poll_fn(|cx| self.poll_body(incoming, cx)).await? {
            if whole.len().saturating_add(piece.len()) > limit {
                return Err(NetworkFailure::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The next bytes of a body, at most 64 KiB; `None` at its end.
    pub(crate) fn poll_body(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, NetworkFailure>> {
        loop {
            let Incoming::Body(call) = incoming else {
                return Poll::Ready(Ok(None));
            };
            let until_the_end = call.body_mode() == BodyMode::CloseDelimited;
            if call.can_proceed() && !until_the_end {
                self.end(incoming);
                continue;
            }
            let mut piece = BytesMut::zeroed(self.read.len().min(PIECE));
            let (used, made) = call.read(&self.read, &mut piece).map_err(broken)?;
            self.read.advance(used);
            piece.truncate(made);
            if made > 0 {
                return Poll::Ready(Ok(Some(piece.freeze())));
            }
            if used > 0 {
                continue;
            }
            if self.read.len() >= HEAD_LIMIT {
                // A line between two chunks that has no end.
                return Poll::Ready(Err(NetworkFailure::Protocol));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(()) => {}
                Err(NetworkFailure::Ended) if until_the_end => self.end(incoming),
                Err(failure) => return Poll::Ready(Err(failure)),
            }
        }
    }

    fn end(&mut self, incoming: &mut Incoming) {
        let Incoming::Body(call) = std::mem::replace(incoming, Incoming::Over) else {
            return;
        };
        *incoming = match call.proceed() {
            Some(RecvBodyResult::Cleanup(done)) => self.finish(done.must_close_connection()),
            Some(RecvBodyResult::Redirect(done)) => self.finish(done.must_close_connection()),
            None => Incoming::Over,
        };
    }

    fn finish(&mut self, must_close: bool) -> Incoming {
        if !must_close {
            self.stage = Stage::Idle;
        }
        Incoming::Over
    }

    /// Reads more. [`NetworkFailure::Ended`] when there is no more.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetworkFailure>> {
        let before = self.read.len();
        self.read.resize(before.saturating_add(PIECE), 0);
        let (_, free) = self.read.split_at_mut(before);
        let read = Pin::new(&mut self.stream).poll_read(cx, free);
        let count = match &read {
            Poll::Ready(Ok(count)) => *count,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        self.read.truncate(before.saturating_add(count));
        Poll::Ready(match ready!(read) {
            Ok(0) => Err(NetworkFailure::Ended),
            Ok(_) => Ok(()),
            Err(error) => Err(failure::io(&error)),
        })
    }
}

impl servers::Line for Line {
    fn is_fit(&mut self) -> bool {
        self.stage == Stage::Idle
            && self.since.elapsed() < IDLE_LIMIT
            && self.read.is_empty()
            // Whatever an idle connection brings is its end.
            && self.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending()
    }
}

/// The head of a call as it goes over the line, its body, and what reads the answer.
fn prepare(
    request: Request<Bytes>,
) -> Result<(Vec<u8>, Bytes, Call<RecvResponse>), NetworkFailure> {
    let (mut parts, body) = request.into_parts();
    let announces_body = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
    if announces_body || !body.is_empty() {
        let length = HeaderValue::from(body.len());
        parts.headers.insert(CONTENT_LENGTH, length);
    }
    let room = parts
        .headers
        .iter()
        .fold(parts.uri.path().len(), |sum, (name, value)| {
            sum + name.as_str().len() + value.len()
        });
    let mut call = Call::new(Request::from_parts(parts, ())).map_err(broken)?;
    if !announces_body && !body.is_empty() {
        call.force_send_body();
    }
    let mut call = call.proceed();
    let mut head = Vec::new();
    let mut piece = vec![0; room + 1024];
    loop {
        let length = call.write(&mut piece).map_err(broken)?;
        head.extend(piece.iter().take(length));
        if call.can_proceed() {
            break;
        }
    }
    match call.proceed().map_err(broken)? {
        Some(SendRequestResult::SendBody(mut call)) => {
            // The bytes go from their own memory; the call only counts them.
            call.consume_direct_write(body.len()).map_err(broken)?;
            let call = call.proceed().ok_or(NetworkFailure::Other)?;
            Ok((head, body, call))
        }
        Some(SendRequestResult::RecvResponse(call)) => Ok((head, body, call)),
        Some(SendRequestResult::Await100(_)) | None => Err(NetworkFailure::Other),
    }
}

/// An error of the HTTP library in the machine's words. Its messages may quote headers, so they are not
/// logged.
fn broken(_error: ureq_proto::Error) -> NetworkFailure {
    NetworkFailure::Protocol
}

#[cfg(test)]
mod tests;
