//! HTTP calls.

use std::{
    fmt,
    io::{Read as _, Write as _},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use attache_driver::{
    Options, OptionsError, Way, WebSocketOptions, failure, request, servers::Servers,
};
use attache_protocol::io::{HttpRequest, HttpResponse, Method, NetworkFailure};
use http::Response;
use ureq::{
    Agent, Body,
    config::{AutoHeaderValue, Config},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{
            Buffers, ConnectionDetails, Connector as UreqConnector, LazyBuffers, NextTimeout,
            Transport,
        },
    },
};

use crate::{abort::Abort, dial, line::Line};

/// What is read or written at once, in bytes.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Makes HTTP calls to one server, and to another that this one names, over the same TLS and proxy
/// set-up as a session. Cheap to clone.
///
/// Every call has a connection of its own, so that it can be broken off without hurting another one.
/// Redirects are not followed.
#[derive(Clone)]
pub struct Http {
    servers: Arc<Servers>,
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

    /// Makes one call and reads the whole answer, whatever its status. There is no time limit.
    ///
    /// # Errors
    /// [`NetworkFailure`] when no complete answer came. A request that can't be made at all (the token
    /// does not go into a header, or the server it names may not be spoken to unencrypted, say) counts as
    /// [`NetworkFailure::Other`] and is logged.
    pub fn call(&self, request: HttpRequest) -> Result<HttpResponse, NetworkFailure> {
        self.exchange(request, &Abort::default())
    }

    /// [`call`](Self::call), until `abort` breaks it off.
    pub(crate) fn exchange(
        &self,
        request: HttpRequest,
        abort: &Abort,
    ) -> Result<HttpResponse, NetworkFailure> {
        let limit = request.response_limit;
        let (response, fate) = self.ask(request, abort)?;
        let status = response.status().as_u16();
        let retry_after = failure::announced_delay(response.headers(), SystemTime::now());
        let mut body = Vec::new();
        response
            .into_body()
            .into_reader()
            .take((limit as u64).saturating_add(1))
            .read_to_end(&mut body)
            .map_err(|error| fate.of(&error.into()))?;
        if body.len() > limit {
            return Err(NetworkFailure::TooLarge);
        }
        Ok(HttpResponse {
            status,
            retry_after,
            body: body.into(),
        })
    }

    /// Sends a request and reads the head of the answer, whatever its status.
    pub(crate) fn ask(
        &self,
        request: HttpRequest,
        abort: &Abort,
    ) -> Result<(Response<Body>, Fate), NetworkFailure> {
        let host = self.servers.find(&request.server)?;
        let way = host.way();
        let url = way.base.http_url(&request.path);
        let has_body = match request.method {
            Method::Get | Method::Delete => request.body.is_some(),
            Method::Post | Method::Put | Method::Patch => true,
        };
        let mut call = request::http(&way.base, request).map_err(|error| {
            tracing::warn!(%error, "request not possible");
            NetworkFailure::Other
        })?;
        *call.uri_mut() = url.parse().map_err(|_| NetworkFailure::Other)?;

        let line = dial::open(way, abort)?;
        let fate = Fate::default();
        let pipe = Pipe {
            line,
            fate: fate.clone(),
            buffers: LazyBuffers::new(CHUNK, CHUNK),
        };
        let agent = Agent::with_parts(config(), Hand(Mutex::new(Some(pipe))), Nowhere);
        let answer = if has_body {
            let (head, body) = call.into_parts();
            agent.run(http::Request::from_parts(head, &*body))
        } else {
            agent.run(call.map(|_| ()))
        };
        match answer {
            Ok(response) => Ok((response, fate)),
            Err(error) => Err(fate.of(&error)),
        }
    }

    /// The server of the options.
    pub(crate) fn configured(&self) -> &Way {
        self.servers.configured().way()
    }

    pub(crate) fn websocket(&self) -> &WebSocketOptions {
        &self.websocket
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("base_url", &self.configured().base)
            .finish_non_exhaustive()
    }
}

/// The library carries HTTP only: no redirects, no proxy, no time limits, no status that is an error, no
/// header of its own.
fn config() -> Config {
    Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .accept_encoding(AutoHeaderValue::None)
        .max_idle_connections(0)
        .build()
}

/// Hands the library the pipe that was opened for its only call.
#[derive(Debug)]
struct Hand(Mutex<Option<Pipe>>);

impl UreqConnector for Hand {
    type Out = Pipe;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Pipe>, ureq::Error> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

/// A line as the library wants it.
#[derive(Debug)]
struct Pipe {
    line: Line,
    fate: Fate,
    buffers: LazyBuffers,
}

/// What became of a line. The library does not tell a line that ended from one that was reset, nor from
/// a peer that breaks the rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate(Arc<OnceLock<NetworkFailure>>);

impl Fate {
    /// What went wrong when the library reports this: what became of the line, if anything did.
    pub(crate) fn of(&self, error: &ureq::Error) -> NetworkFailure {
        self.0.get().copied().unwrap_or_else(|| broken(error))
    }

    /// Only the first thing counts.
    fn is(&self, failure: NetworkFailure) {
        let _ = self.0.set(failure);
    }
}

impl Transport for Pipe {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let written = self.line.write_all(output).and_then(|()| self.line.flush());
        written.inspect_err(|error| self.fate.is(failure::io(error)))?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let count = self
            .line
            .read(self.buffers.input_append_buf())
            .inspect_err(|error| self.fate.is(failure::io(error)))?;
        if count == 0 {
            self.fate.is(NetworkFailure::Ended);
        }
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Whether it may be used again.
    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        self.line.is_encrypted()
    }
}

/// Names are resolved where lines are opened.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(
        &self,
        _: &http::Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// An error of the HTTP library in the machine's words.
fn broken(error: &ureq::Error) -> NetworkFailure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's errors are an open set"
    )]
    match error {
        ureq::Error::Io(error) => failure::io(error),
        ureq::Error::Protocol(_)
        | ureq::Error::Http(_)
        | ureq::Error::LargeResponseHeader(..)
        | ureq::Error::BodyStalled => NetworkFailure::Protocol,
        ureq::Error::Timeout(_) => NetworkFailure::TimedOut,
        ureq::Error::HostNotFound => NetworkFailure::Dns,
        ureq::Error::Tls(_) | ureq::Error::TlsRequired => NetworkFailure::Tls,
        ureq::Error::BodyExceedsLimit(_) => NetworkFailure::TooLarge,
        _ => NetworkFailure::Other,
    }
}
