//! A server that does what a test tells it.

use std::{io, net::SocketAddr, time::Duration};

use attache_protocol::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

/// Longer than anything here takes, shorter than anybody's patience.
const LIMIT: Duration = Duration::from_secs(20);

/// Fails the test instead of hanging.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("took too long")
}

pub(crate) struct Server {
    address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Call>,
    _tasks: JoinSet<()>,
}

/// One call that waits for its answer.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    body: Bytes,
    reply: oneshot::Sender<Response<Body>>,
}

/// The server's end of a stream.
pub(crate) struct Flow {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pieces: mpsc::Sender<io::Result<Frame<Bytes>>>,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, sender));
        Self {
            address,
            calls,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next call, whatever it is.
    pub(crate) async fn call(&mut self) -> Call {
        within(self.calls.recv()).await.expect("the server runs")
    }

    /// The next call of this method whose path ends like this. The worker's small talk (states,
    /// deliveries, heartbeats) before it is answered well; anything else is not expected.
    pub(crate) async fn asked(&mut self, method: &str, end: &str) -> Call {
        loop {
            let call = self.call().await;
            if call.method == method && call.path_only().ends_with(end) {
                return call;
            }
            let is_small_talk = ["/worker", "/delivery", "/heartbeat"]
                .iter()
                .any(|end| call.path_only().ends_with(end));
            let (method, path) = (&call.method, &call.path);
            assert!(is_small_talk, "{method} {path} before {end}");
            call.answer(200, "{}");
        }
    }

    /// Whether somebody has called and not been heard.
    pub(crate) fn is_called(&mut self) -> bool {
        !self.calls.is_empty()
    }

    /// Registers `cse_1`.
    pub(crate) async fn registers(&mut self) {
        let call = self.asked("POST", "/v1/code/sessions").await;
        assert_eq!(call.bearer(), "person");
        call.answer(200, r#"{"session":{"id":"cse_1"}}"#);
    }

    /// Grants credentials for the server at `place`: `jwt1` for epoch 1, and so on.
    pub(crate) async fn grants(&mut self, epoch: u64, place: &str) {
        let call = self.asked("POST", "/v1/code/sessions/cse_1/bridge").await;
        assert_eq!(call.bearer(), "person");
        call.answer(
            200,
            format!(
                r#"{{"worker_jwt":"jwt{epoch}","api_base_url":"{place}","expires_in":3600,"worker_epoch":{epoch}}}"#
            ),
        );
    }

    /// Lets a worker with the credentials of `epoch` open its transport.
    pub(crate) async fn opens(&mut self, epoch: u64) -> Flow {
        for method in ["GET", "PUT"] {
            let call = self.asked(method, "/v1/code/sessions/cse_1/worker").await;
            assert_eq!(call.bearer(), format!("jwt{epoch}"));
            if method == "PUT" {
                assert_eq!(call.json()["worker_epoch"], epoch);
            }
            call.answer(200, "{}");
        }
        let call = self.asked("GET", "/worker/events/stream").await;
        assert_eq!(call.bearer(), format!("jwt{epoch}"));
        call.flows()
    }

    /// The whole way to a running worker.
    pub(crate) async fn welcomes(&mut self) -> Flow {
        self.registers().await;
        self.grants(1, &format!("http://{}", self.address)).await;
        self.opens(1).await
    }
}

impl Call {
    pub(crate) fn bearer(&self) -> &str {
        let value = self.headers["authorization"].to_str().unwrap();
        value.strip_prefix("Bearer ").unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The uuids of the frames of an upload.
    pub(crate) fn uuids(&self) -> Vec<String> {
        let body = self.json();
        let events = body["events"].as_array().unwrap();
        events
            .iter()
            .map(|event| event["payload"]["uuid"].as_str().unwrap().to_owned())
            .collect()
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
        let body = Full::new(body.into()).map_err(|never| match never {});
        // Whoever called may have gone.
        let _ = self.reply.send(response.body(body.boxed_unsync()).unwrap());
    }

    /// Answers with a stream.
    pub(crate) fn flows(self) -> Flow {
        let (pieces, mut taken) = mpsc::channel(1);
        let body = StreamBody::new(stream::poll_fn(move |cx| taken.poll_recv(cx)));
        let response = Response::builder()
            .header("content-type", "text/event-stream")
            .body(body.boxed_unsync());
        let _ = self.reply.send(response.unwrap());
        Flow {
            path: self.path,
            headers: self.headers,
            pieces,
        }
    }

    fn path_only(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

impl Flow {
    /// Sends these bytes; whether anybody is there.
    pub(crate) async fn sends(&self, bytes: impl Into<Bytes>) -> bool {
        let piece = Ok(Frame::data(bytes.into()));
        within(self.pieces.send(piece)).await.is_ok()
    }

    /// Sends the frame `payload` as the event with this number.
    pub(crate) async fn says(&self, number: u64, payload: &str) {
        let data = format!(
            r#"{{"event_id":"e{number}","sequence_num":{number},"event_type":"x","payload":{payload}}}"#
        );
        let event = format!("event: client_event\nid: {number}\ndata: {data}\n\n");
        assert!(self.sends(event).await, "the worker listens");
    }

    /// Sends a message of a person's, with the number as its uuid.
    pub(crate) async fn says_message(&self, number: u64) {
        self.says(number, &format!(r#"{{"type":"user","uuid":"{number}"}}"#))
            .await;
    }

    /// Breaks the connection off in the middle of the stream.
    pub(crate) async fn breaks(self) {
        let _ = within(self.pieces.send(Err(io::ErrorKind::Other.into()))).await;
    }

    /// Waits until the worker is gone.
    pub(crate) async fn is_left(&self) {
        within(self.pieces.closed()).await;
    }
}

async fn accept(listener: TcpListener, calls: mpsc::UnboundedSender<Call>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, calls.clone()));
    }
}

async fn serve(stream: TcpStream, calls: mpsc::UnboundedSender<Call>) {
    let service = service_fn(|request| answer(request, calls.clone()));
    // A connection that breaks is what some tests are about.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    calls: mpsc::UnboundedSender<Call>,
) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let (reply, answer) = oneshot::channel();
    let call = Call {
        method: head.method,
        path: head.uri.to_string(),
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
        reply,
    };
    // The test may be over.
    let _ = calls.send(call);
    Ok(match answer.await {
        Ok(response) => response,
        Err(_) => Response::builder()
            .status(500)
            .body(Body::default())
            .unwrap(),
    })
}
