//! From a name to a stream of bytes: TCP, the proxy's tunnel, TLS.
//!
//! Everything here is one future without a task of its own: dropping it leaves nothing behind.

use std::io;

use attache_driver::{
    BaseUrl, Options, OptionsError,
    addresses::{HEAD_START, take_turns},
    failure,
    proxy::{self, Answer, Proxy, Route},
};
use attache_protocol::io::NetworkFailure;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, lookup_host},
    time::sleep,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

/// A connection to the server, whatever it is made of.
pub(crate) type Connection = Box<dyn ByteStream>;

/// Bytes in, bytes out.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Opens connections to one server.
pub(crate) struct Connector {
    base: BaseUrl,
    route: Route,
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> Result<Self, OptionsError> {
        let route = options.route()?;
        let tls = options.tls_config(&route)?.map(TlsConnector::from);
        Ok(Self {
            base: options.base_url.clone(),
            route,
            tls,
        })
    }

    pub(crate) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// A stream to the server, encrypted if its URL says so.
    pub(crate) async fn open(&self) -> Result<Connection, NetworkFailure> {
        let stream = match &self.route {
            Route::Direct => Box::new(tcp(self.base.host(), self.base.port()).await?),
            Route::Proxy(proxy) => self.tunnel(proxy).await?,
        };
        if self.base.is_tls() {
            self.encrypt(stream, self.base.host()).await
        } else {
            Ok(stream)
        }
    }

    async fn tunnel(&self, proxy: &Proxy) -> Result<Connection, NetworkFailure> {
        let mut stream: Connection = Box::new(tcp(proxy.host(), proxy.port()).await?);
        if proxy.is_tls() {
            stream = self.encrypt(stream, proxy.host()).await?;
        }
        let request = proxy.connect_request(&self.base);
        stream.write_all(&request).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut read = Vec::new();
        loop {
            match proxy::read_answer(&read) {
                Answer::Partial => {}
                Answer::Open => return Ok(stream),
                Answer::Refused { status } => {
                    tracing::warn!(status, "the proxy refuses a tunnel");
                    return Err(NetworkFailure::Other);
                }
                Answer::Malformed => return Err(NetworkFailure::Protocol),
            }
            if stream.read_buf(&mut read).await.map_err(broken)? == 0 {
                return Err(NetworkFailure::Ended);
            }
        }
    }

    async fn encrypt(&self, stream: Connection, host: &str) -> Result<Connection, NetworkFailure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| NetworkFailure::Tls)?;
        let tls = self.tls.as_ref().ok_or(NetworkFailure::Tls)?;
        match tls.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                tracing::debug!(%error, "TLS handshake failed");
                Err(broken(error))
            }
        }
    }
}

/// Connects to the first address of `host` that answers, IPv6 and IPv4 in turn.
async fn tcp(host: &str, port: u16) -> Result<TcpStream, NetworkFailure> {
    let found = lookup_host((host, port))
        .await
        .map_err(|_| NetworkFailure::Dns)?;
    let mut untried = take_turns(found);
    let mut attempts = FuturesUnordered::new();
    let mut last = NetworkFailure::Dns;
    loop {
        if let Some(address) = untried.pop_front() {
            attempts.push(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(last);
        }
        tokio::select! {
            biased;
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => {
                    // Without it a pong may wait for the acknowledgement of what was sent before it.
                    stream.set_nodelay(true).map_err(broken)?;
                    return Ok(stream);
                }
                Err(error) => last = broken(error),
            },
            () = sleep(HEAD_START) => {}
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn broken(error: io::Error) -> NetworkFailure {
    failure::io(&error)
}
