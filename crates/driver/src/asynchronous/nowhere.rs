//! A network that leads nowhere.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use attache_protocol::{
    Bytes,
    io::{HttpRequest, NetworkFailure, Refusal, SocketRequest},
};
use futures_core::Stream;
use futures_util::Sink;
use tungstenite::{Error, Message};

use super::network::{Answer, Body, Network, Timer, WebSocket};

/// Whatever is opened or asked on it fails.
#[derive(Copy, Clone)]
pub(crate) struct Nowhere;

/// What is never opened.
pub(crate) struct Nothing(Infallible);

/// A timer that is never due.
pub(crate) struct Unset;

impl Network for Nowhere {
    type Socket = Nothing;
    type Body = Nothing;
    type Timer = Unset;

    async fn open_socket(&self, _request: SocketRequest) -> Result<Nothing, Refusal> {
        Err(Refusal::Network(NetworkFailure::Refused))
    }

    async fn call(&self, _request: HttpRequest) -> Answer {
        Err(NetworkFailure::Refused)
    }

    async fn open_stream(&self, _request: HttpRequest) -> Result<Nothing, Refusal> {
        Err(Refusal::Network(NetworkFailure::Refused))
    }
}

impl Timer for Unset {
    fn new(_at: Instant) -> Self {
        Self
    }

    fn reset(&mut self, _at: Instant) {}

    fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Body for Nothing {
    fn poll_chunk(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Bytes, NetworkFailure>> {
        match self.0 {}
    }
}

impl WebSocket for Nothing {
    type Messages = Self;

    fn messages(&mut self) -> &mut Self {
        self
    }

    fn received(&self) -> u64 {
        match self.0 {}
    }

    fn hang_up(&mut self, _cx: &mut Context<'_>) {
        match self.0 {}
    }
}

impl Stream for Nothing {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0 {}
    }
}

impl Sink<Message> for Nothing {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self.0 {}
    }

    fn start_send(self: Pin<&mut Self>, _message: Message) -> Result<(), Error> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self.0 {}
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self.0 {}
    }
}
