//! Workers elsewhere, over real sockets.

use attache_protocol::SessionId;
use axum::{body::Bytes, http::StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::world::{TOKEN, World, soon};

/// One registration of a worker.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) base: String,
    pub(crate) token: String,
    pub(crate) epoch: u64,
    pub(crate) expires_in: u64,
}

impl World {
    /// Registers a worker for the session of this world.
    pub(crate) async fn worker(&self) -> Worker {
        self.worker_of(&self.session).await
    }

    /// The same for a worker that says which process it is.
    pub(crate) async fn worker_called(&self, instance: &str) -> Worker {
        let (status, body) = self.bridge_as(instance).await;
        assert_eq!(status, 200, "{body}");
        Worker::of(&self.session, &body)
    }

    pub(crate) async fn bridge_as(&self, instance: &str) -> (StatusCode, Value) {
        let path = format!("/v1/code/sessions/{}/bridge", self.session.v2());
        let url = format!("http://{}{path}", self.address);
        let name = [("x-attache-worker-instance", instance)];
        read(send("POST", &url, TOKEN, "{}", &name).await).await
    }

    pub(crate) async fn worker_of(&self, session: &SessionId) -> Worker {
        let (status, body) = self.bridge(session).await;
        assert_eq!(status, 200, "{body}");
        Worker::of(session, &body)
    }

    pub(crate) async fn bridge(&self, session: &SessionId) -> (StatusCode, Value) {
        let path = format!("/v1/code/sessions/{}/bridge", session.v2());
        self.person("POST", &path, "{}").await
    }

    /// What a person's client asks, over a socket.
    pub(crate) async fn person(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.address);
        read(send(method, &url, TOKEN, body, &[]).await).await
    }

    /// The same with a worker's token.
    pub(crate) async fn as_worker(
        &self,
        worker: &Worker,
        method: &str,
        path: &str,
    ) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.address);
        read(send(method, &url, &worker.token, "{}", &[]).await).await
    }

    pub(crate) async fn code_session(&self) -> Value {
        let path = format!("/v1/code/sessions/{}", self.session.v2());
        let (status, body) = self.person("GET", &path, "").await;
        assert_eq!(status, 200, "{body}");
        body["session"].clone()
    }
}

impl Worker {
    fn of(session: &SessionId, body: &Value) -> Self {
        let base = body["api_base_url"].as_str().unwrap();
        Self {
            base: format!("{base}/v1/code/sessions/{}/worker", session.v2()),
            token: body["worker_jwt"].as_str().unwrap().to_owned(),
            epoch: body["worker_epoch"].as_u64().unwrap(),
            expires_in: body["expires_in"].as_u64().unwrap(),
        }
    }

    /// Talks to another relay from now on.
    pub(crate) fn move_to(&mut self, world: &World) {
        let (_, path) = self.base.split_once("/v1/").unwrap();
        self.base = format!("http://{}/v1/{path}", world.address);
    }

    pub(crate) async fn get(&self) -> (StatusCode, Value) {
        self.call("GET", "", "").await
    }

    pub(crate) async fn put(&self, mut report: Value) -> (StatusCode, Value) {
        report["worker_epoch"] = self.epoch.into();
        self.call("PUT", "", &report.to_string()).await
    }

    pub(crate) async fn heartbeat(&self) -> (StatusCode, Value) {
        let body = json!({"session_id": "ignored", "worker_epoch": self.epoch});
        self.call("POST", "/heartbeat", &body.to_string()).await
    }

    /// Uploads frames that are to be kept.
    pub(crate) async fn upload(&self, frames: &[String]) -> (StatusCode, Value) {
        let events = frames
            .iter()
            .map(|frame| format!(r#"{{"payload":{frame}}}"#));
        self.upload_events(&events.collect::<Vec<_>>()).await
    }

    pub(crate) async fn upload_events(&self, events: &[String]) -> (StatusCode, Value) {
        let (epoch, events) = (self.epoch, events.join(","));
        let body = format!(r#"{{"worker_epoch":{epoch},"events":[{events}]}}"#);
        self.call("POST", "/events", &body).await
    }

    pub(crate) async fn acknowledge(&self, event_id: &str, status: &str) -> (StatusCode, Value) {
        let updates = json!([{"event_id": event_id, "status": status}]);
        let body = json!({"worker_epoch": self.epoch, "updates": updates});
        self.call("POST", "/events/delivery", &body.to_string())
            .await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.base);
        read(send(method, &url, &self.token, body, &[]).await).await
    }

    /// Opens the stream, after an event if one is named.
    pub(crate) async fn stream(&self, after: Option<u64>) -> Stream {
        let query = after.map(|after| format!("?from_sequence_num={after}"));
        self.stream_with(&query.unwrap_or_default(), &[]).await
    }

    pub(crate) async fn stream_with(&self, query: &str, headers: &[(&str, &str)]) -> Stream {
        let response = self.try_stream(query, headers).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream::of(response).await
    }

    pub(crate) async fn try_stream(
        &self,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let url = format!("{}/events/stream{query}", self.base);
        send("GET", &url, &self.token, "", headers).await
    }
}

/// An open stream.
pub(crate) struct Stream {
    body: Incoming,
    buffer: String,
}

pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) id: String,
    pub(crate) data: Value,
    /// The payload, byte for byte.
    pub(crate) payload: String,
}

impl Stream {
    pub(crate) async fn of(response: Response<Incoming>) -> Self {
        let mut stream = Self {
            body: response.into_body(),
            buffer: String::new(),
        };
        assert_eq!(stream.block().await.unwrap(), ":ok");
        stream
    }

    /// The next event, comments left out; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if !block.starts_with(':') {
                return Some(Event::parse(&block));
            }
        }
    }

    pub(crate) async fn event(&mut self) -> Event {
        self.next().await.expect("an event, and not the end")
    }

    pub(crate) async fn payload(&mut self) -> String {
        self.event().await.payload
    }

    /// What stands before the next empty line.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            let frame = soon(self.body.frame()).await?.ok()?;
            let data = frame.into_data().unwrap();
            self.buffer.push_str(core::str::from_utf8(&data).unwrap());
        }
    }
}

impl Event {
    fn parse(block: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            payload: &'a serde_json::value::RawValue,
        }
        let mut lines = block.lines();
        assert_eq!(lines.next(), Some("event: client_event"));
        let sequence = lines.next().unwrap().strip_prefix("id: ").unwrap();
        let json = lines.next().unwrap().strip_prefix("data: ").unwrap();
        assert_eq!(lines.next(), None);
        let data: Value = serde_json::from_str(json).unwrap();
        let payload = serde_json::from_str::<Data<'_>>(json).unwrap().payload;
        let sequence = sequence.parse().unwrap();
        assert_eq!(data["sequence_num"], sequence);
        Self {
            sequence,
            id: data["event_id"].as_str().unwrap().to_owned(),
            payload: payload.get().to_owned(),
            data,
        }
    }
}

/// One request on a connection of its own.
pub(crate) async fn send(
    method: &str,
    url: &str,
    token: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Response<Incoming> {
    try_send(method, url, token, body, headers).await.unwrap()
}

/// The same when the relay may not be there, or go away.
pub(crate) async fn try_send(
    method: &str,
    url: &str,
    token: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Option<Response<Incoming>> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let stream = soon(TcpStream::connect(host)).await.ok()?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", host)
        .header("authorization", format!("Bearer {token}"))
        .header("x-some-unknown-header", "is no trouble");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::from(body.to_owned()));
    soon(client.send_request(request.body(body).unwrap()))
        .await
        .ok()
}

pub(crate) async fn read(response: Response<Incoming>) -> (StatusCode, Value) {
    let status = response.status();
    let body = soon(response.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    let value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
    (status, value)
}
