//! Sockets, streams, calls and timers, as the driver orders them.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use async_io::Timer;
use async_tungstenite::{WebSocketStream, client_async_with_config};
use attache_driver::{
    asynchronous::{self, Answer, Network, WebSocket},
    failure, request,
};
use attache_protocol::io::{HttpRequest, NetworkFailure, Refusal, SocketRequest};
use futures_io::AsyncWrite as _;

use crate::{dial, http::Http, noticed::Noticed, stream::OpenStream};

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<Noticed>);

/// A timer of the reactor's.
#[derive(Debug)]
pub struct Alarm(Timer);

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
        let _ = Pin::new(self.0.get_mut()).poll_close(cx);
    }
}

impl asynchronous::Timer for Alarm {
    fn new(at: Instant) -> Self {
        Self(Timer::at(at))
    }

    fn reset(&mut self, at: Instant) {
        self.0.set_at(at);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}
