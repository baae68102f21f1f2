//! The relay's requests: whatever is asked, in whatever order, there is an answer in the wire's own shape,
//! and the log stays one log.
//!
//! An input is text, so that it can be read and written by hand: requests, each with a first line, headers,
//! a blank line and a body, between lines of `~~~`.
//!
//! ```text
//! POST /v1/sessions/session_a/events
//!
//! {"events":[{"type":"user","uuid":"u1"}]}
//! ~~~
//! GET /v1/sessions/session_a/events?limit=2
//! ```
//!
//! Without an `authorization` header a worker's token is sent where workers go, and a person's elsewhere.
//! `{worker}` stands for that token and `{epoch}` for its epoch.

mod answer;
mod log;
mod script;
mod streams;

use std::{sync::Arc, time::Duration};

use attache_protocol::SessionId;
use attache_relay::{MemoryStore, Relay, RelayOptions};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tower::ServiceExt as _;

use script::Step;
use streams::Streams;

/// The session that is there from the start.
const SESSION: &str = "session_a";
/// Nothing here waits for anything; whoever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes `data` as a script of requests.
pub fn check(data: &[u8]) {
    let Ok(script) = str::from_utf8(data) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime of this thread");
    runtime.block_on(async {
        let told = tokio::time::timeout(PATIENCE, tell(script)).await;
        assert!(told.is_ok(), "the relay hangs");
    });
}

async fn tell(script: &str) {
    let mut client = Client::new().await;
    for step in script::steps(script) {
        client.take(step).await;
    }
    log::is_one(&client.router).await;
}

/// Somebody who asks the relay for this and that.
struct Client {
    router: Router,
    registration: Option<Registration>,
    streams: Streams,
}

/// What `/bridge` gives a worker.
#[derive(Deserialize)]
struct Registration {
    worker_jwt: String,
    worker_epoch: u64,
}

impl Client {
    async fn new() -> Self {
        let mut options = RelayOptions::default();
        // Small enough that an input can reach them.
        options.body_limit_bytes = 2048;
        options.batch_limit = 8;
        options.worker_state_limit_bytes = 512;
        options.agent_backlog = 8;
        options.detached_backlog = 4;
        options.open_requests = 4;
        options.live_uuid_memory = 4;
        options.viewer_buffer_frames = 4;
        let relay = Relay::new(Arc::new(MemoryStore::new()), options);
        let id = SessionId::parse(SESSION).expect("plain characters");
        let made = relay.create_session_as(id, "a session").await;
        made.expect("nothing is in its way");
        Self {
            router: relay.router(),
            registration: None,
            streams: Streams::default(),
        }
    }

    async fn take(&mut self, step: Step<'_>) {
        let is_head = step.method == "HEAD";
        let Some(request) = self.request(step).await else {
            return;
        };
        let path = request.uri().path().to_owned();
        let response = ask(&self.router, request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let kind = headers.get(header::CONTENT_TYPE);
        if kind.is_some_and(|kind| kind == "text/event-stream") {
            self.streams.add(response.into_body());
        } else {
            let body = whole(response).await;
            if !is_head {
                answer::is_well_formed(&path, status, &headers, &body);
            }
            if status == StatusCode::OK && path.ends_with("/bridge") {
                let registration = serde_json::from_slice(&body);
                self.registration = Some(registration.expect("a registration"));
            }
        }
        self.streams.drain().await;
    }

    /// The step as a request, if it can be one.
    async fn request(&mut self, step: Step<'_>) -> Option<Request<Body>> {
        let for_worker = step.path.contains("/worker");
        if self.registration.is_none() && (for_worker || step.needs_worker()) {
            self.register().await;
        }
        let (token, epoch) = match &self.registration {
            Some(one) => (one.worker_jwt.as_str(), one.worker_epoch.to_string()),
            None => ("", String::new()),
        };
        let filled = |text: &str| text.replace("{worker}", token).replace("{epoch}", &epoch);
        let mut request = Request::builder()
            .method(step.method)
            .uri(filled(step.path))
            .header(header::HOST, "localhost");
        if !step.has_header("authorization") {
            let token = if for_worker { token } else { "a-person" };
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &step.headers {
            request = request.header(*name, filled(value));
        }
        request.body(Body::from(filled(step.body))).ok()
    }

    async fn register(&mut self) {
        let request = Request::post("/v1/code/sessions/cse_a/bridge")
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, "Bearer a-person")
            .body(Body::empty())
            .expect("a plain request");
        let response = ask(&self.router, request).await;
        if response.status() == StatusCode::OK {
            let registration = serde_json::from_slice(&whole(response).await);
            self.registration = Some(registration.expect("a registration"));
        }
    }
}

async fn ask(router: &Router, request: Request<Body>) -> Response {
    let answered = router.clone().oneshot(request).await;
    answered.unwrap_or_else(|impossible| match impossible {})
}

async fn whole(response: Response) -> Bytes {
    let body = response.into_body().collect().await;
    body.expect("a body in memory can be read").to_bytes()
}
