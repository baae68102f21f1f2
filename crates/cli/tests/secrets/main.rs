//! A token, the credential that the relay gives a worker, and what people and agents say, are read by nobody
//! but their server: not in a log at any level, in no `Debug`, in no error.
//!
//! Whole sessions, on every adapter and over both transports, with a relay in the same process, and everything
//! that this process logs is read: its own crates' lines and those of the libraries below them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "what the test does not expect ends it, and events it does not look for are passed over"
)]

mod asynchronous;
mod log;
mod shown;
mod threads;

use std::{sync::Arc, time::Duration};

use attache_driver::{BaseUrl, Options, Plaintext, ProxyOptions, StaticToken};
use attache_protocol::{
    Bytes, SessionId,
    io::{HttpRequest, Method, Server, Token},
    viewer::{Transport, ViewerConfig},
    worker::{NewSession, SessionChoice, WorkerConfig},
};
use attache_relay::{MemoryStore, Relay, RelayOptions};
use attache_tokio::Http;
use serde_json::Value;
use tokio::{net::TcpListener, time::timeout};

use log::Line;

/// What must not be found. Neither stands in any name or address.
pub(crate) const TOKEN: &str = "canary-of-a-token-7f3a";
pub(crate) const WORDS: &str = "canary-of-what-is-said-9c1e";
/// How what the relay gives a worker as its credential begins, as every JWT does.
const GRANT: &str = "eyJ";
const LIMIT: Duration = Duration::from_secs(60);

/// The libraries that are known to log requests and messages, at their finest level only, as the adapters'
/// documentation says.
const TALKATIVE: [&str; 2] = ["tungstenite", "ureq_proto"];

#[derive(Copy, Clone, Debug)]
enum Adapter {
    Tokio,
    AsyncStd,
    Threads,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_and_no_debug_tells_a_token_or_what_is_said() {
    log::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let relay = Relay::new(Arc::new(MemoryStore::new()), RelayOptions::default());
    let serving = tokio::spawn(relay.serve(listener, std::future::pending()));
    let granted = timeout(LIMIT, granted(&base_url)).await.expect("in time");
    assert!(granted.starts_with(GRANT), "grants are looked for in vain");
    for adapter in [Adapter::Tokio, Adapter::AsyncStd, Adapter::Threads] {
        for transport in [Transport::WebSocket, Transport::Sse] {
            let session = session(adapter, transport, &base_url);
            timeout(LIMIT, session).await.expect("in time");
        }
    }
    serving.abort();

    let lines = log::lines();
    for target in [
        "attache_driver",
        "attache_blocking",
        "attache_relay",
        "ureq",
    ] {
        let heard = lines.iter().any(|line| line.target.starts_with(target));
        assert!(heard, "nothing is heard of {target}");
    }
    let is_of = |line: &Line, target: &str| line.is_trace && line.target.starts_with(target);
    let leaks: Vec<&Line> = lines.iter().filter(|line| is_leak(&line.text)).collect();
    let is_known = |line: &Line| TALKATIVE.iter().any(|target| is_of(line, target));
    let unknown = leaks.iter().find(|line| !is_known(line));
    assert!(unknown.is_none(), "{unknown:?}");
    for target in TALKATIVE {
        assert!(
            leaks.iter().any(|line| is_of(line, target)),
            "the documentation warns of {target} without need"
        );
    }
}

#[test]
fn no_debug_and_no_error_tells_a_token_or_what_is_said() {
    for text in shown::everything() {
        assert!(!is_leak(&text), "{text}");
    }
}

/// A worker and a viewer, from the first word to the last.
async fn session(adapter: Adapter, transport: Transport, base_url: &str) {
    let worker = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
    let viewer = move |id: SessionId| {
        let mut config = ViewerConfig::new(id);
        config.transport = transport;
        config
    };
    let shown = match adapter {
        Adapter::Tokio => {
            let (session, events, _driver) =
                attache_tokio::spawn_worker(worker, options(base_url), token()).unwrap();
            let (id, worker) = asynchronous::work(session, events).await;
            let (session, events, _driver) =
                attache_tokio::spawn(viewer(id), options(base_url), token()).unwrap();
            asynchronous::view(session, events).await + &worker.await.unwrap()
        }
        Adapter::AsyncStd => {
            let (session, events, _driver) =
                attache_async_std::spawn_worker(worker, options(base_url), token()).unwrap();
            let (id, worker) = asynchronous::work(session, events).await;
            let (session, events, _driver) =
                attache_async_std::spawn(viewer(id), options(base_url), token()).unwrap();
            asynchronous::view(session, events).await + &worker.await.unwrap()
        }
        Adapter::Threads => {
            let base_url = base_url.to_owned();
            let story = move || {
                let (session, events, _driver) =
                    attache_blocking::spawn_worker(worker, options(&base_url), token()).unwrap();
                let (id, worker) = threads::work(session, events);
                let (session, events, _driver) =
                    attache_blocking::spawn(viewer(id), options(&base_url), token()).unwrap();
                threads::view(&session, events) + &worker.join().unwrap()
            };
            tokio::task::spawn_blocking(story).await.unwrap()
        }
    };
    assert!(shown.contains("PermissionSettled"), "{shown}");
    assert!(!is_leak(&shown), "{adapter:?} {transport:?} {shown}");
}

fn is_leak(text: &str) -> bool {
    [TOKEN, WORDS, GRANT]
        .iter()
        .any(|canary| text.contains(canary))
}

/// A credential that the relay gives a worker.
async fn granted(base_url: &str) -> String {
    let http = Http::new(&options(base_url)).unwrap();
    let created = http.call(post("/v1/code/sessions")).await.unwrap();
    let created: Value = serde_json::from_slice(&created.body).unwrap();
    let id = created["session"]["id"].as_str().unwrap();
    let bridge = http
        .call(post(&format!("/v1/code/sessions/{id}/bridge")))
        .await
        .unwrap();
    let bridge: Value = serde_json::from_slice(&bridge.body).unwrap();
    bridge["worker_jwt"].as_str().unwrap().to_owned()
}

fn post(path: &str) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        server: Server::Configured,
        path: path.into(),
        bearer: Token::new(TOKEN),
        headers: Vec::new(),
        body: Some(Bytes::from_static(br#"{"bridge":{}}"#)),
        response_limit: 64 * 1024,
    }
}

fn options(base_url: &str) -> Options {
    let mut options = Options::new(BaseUrl::parse(base_url, Plaintext::LoopbackOnly).unwrap());
    options.proxy = ProxyOptions::Direct;
    options
}

fn token() -> StaticToken {
    StaticToken::new(TOKEN)
}

/// What the agent says when it is spoken to.
fn said() -> [String; 2] {
    [
        format!(
            r#"{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":"{WORDS}"}}]}}}}"#
        ),
        format!(
            r#"{{"type":"control_request","request_id":"r1","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"{WORDS}"}}}}}}"#
        ),
    ]
}
