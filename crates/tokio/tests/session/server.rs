//! A server that does what a test tells it.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use attache_protocol::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, body::Incoming, server::conn::http1,
    service::service_fn, upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role},
    },
};

/// Longer than anything here takes, shorter than anybody's patience.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Fails the test instead of hanging.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("took too long")
}

pub(crate) struct Server {
    address: SocketAddr,
    peers: mpsc::UnboundedReceiver<Peer>,
    calls: mpsc::UnboundedReceiver<Call>,
    refusals: Arc<Mutex<VecDeque<u16>>>,
    _tasks: JoinSet<()>,
}

/// The server's end of one WebSocket.
pub(crate) struct Peer {
    pub(crate) headers: HeaderMap,
    socket: WebSocketStream<TokioIo<Upgraded>>,
}

/// One HTTP call that waits for its answer.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    reply: oneshot::Sender<Response<Full<Bytes>>>,
}

/// A port that refuses connections until the server starts there.
pub(crate) struct Reserved(TcpSocket);

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn start(self) -> Server {
        Server::listen(self.0.listen(64).unwrap(), None)
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Reserved::new().start()
    }

    pub(crate) fn start_tls(acceptor: TlsAcceptor) -> Self {
        Self::listen(Reserved::new().0.listen(64).unwrap(), Some(acceptor))
    }

    fn listen(listener: TcpListener, acceptor: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().unwrap();
        let (peer_sender, peers) = mpsc::unbounded_channel();
        let (call_sender, calls) = mpsc::unbounded_channel();
        let refusals = Arc::new(Mutex::new(VecDeque::new()));
        let desk = Desk {
            peers: peer_sender,
            calls: call_sender,
            refusals: Arc::clone(&refusals),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, desk));
        Self {
            address,
            peers,
            calls,
            refusals,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the next upgrades with these statuses.
    pub(crate) fn refuse(&self, statuses: impl IntoIterator<Item = u16>) {
        self.refusals.lock().unwrap().extend(statuses);
    }

    /// The next socket that is opened.
    pub(crate) async fn peer(&mut self) -> Peer {
        within(self.peers.recv()).await.expect("the server runs")
    }

    /// The next call, other than those for history.
    pub(crate) async fn call(&mut self) -> Call {
        within(self.calls.recv()).await.expect("the server runs")
    }
}

impl Peer {
    pub(crate) async fn text(&mut self, text: impl Into<String>) {
        let message = Message::Text(text.into().into());
        within(self.socket.send(message)).await.unwrap();
    }

    /// An agent's message with this uuid.
    pub(crate) async fn says(&mut self, uuid: &str) {
        self.text(format!("{{\"type\":\"assistant\",\"uuid\":\"{uuid}\"}}\n"))
            .await;
    }

    pub(crate) async fn ping(&mut self, payload: &'static [u8]) {
        let message = Message::Ping(Bytes::from_static(payload));
        within(self.socket.send(message)).await.unwrap();
    }

    /// Sends a close frame, and leaves the connection open.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        let message = Message::Close(Some(frame));
        within(self.socket.send(message)).await.unwrap();
    }

    /// The next message that is no ping; `None` when the connection is gone.
    pub(crate) async fn hears(&mut self) -> Option<Message> {
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message, which is a text, as JSON.
    pub(crate) async fn hears_json(&mut self) -> serde_json::Value {
        match self.hears().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("a text was expected, not {other:?}"),
        }
    }

    /// The code of the close frame, which is the next message.
    pub(crate) async fn hears_close(&mut self) -> u16 {
        match self.hears().await {
            Some(Message::Close(Some(frame))) => frame.code.into(),
            other => panic!("a close frame was expected, not {other:?}"),
        }
    }

    /// The bare stream behind the WebSocket.
    pub(crate) fn into_stream(self) -> impl AsyncRead + AsyncWrite + Unpin {
        self.socket.into_inner()
    }
}

impl Call {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn answer(self, status: u16, body: impl Into<Bytes>) {
        self.answer_with(status, &[], body);
    }

    pub(crate) fn answer_with(
        self,
        status: u16,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Full::new(body.into())).unwrap();
        // Whoever called may have gone.
        let _ = self.reply.send(response);
    }
}

/// Where requests arrive.
#[derive(Clone)]
struct Desk {
    peers: mpsc::UnboundedSender<Peer>,
    calls: mpsc::UnboundedSender<Call>,
    refusals: Arc<Mutex<VecDeque<u16>>>,
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, desk: Desk) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(greet(stream, acceptor.clone(), desk.clone()));
    }
}

async fn greet(stream: TcpStream, acceptor: Option<TlsAcceptor>, desk: Desk) {
    match acceptor {
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, desk).await;
            }
        }
        None => serve(stream, desk).await,
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, desk: Desk) {
    let service = service_fn(|request| desk.clone().answer(request));
    // A connection that breaks is the client's doing, and what some tests are about.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

impl Desk {
    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        if let Some(key) = request.headers().get("sec-websocket-key") {
            let accept = derive_accept_key(key.as_bytes());
            return Ok(self.upgrade(request, &accept));
        }
        let (head, body) = request.into_parts();
        if head.method == Method::GET && head.uri.path().ends_with("/events") {
            let nothing = r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#;
            return Ok(Response::new(nothing.into()));
        }
        let (reply, answer) = oneshot::channel();
        let call = Call {
            method: head.method,
            path: head.uri.to_string(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
            reply,
        };
        self.calls.send(call).unwrap();
        Ok(answer.await.unwrap_or_else(|_| status(500)))
    }

    fn upgrade(self, request: Request<Incoming>, accept: &str) -> Response<Full<Bytes>> {
        if let Some(refusal) = self.refusals.lock().unwrap().pop_front() {
            return status(refusal);
        }
        let headers = request.headers().clone();
        tokio::spawn(async move {
            if let Ok(upgraded) = hyper::upgrade::on(request).await {
                let stream = TokioIo::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
                // The test may be over.
                let _ = self.peers.send(Peer { headers, socket });
            }
        });
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", accept)
            .body(Full::default())
            .unwrap()
    }
}

fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder()
        .status(code)
        .body(Full::default())
        .unwrap()
}
