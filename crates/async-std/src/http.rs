//! HTTP calls.

use std::{fmt, sync::Arc};

use attache_driver::{
    Options, OptionsError, WebSocketOptions, request,
    servers::{Host, Servers},
};
use attache_protocol::{
    Bytes,
    io::{HttpRequest, HttpResponse, NetworkFailure},
};
use http::Request;

use crate::line::{Line, Unanswered};

/// Makes HTTP calls to one server, and to another that this one names, over the same TLS and proxy
/// set-up as a session. Cheap to clone.
///
/// A few idle connections are kept for the next calls. Nothing runs in the background: a call drives its
/// connection itself. Redirects are not followed.
#[derive(Clone)]
pub struct Http {
    servers: Arc<Servers<Line>>,
    websocket: WebSocketOptions,
}

impl Http {
    /// A client for the server of `options`.
    ///
    /// # Errors
    /// [`OptionsError`] when the TLS files or the proxy can't be used.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self {
            servers: Arc::new(Servers::new(options)?),
            websocket: options.websocket.clone(),
        })
    }

    /// Makes one call and reads the whole answer, whatever its status. There is no time limit: race it
    /// against a timer.
    ///
    /// Cancel safety: dropping the future closes the connection at once; the server may have carried
    /// the request out.
    ///
    /// # Errors
    /// [`NetworkFailure`] when no complete answer came. A request that can't be made at all (the token
    /// does not go into a header, or the server it names may not be spoken to unencrypted, say) counts as
    /// [`NetworkFailure::Other`] and is logged.
    pub async fn call(&self, request: HttpRequest) -> Result<HttpResponse, NetworkFailure> {
        let limit = request.response_limit;
        let (host, call) = self.prepare(request)?;
        if let Some(line) = host.take_idle() {
            match exchange(&host, line, call.clone(), limit).await {
                Ok(response) => return Ok(response),
                Err(Unanswered::Failed(failure)) => return Err(failure),
                // The server closed it in this very moment.
                Err(Unanswered::Unsent(_)) => {}
            }
        }
        let line = Line::open(host.way()).await?;
        let answer = exchange(&host, line, call, limit).await;
        answer.map_err(|(Unanswered::Unsent(failure) | Unanswered::Failed(failure))| failure)
    }

    /// The server that `request` names, and what to send there.
    pub(crate) fn prepare(
        &self,
        request: HttpRequest,
    ) -> Result<(Arc<Host<Line>>, Request<Bytes>), NetworkFailure> {
        let host = self.servers.find(&request.server)?;
        let call = request::http(&host.way().base, request).map_err(|error| {
            tracing::warn!(%error, "request not possible");
            NetworkFailure::Other
        })?;
        Ok((host, call))
    }

    /// The server of the options.
    pub(crate) fn configured(&self) -> &Host<Line> {
        self.servers.configured()
    }

    pub(crate) fn websocket(&self) -> &WebSocketOptions {
        &self.websocket
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("base_url", &self.configured().way().base)
            .finish_non_exhaustive()
    }
}

async fn exchange(
    host: &Host<Line>,
    mut line: Line,
    call: Request<Bytes>,
    limit: usize,
) -> Result<HttpResponse, Unanswered> {
    let response = line.exchange(call, limit).await?;
    host.keep_idle(line);
    Ok(response)
}
