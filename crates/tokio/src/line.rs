//! One HTTP connection.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use attache_driver::failure;
use attache_protocol::{
    Bytes,
    io::{HttpResponse, NetworkFailure},
};
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

use crate::dial::{self, Connector};

/// An idle connection is used again within this time; servers close theirs after a little more.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

pub(crate) type Call = Request<Full<Bytes>>;
pub(crate) type Answer = Result<HttpResponse, NetworkFailure>;

/// One connection. It moves only while somebody polls it.
pub(crate) struct Line {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection,
    since: Instant,
}

/// `None` once it has ended.
type Connection = Option<http1::Connection<TokioIo<dial::Connection>, Full<Bytes>>>;

impl Line {
    pub(crate) async fn open(
        connector: &Connector,
        settings: &http1::Builder,
    ) -> Result<Self, NetworkFailure> {
        let stream = TokioIo::new(connector.open().await?);
        let (sender, connection) = settings
            .handshake(stream)
            .await
            .map_err(|error| broken(&error))?;
        Ok(Self {
            sender,
            connection: Some(connection),
            since: Instant::now(),
        })
    }

    /// Sends `call` and reads the whole answer. A call of which nothing was sent comes back.
    pub(crate) async fn exchange(&mut self, call: Call, limit: usize) -> Result<Answer, Box<Call>> {
        let sender = &mut self.sender;
        let exchange = async {
            match sender.try_send_request(call).await {
                Ok(response) => Ok(read(response, limit).await),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => Err(Box::new(unsent)),
                    None => Ok(Err(broken(failed.error()))),
                },
            }
        };
        let done = beside(&mut self.connection, exchange).await;
        self.since = Instant::now();
        done
    }

    /// Sends `call` and reads the head of the answer. The body is read with
    /// [`poll_beside`](Self::poll_beside).
    pub(crate) async fn ask(&mut self, call: Call) -> Result<Response<Incoming>, NetworkFailure> {
        let asked = self.sender.send_request(call);
        let response = beside(&mut self.connection, asked).await;
        response.map_err(|error| broken(&error))
    }

    /// Polls something that needs the connection to move.
    pub(crate) fn poll_beside<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if let Poll::Ready(ready) = poll(cx) {
            return Poll::Ready(ready);
        }
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
        poll(cx)
    }

    /// Whether another call may be made: the connection goes on, and is done with the last one, which was
    /// not too long ago.
    pub(crate) fn is_fit(&mut self) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        self.since.elapsed() < IDLE_LIMIT
            && connection.now_or_never().is_none()
            && self.sender.is_ready()
    }
}

/// Polls the connection beside `work`, which needs it to move.
async fn beside<T>(connection: &mut Connection, work: impl Future<Output = T>) -> T {
    let work = pin!(work);
    let Some(open) = connection else {
        return work.await;
    };
    match select(work, open).await {
        Either::Left((done, _)) => done,
        Either::Right((_, work)) => {
            *connection = None;
            work.await
        }
    }
}

async fn read(response: Response<Incoming>, limit: usize) -> Answer {
    let status = response.status().as_u16();
    let retry_after = failure::announced_delay(response.headers(), SystemTime::now());
    let body = Limited::new(response.into_body(), limit)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                NetworkFailure::TooLarge
            } else {
                error
                    .downcast_ref::<hyper::Error>()
                    .map_or(NetworkFailure::Other, broken)
            }
        })?;
    Ok(HttpResponse {
        status,
        retry_after,
        body: body.to_bytes(),
    })
}

/// An error of the HTTP library in the machine's words.
pub(crate) fn broken(error: &hyper::Error) -> NetworkFailure {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            // This is what the library calls a chunk that makes no sense.
            if error.kind() == io::ErrorKind::InvalidInput {
                return NetworkFailure::Protocol;
            }
            return failure::io(error);
        }
        source = inner.source();
    }
    if error.is_parse() {
        NetworkFailure::Protocol
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        NetworkFailure::Ended
    } else if error.is_timeout() {
        NetworkFailure::TimedOut
    } else {
        NetworkFailure::Other
    }
}
