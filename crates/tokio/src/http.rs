//! HTTP calls.

use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use attache_driver::{Options, OptionsError, WebSocketOptions, failure, request};
use attache_protocol::{
    Bytes,
    io::{HttpRequest, HttpResponse, NetworkFailure},
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

/// Makes HTTP calls to one server, over the same TLS and proxy set-up as a session. Cheap to clone.
///
/// One idle connection is kept for the next call. Nothing runs in the background: a call drives its
/// connection itself. Redirects are not followed.
#[derive(Clone)]
pub struct Http {
    connector: Arc<Connector>,
    websocket: WebSocketOptions,
    idle: Arc<Mutex<Option<Line>>>,
}

impl Http {
    /// A client for the server of `options`.
    ///
    /// # Errors
    /// [`OptionsError`] when the TLS files or the proxy can't be used.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self {
            connector: Arc::new(Connector::new(options)?),
            websocket: options.websocket.clone(),
            idle: Arc::default(),
        })
    }

    /// Makes one call and reads the whole answer, whatever its status. There is no time limit: wrap it
    /// in [`tokio::time::timeout`].
    ///
    /// Cancel safety: dropping the future closes the connection at once; the server may have carried
    /// the request out.
    ///
    /// # Errors
    /// [`NetworkFailure`] when no complete answer came. A request that can't be made at all (the token
    /// does not go into a header, say) counts as [`NetworkFailure::Other`] and is logged.
    pub async fn call(&self, request: HttpRequest) -> Result<HttpResponse, NetworkFailure> {
        let limit = request.response_limit;
        let call = request::http(self.connector.base(), request).map_err(|error| {
            tracing::warn!(%error, "request not possible");
            NetworkFailure::Other
        })?;
        let mut call = call.map(Full::new);
        if let Some(mut line) = self.take_idle() {
            match line.exchange(call, limit).await {
                Ok(answer) => return self.hang_up(line, answer),
                // The server closed it in this very moment; nothing was sent.
                Err(unsent) => call = *unsent,
            }
        }
        let mut line = Line::open(&self.connector).await?;
        match line.exchange(call, limit).await {
            Ok(answer) => self.hang_up(line, answer),
            Err(_unsent) => Err(NetworkFailure::Ended),
        }
    }

    pub(crate) fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    pub(crate) fn websocket(&self) -> &WebSocketOptions {
        &self.websocket
    }

    fn take_idle(&self) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = idle.take()?;
        (line.since.elapsed() < IDLE_LIMIT && line.is_fit()).then_some(line)
    }

    /// Keeps the connection for the next call, if the answer leaves it fit for one.
    fn hang_up(&self, mut line: Line, answer: Answer) -> Answer {
        if answer.is_ok() && line.is_fit() {
            line.since = Instant::now();
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        }
        answer
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("base_url", self.connector.base())
            .finish_non_exhaustive()
    }
}

type Call = Request<Full<Bytes>>;
type Answer = Result<HttpResponse, NetworkFailure>;

/// One connection. It moves only while somebody polls it.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// Gone once it has ended.
    connection: Option<http1::Connection<TokioIo<dial::Connection>, Full<Bytes>>>,
    since: Instant,
}

impl Line {
    async fn open(connector: &Connector) -> Result<Self, NetworkFailure> {
        let stream = TokioIo::new(connector.open().await?);
        let (sender, connection) = http1::handshake(stream)
            .await
            .map_err(|error| broken(&error))?;
        Ok(Self {
            sender,
            connection: Some(connection),
            since: Instant::now(),
        })
    }

    /// Sends `call` and reads the answer. A call of which nothing was sent comes back.
    async fn exchange(&mut self, call: Call, limit: usize) -> Result<Answer, Box<Call>> {
        let sender = &mut self.sender;
        let exchange = pin!(async {
            match sender.try_send_request(call).await {
                Ok(response) => Ok(read(response, limit).await),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => Err(Box::new(unsent)),
                    None => Ok(Err(broken(failed.error()))),
                },
            }
        });
        let Some(connection) = &mut self.connection else {
            return exchange.await;
        };
        match select(exchange, connection).await {
            Either::Left((answer, _)) => answer,
            Either::Right((_, exchange)) => {
                self.connection = None;
                exchange.await
            }
        }
    }

    /// Whether another call may be made: the connection goes on, and is done with the last one.
    fn is_fit(&mut self) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        connection.now_or_never().is_none() && self.sender.is_ready()
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

fn broken(error: &hyper::Error) -> NetworkFailure {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref() {
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
