//! A relay with small limits, asked on one thread, so that what it allocates can be counted.

use core::time::Duration;
use std::sync::Arc;

use attache_protocol::{SessionId, io::Token};
use attache_relay::{Credentials, Endpoint, MemoryStore, Relay, RelayOptions};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{KIB, MIB};

const TOKEN: &str = "synthetic-token";
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest body there may be.
pub(crate) const BODY_LIMIT: usize = MIB;

pub(crate) struct Small {
    router: Router,
    worker: (String, u64),
}

impl Small {
    /// A relay with one session and its worker.
    pub(crate) async fn new() -> Self {
        let mut options = RelayOptions::default();
        options.credentials = Credentials::Tokens(vec![Token::new(TOKEN)]);
        options.posts.per_second = 0;
        options.requests.per_second = 0;
        options.body_limit_bytes = BODY_LIMIT;
        options.worker_state_limit_bytes = 16 * KIB;
        options.agent_backlog = 32;
        options.detached_backlog = 32;
        options.open_requests = 32;
        options.live_uuid_memory = 256;
        options.retention.frames = 64;
        options.retention.bytes = 256 * KIB as u64;
        options.retention.remembered = 256;
        let relay = Relay::new(Arc::new(MemoryStore::new()), options);
        let id = SessionId::parse("session_a").unwrap();
        relay.create_session_as(id, "a test").await.unwrap();
        let mut small = Self {
            router: relay.router(),
            worker: (String::new(), 0),
        };
        let (status, answer) = small
            .ask("POST", "/v1/code/sessions/cse_a/bridge", "{}")
            .await;
        assert_eq!(status, 200, "{answer}");
        let given: Value = serde_json::from_str(&answer).unwrap();
        let token = given["worker_jwt"].as_str().unwrap().to_owned();
        small.worker = (token, given["worker_epoch"].as_u64().unwrap());
        small
    }

    /// Everything that takes a body, as a method and a path.
    pub(crate) fn writes() -> Vec<(&'static str, String)> {
        let takes_a_body = |endpoint: &Endpoint| !matches!(endpoint.method, "GET" | "DELETE");
        let endpoints = Relay::endpoints().into_iter().filter(takes_a_body);
        let path = |endpoint: &Endpoint| endpoint.path.replace("{id}", "session_a");
        // An archived session takes nothing any more, and so it is archived last.
        let mut writes: Vec<_> = endpoints.map(|one| (one.method, path(&one))).collect();
        writes.sort_by_key(|(_, path)| path.ends_with("/archive"));
        writes
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.worker.1
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, String) {
        let token = if path.contains("/worker") {
            &self.worker.0
        } else {
            TOKEN
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .body(body.into())
            .unwrap();
        let answered = async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let answer = tokio::time::timeout(PATIENCE, answered).await;
        answer.expect("the relay answers")
    }
}

/// Runs a story on this thread; the most that was held at one time while it went on, in bytes.
pub(crate) fn most_held(story: impl Future<Output = ()>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.unwrap();
    let info = allocation_counter::measure(|| runtime.block_on(story));
    usize::try_from(info.bytes_max).unwrap()
}
