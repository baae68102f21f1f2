//! The relay as a server of its own.

use core::{future::Future, pin::pin, time::Duration};
use std::{io, net::SocketAddr, sync::Arc};

use axum::{Router, http::Request};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;

use crate::{
    Credentials, Relay,
    http::{Connection, Place},
    metrics::Limit,
};

/// How long a connection may take to send the head of a request, the wait for it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How much one connection gathers before it writes, and reads at once.
const BUFFER_BYTES: usize = 64 << 10;
/// How long accepting rests when the system is out of something, descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long somebody may take to be told that there is no room.
const FAREWELL: Duration = Duration::from_secs(1);
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 0\r\n\
connection: close\r\n\r\n";

/// Why a relay can't be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Anybody would be let in from other machines.
    #[error("{0} can be reached from other machines: set tokens, or listen on 127.0.0.1")]
    OpenToOthers(SocketAddr),
    /// The listener is unusable.
    #[error("the listener can't be used: {0}")]
    Listener(#[from] io::Error),
}

impl Relay {
    /// Serves the relay on `listener` until `shutdown` is ready, then [shuts it
    /// down](Self::shutdown) and returns.
    ///
    /// Dropping the future kills every connection it has accepted at once, as a crash would; the
    /// relay itself stays usable.
    ///
    /// # Errors
    /// [`ServeError::OpenToOthers`] when every token is accepted and the address is not a loopback
    /// one, [`ServeError::Listener`].
    pub fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = Result<(), ServeError>> + Send + 'static {
        let relay = self.clone();
        async move {
            let address = listener.local_addr()?;
            if matches!(relay.options().credentials, Credentials::Open)
                && !address.ip().is_loopback()
            {
                return Err(ServeError::OpenToOthers(address));
            }
            let scope = relay.killed().child_token();
            let _kill_on_drop = scope.clone().drop_guard();
            let router = relay.router();
            let places = Arc::new(Semaphore::new(relay.options().max_connections));
            relay.keep_sweeping();
            tracing::info!(%address, "the relay listens");
            let mut shutdown = pin!(shutdown);
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = scope.cancelled() => return Ok(()),
                    () = relay.closing().cancelled() => break,
                    () = &mut shutdown => break,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        let Ok(permit) = places.clone().try_acquire_owned() else {
                            relay.metrics().limited(Limit::Connections);
                            relay.tasks().spawn(timeout(FAREWELL, turn_away(stream)));
                            continue;
                        };
                        let place = Place {
                            _permit: permit,
                            _present: relay.metrics().connected(),
                        };
                        let from = Connection {
                            peer: peer.ip(),
                            scope: scope.clone(),
                            place: Arc::new(place),
                        };
                        let patience = relay.options().write_timeout;
                        let closing = relay.closing().clone();
                        let served = connection(stream, patience, router.clone(), from, closing);
                        let scope = scope.clone();
                        relay.tasks().spawn(async move {
                            scope.run_until_cancelled(served).await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            drop(listener);
            relay.shutdown().await;
            tracing::info!(%address, "the relay has stopped");
            Ok(())
        }
    }
}

/// Tells somebody that there is no room.
async fn turn_away(mut stream: TcpStream) {
    if stream.write_all(FULL).await.is_ok() {
        let _ = stream.shutdown().await;
    }
    tracing::debug!("there are too many connections; one more was closed");
}

async fn connection(
    stream: TcpStream,
    patience: Duration,
    router: Router,
    from: Connection,
    closing: CancellationToken,
) {
    // Frames are small and somebody waits for each.
    let _ = stream.set_nodelay(true);
    // A stream is asked for nothing while its peer takes nothing, so it can't notice by itself.
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(patience));
    let stream = Box::pin(stream);
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER_BYTES);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from.clone());
        router.call(request)
    });
    let mut connection = pin!(
        server
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
