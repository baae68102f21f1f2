//! Viewers, half of them on sockets and half on streams.

use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::WebSocketConfig},
};

use crate::door::{Client, Door, Pipe};

pub(crate) const TOKEN: &str = "anybody";

/// A connected viewer.
pub(crate) enum Viewer {
    Socket(Box<WebSocketStream<Box<dyn Pipe>>>),
    Stream {
        body: Incoming,
        buffer: String,
        // The connection lasts as long as this.
        _client: Client,
    },
}

/// What a viewer gets next.
#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    /// A stored frame.
    Frame(String),
    /// The end, with the code of the close frame if there was one.
    End(Option<u16>),
}

impl Viewer {
    pub(crate) async fn socket(door: &Door, session: &str) -> Self {
        let host = door.host();
        let url = format!("ws://{host}/v1/sessions/ws/{session}/subscribe");
        let mut request = url.into_client_request().unwrap();
        let token = format!("Bearer {TOKEN}").parse().unwrap();
        request.headers_mut().insert("authorization", token);
        let config = WebSocketConfig::default().read_buffer_size(4 << 10);
        let pipe = door.connect().await;
        let connected = client_async_with_config(request, pipe, Some(config)).await;
        Self::Socket(Box::new(connected.unwrap().0))
    }

    pub(crate) async fn stream(door: &Door, session: &str) -> Self {
        let mut client = door.client().await;
        let path = format!("/v1/code/sessions/{session}/events/stream");
        let response = client.send("GET", &path, TOKEN, String::new()).await;
        Self::Stream {
            body: response.into_body(),
            buffer: String::new(),
            _client: client,
        }
    }

    /// The next stored frame or the end; what is live only is left out.
    pub(crate) async fn next(&mut self) -> Got {
        match self {
            Self::Socket(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) if text.contains("\"assistant\"") => {
                        return Got::Frame(text.to_string());
                    }
                    Some(Ok(Message::Close(close))) => {
                        return Got::End(close.map(|close| close.code.into()));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Got::End(None),
                }
            },
            Self::Stream { body, buffer, .. } => loop {
                if let Some(at) = buffer.find("\n\n") {
                    let rest = buffer.split_off(at + 2);
                    let event = core::mem::replace(buffer, rest);
                    if event.starts_with("event: client_event") {
                        return Got::Frame(event);
                    }
                } else {
                    match body.frame().await {
                        Some(Ok(frame)) => {
                            let data = frame.into_data().unwrap_or_default();
                            buffer.push_str(core::str::from_utf8(&data).unwrap());
                        }
                        Some(Err(_)) | None => return Got::End(None),
                    }
                }
            },
        }
    }
}
