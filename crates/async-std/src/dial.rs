//! From a name to a stream of bytes: TCP, the proxy's tunnel, TLS.
//!
//! Everything here is one future without a task of its own: dropping it leaves nothing behind but a name
//! lookup that the operating system is in the middle of.

use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    sync::Arc,
    thread,
};

use async_io::{Async, Timer};
use attache_driver::{
    Way,
    asynchronous::first_to_answer,
    failure,
    proxy::{self, Answer, Proxy, Route},
};
use attache_protocol::io::NetworkFailure;
use futures_channel::oneshot;
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::{TlsConnector, rustls::pki_types::ServerName};
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};

/// A connection to the server, whatever it is made of.
pub(crate) type Connection = Box<dyn ByteStream>;

/// Bytes in, bytes out.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> ByteStream for S {}

/// A stream to the server, encrypted if its URL says so.
pub(crate) async fn open(way: &Way) -> Result<Connection, NetworkFailure> {
    let stream = match &way.route {
        Route::Direct => tcp(way, way.base.host(), way.base.port()).await?,
        Route::Proxy(proxy) => tunnel(way, proxy).await?,
    };
    if way.base.is_tls() {
        encrypt(way, stream, way.base.host()).await
    } else {
        Ok(stream)
    }
}

async fn tunnel(way: &Way, proxy: &Proxy) -> Result<Connection, NetworkFailure> {
    let mut stream = tcp(way, proxy.host(), proxy.port()).await?;
    if proxy.is_tls() {
        stream = encrypt(way, stream, proxy.host()).await?;
    }
    let request = proxy.connect_request(&way.base);
    stream.write_all(&request).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut read = Vec::new();
    let mut piece = [0; 1024];
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
        let count = stream.read(&mut piece).await.map_err(broken)?;
        if count == 0 {
            return Err(NetworkFailure::Ended);
        }
        read.extend(piece.iter().take(count));
    }
}

async fn encrypt(way: &Way, stream: Connection, host: &str) -> Result<Connection, NetworkFailure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| NetworkFailure::Tls)?;
    let config = way.tls.as_ref().ok_or(NetworkFailure::Tls)?;
    let tls = TlsConnector::from(Arc::clone(config));
    match tls.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            Err(broken(error))
        }
    }
}

async fn tcp(way: &Way, host: &str, port: u16) -> Result<Connection, NetworkFailure> {
    let found = match way.names.find(host, port) {
        Some(known) => known,
        None => look_up(host, port).await?,
    };
    let stream = first_to_answer(found, Async::<TcpStream>::connect, Timer::after).await?;
    // Without it a pong may wait for the acknowledgement of what was sent before it.
    stream.get_ref().set_nodelay(true).map_err(broken)?;
    Ok(Box::new(stream))
}

/// Asks the operating system, on a thread that waits for it.
async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, NetworkFailure> {
    let name = host.to_owned();
    let (sender, found) = oneshot::channel();
    // A thread of its own, which ends with the lookup: those of a pool would stay.
    let started = thread::Builder::new().name("lookup".into()).spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        // Nobody waits any more if the attempt was given up.
        let _ = sender.send(found.map(Vec::from_iter));
    });
    if let Err(error) = started {
        tracing::warn!(%error, "no thread for a name lookup");
        return Err(NetworkFailure::Other);
    }
    match found.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) | Err(_) => Err(NetworkFailure::Dns),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn broken(error: io::Error) -> NetworkFailure {
    failure::io(&error)
}
