//! Sockets, streams, calls and timers, as the driver orders them.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use attache_driver::{
    asynchronous::{Answer, Network, Timer, WebSocket},
    failure, request,
};
use attache_protocol::io::{HttpRequest, NetworkFailure, Refusal, SocketRequest};
use tokio::{
    io::AsyncWrite as _,
    time::{Sleep, sleep_until},
};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::{dial, http::Http, noticed::Noticed, stream::OpenStream};

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<Noticed>);

/// Tokio's timer.
#[derive(Debug)]
pub struct Alarm(Pin<Box<Sleep>>);

impl Network for Http {
    type Socket = Socket;
    type Body = OpenStream;
    type Timer = Alarm;

    async fn open_socket(&self, request: SocketRequest) -> Result<Socket, Refusal> {
        let way = self.configured().way();
        let upgrade = request::websocket(&way.base, &request).map_err(|error| {
            tracing::warn!(%error, "upgrade not possible");
            Refusal::Network(NetworkFailure::Other)
        })?;
        let stream = dial::open(way).await.map_err(Refusal::Network)?;
        let options = self.websocket();
        let stream = Noticed::new(stream, options.read_buffer_size);
        let config = options.config();
        let (stream, _) = client_async_with_config(upgrade, stream, Some(config))
            .await
            .map_err(|error| failure::refusal(&error, SystemTime::now()))?;
        Ok(Socket(stream))
    }

    async fn call(&self, request: HttpRequest) -> Answer {
        self.call(request).await
    }

    async fn open_stream(&self, request: HttpRequest) -> Result<OpenStream, Refusal> {
        self.open(request).await
    }
}

impl WebSocket for Socket {
    type Messages = WebSocketStream<Noticed>;

    fn messages(&mut self) -> &mut Self::Messages {
        &mut self.0
    }

    fn received(&self) -> u64 {
        self.0.get_ref().received()
    }

    fn hang_up(&mut self, cx: &mut Context<'_>) {
        let _ = Pin::new(self.0.get_mut()).poll_shutdown(cx);
    }
}

impl Timer for Alarm {
    fn new(at: Instant) -> Self {
        Self(Box::pin(sleep_until(at.into())))
    }

    fn reset(&mut self, at: Instant) {
        self.0.as_mut().reset(at.into());
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
