//! A connection that becomes a WebSocket.

use core::future::Future;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes},
    http::{Request, StatusCode, request::Parts},
    response::Response,
};
use futures_util::{Sink, Stream};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::server::create_response_with_body,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{error::ApiError, wire::Wire};
use crate::RelayOptions;

/// What the library reads at once. It keeps so much for as long as the connection lasts.
const READ_BYTES: usize = 1 << 10;

/// A request to go on as a WebSocket.
pub(super) struct Upgrade {
    answer: Response,
    connection: OnUpgrade,
}

impl Upgrade {
    /// Whether that is what is asked for.
    pub(super) fn asked_for(parts: &Parts) -> Result<Self, ApiError> {
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.version_mut() = parts.version;
        *request.headers_mut() = parts.headers.clone();
        let answer = create_response_with_body(&request, Body::empty)
            .map_err(|bad| ApiError::invalid(format!("this is for WebSockets only: {bad}")))?;
        let connection = parts.extensions.get::<OnUpgrade>().cloned();
        let connection = connection.ok_or_else(|| {
            ApiError::invalid("this connection can't become a WebSocket")
                .with_status(StatusCode::UPGRADE_REQUIRED)
        })?;
        Ok(Self { answer, connection })
    }

    /// The answer; after it, the socket is handed to `serve`.
    pub(super) fn accept<F: Future<Output = ()> + Send>(
        self,
        options: &RelayOptions,
        serve: impl FnOnce(Box<WebSocket>) -> F + Send + 'static,
    ) -> Response {
        let (limit, at_once) = (
            options.viewer_message_limit_bytes,
            options.read_buffer_bytes,
        );
        tokio::spawn(async move {
            match self.connection.await {
                Ok(upgraded) => {
                    let socket = WebSocket::new(TokioIo::new(upgraded), limit, at_once).await;
                    serve(Box::new(socket)).await;
                }
                Err(error) => tracing::debug!(%error, "a connection did not become a WebSocket"),
            }
        });
        self.answer
    }
}

/// What is sent at once.
pub(super) enum Outbound {
    /// Whole messages as they go over the wire.
    Messages(Vec<Bytes>),
    /// A control message, for the library to write.
    Control(Message),
}

/// A viewer's socket.
pub(super) struct WebSocket<S = TokioIo<Upgraded>> {
    library: WebSocketStream<Wire<S>>,
    next: Option<Outbound>,
    /// Whether the peer has closed it, or it broke: nothing may be sent then.
    over: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A message of more than twice `limit_bytes` breaks it: one that is only somewhat too large is read to
    /// its end, so that the close frame gets through.
    async fn new(stream: S, limit_bytes: usize, at_once: usize) -> Self {
        let limit = Some(limit_bytes.saturating_mul(2));
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES.min(at_once))
            .max_message_size(limit)
            .max_frame_size(limit);
        let wire = Wire::new(stream, at_once);
        Self {
            library: WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await,
            next: None,
            over: false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.library).poll_next(cx));
        self.over |= matches!(&next, None | Some(Err(_) | Ok(Message::Close(_))));
        Poll::Ready(next)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Outbound> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.next.is_some() {
            return self.poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, outbound: Outbound) -> Result<(), Error> {
        self.next = Some(outbound);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // An answer of the library may be half written, so that comes first.
        ready!(Pin::new(&mut self.library).poll_flush(cx))?;
        if let Some(outbound) = self.next.take() {
            if self.over {
                return Poll::Ready(Err(Error::AlreadyClosed));
            }
            match outbound {
                Outbound::Messages(messages) => self.library.get_mut().write_first(messages),
                Outbound::Control(message) => Pin::new(&mut self.library).start_send(message)?,
            }
        }
        Pin::new(&mut self.library).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.library).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use axum::response::IntoResponse as _;
    use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
    use tokio::{
        io::{DuplexStream, duplex},
        time::timeout,
    };

    use super::*;
    use crate::outgoing::message;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn pair(room: usize) -> (WebSocketStream<DuplexStream>, WebSocket<DuplexStream>) {
        let (theirs, ours) = duplex(room);
        let client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        (client, WebSocket::new(ours, 1 << 20, 1 << 14).await)
    }

    fn message(text: &str) -> Bytes {
        let mut bytes = Vec::new();
        message::write(&mut bytes, &[text]);
        bytes.into()
    }

    #[test]
    fn only_a_whole_request_on_a_connection_that_can_change_is_an_upgrade() {
        let whole = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let answer = |left_out: &str| {
            let mut request = Request::get("/");
            for (name, value) in whole.into_iter().filter(|(name, _)| *name != left_out) {
                request = request.header(name, value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let refused = Upgrade::asked_for(&parts).err().unwrap();
            refused.into_response().status()
        };
        for (left_out, _) in whole {
            assert_eq!(answer(left_out), StatusCode::BAD_REQUEST, "{left_out}");
        }
        // There is no connection behind it.
        assert_eq!(answer(""), StatusCode::UPGRADE_REQUIRED);
    }

    #[tokio::test]
    async fn answers_of_the_library_come_between_messages_and_never_inside_one() {
        const ROUNDS: usize = 200;
        // So little room that everything is written in parts.
        let (client, server) = pair(97).await;
        let (mut to_server, mut from_server) = client.split();
        let (mut to_client, mut from_client) = server.split();
        let pinging = async {
            for number in 0..ROUNDS {
                let ping = Message::Ping(format!("ping {number}").into());
                to_server.send(ping).await.unwrap();
            }
        };
        let answering = async { while from_client.next().await.is_some() {} };
        let sending = async {
            for number in 0..ROUNDS {
                let long = "x".repeat(number * 7);
                let texts = [format!("{number} a"), format!("{number} b {long}")];
                let messages = texts.iter().map(|text| message(text)).collect();
                to_client.send(Outbound::Messages(messages)).await.unwrap();
                let ping = Message::Ping(format!("{number}").into());
                to_client.send(Outbound::Control(ping)).await.unwrap();
            }
        };
        let reading = async {
            let (mut texts, mut pings) = (0, 0);
            while texts < 2 * ROUNDS || pings < ROUNDS {
                match from_server.next().await.unwrap().unwrap() {
                    Message::Text(text) => {
                        let (number, rest) = (texts / 2, texts % 2);
                        let start = format!("{number} {}", ["a", "b"][rest]);
                        assert!(text.starts_with(&start), "{text} is not {start}");
                        texts += 1;
                    }
                    Message::Ping(number) => {
                        assert_eq!((number, texts), (format!("{pings}").into(), 2 * pings + 2));
                        pings += 1;
                    }
                    // The library answers the last of several pings.
                    Message::Pong(_) => {}
                    other @ (Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {
                        panic!("{other}")
                    }
                }
            }
        };
        let all = async {
            tokio::select! {
                ((), (), ()) = async { tokio::join!(pinging, sending, reading) } => {}
                () = answering => panic!("the socket has ended"),
            }
        };
        timeout(PATIENCE, all).await.unwrap();
    }

    #[tokio::test]
    async fn what_the_library_has_half_written_is_finished_first() {
        let (mut client, mut server) = pair(16).await;
        let all = async {
            let ping = Message::Ping("x".repeat(100).into());
            let (sent, asked) = tokio::join!(client.send(ping.clone()), server.next());
            sent.unwrap();
            assert_eq!(asked.unwrap().unwrap(), ping);
            // It answers as far as there is room.
            assert!(server.next().now_or_never().is_none());
            let reading = async {
                let mut next = async || client.next().await.unwrap().unwrap();
                assert_eq!(next().await.into_data(), ping.into_data());
                assert_eq!(next().await.into_text().unwrap(), "said\n");
            };
            let said = Outbound::Messages(vec![message("said")]);
            let (sent, ()) = tokio::join!(server.send(said), reading);
            sent.unwrap();
        };
        timeout(PATIENCE, all).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_sent_to_a_peer_that_has_said_goodbye() {
        let (mut client, mut server) = pair(1 << 10).await;
        let goodbye = async {
            client.close(None).await.unwrap();
            assert!(matches!(server.next().await, Some(Ok(Message::Close(_)))));
            let late = Outbound::Messages(vec![message("late")]);
            assert!(server.send(late).await.is_err());
            assert!(server.next().await.is_none());
            let answer = client.next().await;
            assert!(
                matches!(answer, Some(Ok(Message::Close(_))) | None),
                "{answer:?}"
            );
        };
        timeout(PATIENCE, goodbye).await.unwrap();
    }
}
