//! A relay on a free port, and people who connect to it.

use core::{future::Future, time::Duration};
use std::{net::SocketAddr, sync::Arc};

use attache_protocol::{SessionId, io::Token};
use attache_relay::{Credentials, MemoryStore, Relay, RelayOptions, ServeError};
use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::CloseFrame},
};
use tower::ServiceExt as _;

pub(crate) const TOKEN: &str = "synthetic-token";

/// Every wait in these tests ends by then.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("this should not take so long")
}

pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) address: SocketAddr,
    pub(crate) session: SessionId,
    pub(crate) serving: JoinHandle<Result<(), ServeError>>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
}

pub(crate) fn options() -> RelayOptions {
    let mut options = RelayOptions::default();
    options.credentials = Credentials::Tokens(vec![Token::new(TOKEN)]);
    options
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(options()).await
    }

    pub(crate) async fn with(options: RelayOptions) -> Self {
        let store = Arc::new(MemoryStore::new());
        let relay = Relay::new(store.clone(), options);
        let session = relay.create_session("a test").await.unwrap();
        Self::over(store, relay, session).await
    }

    /// Another relay over the same store, after this one has crashed.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_with(options()).await
    }

    pub(crate) async fn restarted_with(self, options: RelayOptions) -> Self {
        self.relay.kill();
        let _ = soon(self.serving).await;
        let relay = Relay::new(self.store.clone(), options);
        Self::over(self.store, relay, self.session).await
    }

    pub(crate) async fn over(store: Arc<MemoryStore>, relay: Relay, session: SessionId) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(relay.serve(listener, async { drop(stopped.await) }));
        Self {
            relay,
            store,
            address,
            session,
            serving,
            stop: Some(stop),
        }
    }

    pub(crate) fn subscribe_url(&self, session: &str) -> String {
        format!(
            "ws://{}/v1/sessions/ws/{session}/subscribe?organization_uuid=org-1",
            self.address
        )
    }

    pub(crate) async fn viewer(&self) -> Viewer {
        Viewer::connect(&self.subscribe_url(&self.session.v1()), Some(TOKEN)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        self.http("GET", path, "").await
    }

    pub(crate) async fn post_events(&self, events: &[&str]) -> (StatusCode, String) {
        let path = format!("/v1/sessions/{}/events", self.session);
        self.http(
            "POST",
            &path,
            &format!("{{\"events\":[{}]}}", events.join(",")),
        )
        .await
    }

    pub(crate) async fn http(&self, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Body::from(body.to_owned()))
            .unwrap();
        text(self.raw(request).await).await
    }

    pub(crate) async fn raw(&self, request: Request<Body>) -> Response<Body> {
        soon(self.relay.router().oneshot(request)).await.unwrap()
    }

    /// The texts of the stored frames, in order.
    pub(crate) async fn log(&self) -> Vec<String> {
        let path = format!("/v1/sessions/{}/events?limit=1000", self.session);
        let (status, body) = self.get(&path).await;
        assert_eq!(status, 200, "{body}");
        raw_items(&body)
    }

    pub(crate) async fn status(&self) -> String {
        let (_, body) = self.get(&format!("/v1/sessions/{}", self.session)).await;
        let session: Value = serde_json::from_str(&body).unwrap();
        session["session_status"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn text(response: Response<Body>) -> (StatusCode, String) {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// What stands in `data`, byte for byte.
pub(crate) fn raw_items(page: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        data: Vec<&'a serde_json::value::RawValue>,
    }
    let page: Page<'_> = serde_json::from_str(page).unwrap();
    page.data.iter().map(|raw| raw.get().to_owned()).collect()
}

/// One connected viewer.
pub(crate) struct Viewer {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Viewer {
    pub(crate) async fn connect(url: &str, token: Option<&str>) -> Self {
        let mut request = url.into_client_request().unwrap();
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let (socket, _) = soon(connect_async(request)).await.unwrap();
        Self { socket }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.message(Message::text(format!("{text}\n"))).await;
    }

    pub(crate) async fn message(&mut self, message: Message) {
        soon(self.socket.send(message)).await.unwrap();
    }

    /// The next frame; it ends with exactly one line break, which is cut off.
    pub(crate) async fn frame(&mut self) -> String {
        match self.next().await {
            Ok(frame) => frame,
            Err(close) => panic!("closed instead of a frame: {close:?}"),
        }
    }

    pub(crate) async fn frames(&mut self, count: usize) -> Vec<String> {
        let mut frames = Vec::new();
        for _ in 0..count {
            frames.push(self.frame().await);
        }
        frames
    }

    /// Reads on until the socket is closed, and says how.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Err(close) = self.next().await {
                let close = close.expect("a close frame");
                return (close.code.into(), close.reason.to_string());
            }
        }
    }

    /// A frame that is no word about the relay itself or about deliveries, or the close frame if the
    /// socket ended with one.
    pub(crate) async fn next(&mut self) -> Result<String, Option<CloseFrame>> {
        loop {
            let frame = self.next_of_any_kind().await?;
            let aside = [r#"{"type":"keep_alive""#, r#"{"type":"delivery_update""#];
            if !aside.iter().any(|start| frame.starts_with(start)) {
                return Ok(frame);
            }
        }
    }

    pub(crate) async fn next_of_any_kind(&mut self) -> Result<String, Option<CloseFrame>> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let frame = text.strip_suffix('\n').expect("a line break at the end");
                    assert!(!frame.contains('\n'));
                    return Ok(frame.to_owned());
                }
                Some(Ok(Message::Close(close))) => return Err(close),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }
}

pub(crate) fn user(uuid: &str) -> String {
    format!(
        r#"{{"uuid":"{uuid}","type":"user","message":{{"role":"user","content":"hello {uuid}"}}}}"#
    )
}

pub(crate) fn assistant(uuid: &str) -> String {
    format!(
        r#"{{"type":"assistant","uuid":"{uuid}","message":{{"role":"assistant","content":[]}}}}"#
    )
}

pub(crate) fn prompt(request_id: &str) -> String {
    format!(
        r#"{{"type":"control_request","uuid":"ask-{request_id}","request_id":"{request_id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"ls"}}}}}}"#
    )
}

pub(crate) fn cancel(request_id: &str) -> String {
    format!(
        r#"{{"type":"control_cancel_request","uuid":"cancel-{request_id}","request_id":"{request_id}"}}"#
    )
}

pub(crate) fn answer(request_id: &str, uuid: &str) -> String {
    format!(
        r#"{{"type":"control_response","uuid":"{uuid}","response":{{"subtype":"success","request_id":"{request_id}","response":{{"behavior":"allow","updatedInput":{{"command":"ls"}}}}}}}}"#
    )
}

/// Checks that `frame` tells everybody that `answer_id` settled a prompt.
pub(crate) fn assert_settles(frame: &str, request_id: &str, answer_id: &str) {
    let mut told: Value = serde_json::from_str(frame).unwrap();
    let uuid = told.as_object_mut().unwrap().remove("uuid");
    assert!(uuid.is_some_and(|uuid| uuid.is_string()), "{frame}");
    let expected = serde_json::json!({
        "type": "system", "subtype": "permission_settled", "request_id": request_id,
        "behavior": "allow", "answer_id": answer_id,
        "answered_by": {"name": null, "role": "own"},
    });
    assert_eq!(told, expected);
}

pub(crate) fn request(request_id: &str, subtype: &str) -> String {
    format!(
        r#"{{"type":"control_request","uuid":"req-{request_id}","request_id":"{request_id}","request":{{"subtype":"{subtype}"}}}}"#
    )
}
