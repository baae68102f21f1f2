//! Ways into a relay.

use axum::{Router, body::Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// What a connection in memory holds in each direction, like a system's own buffers.
const PIPE_BYTES: usize = 16 << 10;

pub(crate) trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Pipe for T {}

pub(crate) enum Door {
    /// A relay of this process, over connections in memory: they cost no descriptors.
    Near(Router),
    /// Another process's relay.
    Far(String),
}

impl Door {
    pub(crate) async fn connect(&self) -> Box<dyn Pipe> {
        match self {
            Self::Near(router) => {
                let (client, server) = tokio::io::duplex(PIPE_BYTES);
                let service = TowerToHyperService::new(router.clone());
                let connection = hyper::server::conn::http1::Builder::new()
                    .max_buf_size(64 << 10)
                    .serve_connection(TokioIo::new(server), service)
                    .with_upgrades();
                tokio::spawn(connection);
                Box::new(client)
            }
            Self::Far(address) => Box::new(TcpStream::connect(address).await.unwrap()),
        }
    }

    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Near(_) => "127.0.0.1",
            Self::Far(address) => address,
        }
    }

    /// A connection for requests.
    pub(crate) async fn client(&self) -> Client {
        let pipe = TokioIo::new(self.connect().await);
        let (requests, connection) = http1::Builder::new()
            .max_buf_size(64 << 10)
            .handshake(pipe)
            .await
            .unwrap();
        tokio::spawn(connection);
        Client {
            requests,
            host: self.host().to_owned(),
        }
    }
}

pub(crate) struct Client {
    requests: SendRequest<Full<Bytes>>,
    host: String,
}

impl Client {
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: String,
    ) -> Response<Incoming> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        self.requests.ready().await.unwrap();
        let response = self.requests.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response
    }

    pub(crate) async fn post(&mut self, path: &str, token: &str, body: String) -> Value {
        let response = self.send("POST", path, token, body).await;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }
}
