//! From a name to a stream of bytes: TCP, the proxy's tunnel, TLS.
//!
//! Everything here is one future without a task of its own: dropping it leaves nothing behind.

use std::{io, net::SocketAddr, sync::Arc};

use attache_driver::{
    Way,
    asynchronous::first_to_answer,
    failure,
    proxy::{self, Answer, Proxy, Route},
};
use attache_protocol::io::NetworkFailure;
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

/// A stream to the server, encrypted if its URL says so.
pub(crate) async fn open(way: &Way) -> Result<Connection, NetworkFailure> {
    let stream = match &way.route {
        Route::Direct => Box::new(tcp(way, way.base.host(), way.base.port()).await?),
        Route::Proxy(proxy) => tunnel(way, proxy).await?,
    };
    if way.base.is_tls() {
        encrypt(way, stream, way.base.host()).await
    } else {
        Ok(stream)
    }
}

async fn tunnel(way: &Way, proxy: &Proxy) -> Result<Connection, NetworkFailure> {
    let mut stream: Connection = Box::new(tcp(way, proxy.host(), proxy.port()).await?);
    if proxy.is_tls() {
        stream = encrypt(way, stream, proxy.host()).await?;
    }
    let request = proxy.connect_request(&way.base);
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

async fn encrypt(way: &Way, stream: Connection, host: &str) -> Result<Connection, NetworkFailure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| NetworkFailure::Tls)?;
    let tls = TlsConnector::from(Arc::clone(way.tls.as_ref().ok_or(NetworkFailure::Tls)?));
    match tls.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            Err(broken(error))
        }
    }
}

async fn tcp(way: &Way, host: &str, port: u16) -> Result<TcpStream, NetworkFailure> {
    let found = match way.names.find(host, port) {
        Some(known) => known,
        None => match lookup_host((host, port)).await {
            Ok(found) => found.collect(),
            Err(_) => return Err(NetworkFailure::Dns),
        },
    };
    let stream = first_to_answer(found, TcpStream::connect::<SocketAddr>, sleep).await?;
    // Without it a pong may wait for the acknowledgement of what was sent before it.
    stream.set_nodelay(true).map_err(broken)?;
    Ok(stream)
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn broken(error: io::Error) -> NetworkFailure {
    failure::io(&error)
}
