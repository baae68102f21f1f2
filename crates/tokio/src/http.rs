//! HTTP calls.

use std::{fmt, sync::Arc, time::SystemTime};

use attache_driver::{Options, OptionsError, WebSocketOptions, failure, request};
use attache_protocol::{
    Bytes,
    io::{HttpRequest, HttpResponse, NetworkFailure},
};
use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::dial::Connector;

/// Makes HTTP calls to one server, over the same TLS and proxy set-up as a session. Cheap to clone.
///
/// Each call has a connection of its own, which is gone when the call is: nothing runs in the
/// background. Redirects are not followed.
#[derive(Clone)]
pub struct Http {
    connector: Arc<Connector>,
    websocket: WebSocketOptions,
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
        let stream = self.connector.open().await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let exchange = Box::pin(exchange(sender, call.map(Full::new), limit));
        match select(exchange, connection).await {
            Either::Left((answer, _connection)) => answer,
            Either::Right((_ended, exchange)) => exchange.await,
        }
    }

    pub(crate) fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    pub(crate) fn websocket(&self) -> &WebSocketOptions {
        &self.websocket
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("base_url", self.connector.base())
            .finish_non_exhaustive()
    }
}

async fn exchange(
    mut sender: SendRequest<Full<Bytes>>,
    call: hyper::Request<Full<Bytes>>,
    limit: usize,
) -> Result<HttpResponse, NetworkFailure> {
    let answer = sender
        .send_request(call)
        .await
        .map_err(|error| broken(&error))?;
    let status = answer.status().as_u16();
    let retry_after = failure::announced_delay(answer.headers(), SystemTime::now());
    let body = Limited::new(answer.into_body(), limit)
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
