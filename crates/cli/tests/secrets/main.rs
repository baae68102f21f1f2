//! A token, the credential that the relay gives a worker, and what people and agents say, are read by nobody
//! but their server: not in a log at any level, in no `Debug`, in no error, in no panic.
//!
//! Whole sessions, on every adapter and over both transports, encrypted and not, with a relay in the same
//! process, and everything that this process logs is read: its own crates' lines and those of the libraries below
//! them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "what the test does not expect ends it, and events it does not look for are passed over"
)]

mod asynchronous;
mod front;
mod log;
mod panics;
mod shown;
mod threads;

use std::{sync::Arc, time::Duration};

use attache_driver::{BaseUrl, Options, Plaintext, ProxyOptions, StaticToken};
use attache_protocol::{
    Bytes, SessionId,
    io::{HttpRequest, Method, Server, Token, TokenReason, TokenRefusal},
    viewer::{Transport, ViewerConfig},
    worker::{NewSession, SessionChoice, WorkerConfig},
};
use attache_relay::{MemoryStore, Relay, RelayOptions, ServeError};
use attache_tokio::Http;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

use front::Front;
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

impl Adapter {
    const ALL: [Self; 3] = [Self::Tokio, Self::AsyncStd, Self::Threads];
}

/// How a relay is reached.
#[derive(Clone)]
struct Way {
    base_url: String,
    /// Takes the encryption off, if there is any.
    front: Option<Arc<Front>>,
}

impl Way {
    async fn plain() -> (Self, JoinHandle<Result<(), ServeError>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let front = None;
        let way = Self { base_url, front };
        (way, serve(listener, RelayOptions::default()))
    }

    async fn encrypted() -> (Self, JoinHandle<Result<(), ServeError>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Front::before(listener.local_addr().unwrap()).await;
        let base_url = front.base_url();
        let mut options = RelayOptions::default();
        options.api_base_url = Some(base_url.clone());
        let front = Some(Arc::new(front));
        let way = Self { base_url, front };
        (way, serve(listener, options))
    }

    /// Nobody is there.
    fn nowhere() -> Self {
        Self {
            base_url: "http://127.0.0.1:1".to_owned(),
            front: None,
        }
    }

    fn options(&self) -> Options {
        let base_url = BaseUrl::parse(&self.base_url, Plaintext::LoopbackOnly).unwrap();
        let mut options = Options::new(base_url);
        options.proxy = ProxyOptions::Direct;
        if let Some(front) = &self.front {
            options.tls.extra_ca_file = Some(front.authority_file().to_owned());
        }
        options
    }
}

fn serve(listener: TcpListener, options: RelayOptions) -> JoinHandle<Result<(), ServeError>> {
    let relay = Relay::new(Arc::new(MemoryStore::new()), options);
    tokio::spawn(relay.serve(listener, std::future::pending()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_and_no_debug_tells_a_token_or_what_is_said() {
    log::start();
    let (plain, plain_serving) = Way::plain().await;
    let (encrypted, encrypted_serving) = Way::encrypted().await;
    let granted = timeout(LIMIT, granted(&plain)).await.expect("in time");
    assert!(granted.starts_with(GRANT), "grants are looked for in vain");
    for way in [&plain, &encrypted] {
        for adapter in Adapter::ALL {
            for transport in [Transport::WebSocket, Transport::Sse] {
                let session = session(adapter, transport, way);
                timeout(LIMIT, session).await.expect("in time");
            }
        }
    }
    plain_serving.abort();
    encrypted_serving.abort();

    let lines = log::lines();
    for target in [
        "attache_driver",
        "attache_blocking",
        "attache_relay",
        "rustls",
        "ureq",
    ] {
        let heard = lines.iter().any(|line| line.target.starts_with(target));
        assert!(heard, "nothing is heard of {target}");
    }
    assert_eq!(unknown_leak(&lines), None);
    for target in TALKATIVE {
        let leaks = |line: &Line| is_of(line, target) && is_leak(&line.text);
        assert!(
            lines.iter().any(leaks),
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

#[test]
fn no_panic_of_an_application_tells_a_token_or_what_is_said() {
    let shown = shown::everything();
    shown::differences();
    let heard = panics::heard();
    assert!(heard.len() > shown.len(), "{} panics", heard.len());
    let leak = heard.iter().find(|said| is_leak(said));
    assert_eq!(leak, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_source_that_panics_with_a_token_in_its_hands_tells_nobody_the_token() {
    panics::listen();
    log::start();
    for adapter in Adapter::ALL {
        let seen = timeout(LIMIT, without_tokens(adapter));
        let seen = seen.await.expect("in time");
        assert!(!is_leak(&seen), "{seen}");
        let heard = panics::heard();
        let name = format!("{adapter:?} asks");
        assert!(heard.iter().any(|said| said.contains(&name)), "{heard:?}");
        let leak = heard.iter().find(|said| is_leak(said));
        assert_eq!(leak, None);
    }
    assert_eq!(unknown_leak(&log::lines()), None);
}

/// A viewer whose application panics when it is asked for a token, with the token in its hands. What can be seen
/// of it.
async fn without_tokens(adapter: Adapter) -> String {
    let mut config = ViewerConfig::new(SessionId::parse("session_x").unwrap());
    config.patience.token = Duration::from_millis(100);
    // Nobody is called before there is a token.
    let options = Way::nowhere().options();
    match adapter {
        Adapter::Tokio => {
            let tokens = move |_: TokenReason| async move { asked_by(adapter) };
            let (session, events, driver) = attache_tokio::spawn(config, options, tokens).unwrap();
            let seen = asynchronous::look_on(session, events).await;
            let ended = driver.await.unwrap_err();
            format!("{seen} {ended:?} {ended}")
        }
        Adapter::AsyncStd => {
            let tokens = move |_: TokenReason| async move { asked_by(adapter) };
            let (session, events, _driver) =
                attache_async_std::spawn(config, options, tokens).unwrap();
            asynchronous::look_on(session, events).await
        }
        Adapter::Threads => {
            let tokens = move |_: TokenReason| asked_by(adapter);
            let story = move || {
                let (session, events, driver) =
                    attache_blocking::spawn(config, options, tokens).unwrap();
                let seen = threads::look_on(&session, events);
                format!("{seen} {:?}", driver.join())
            };
            tokio::task::spawn_blocking(story).await.unwrap()
        }
    }
}

fn asked_by(adapter: Adapter) -> Result<Token, TokenRefusal> {
    let token = Token::new(TOKEN);
    panic!("{}, when {adapter:?} asks: {token:?}", panics::WANTED)
}

/// A worker and a viewer, from the first word to the last.
async fn session(adapter: Adapter, transport: Transport, way: &Way) {
    let worker = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
    let viewer = move |id: SessionId| {
        let mut config = ViewerConfig::new(id);
        config.transport = transport;
        config
    };
    let shown = match adapter {
        Adapter::Tokio => {
            let (session, events, _driver) =
                attache_tokio::spawn_worker(worker, way.options(), token()).unwrap();
            let (id, worker) = asynchronous::work(session, events).await;
            let (session, events, _driver) =
                attache_tokio::spawn(viewer(id), way.options(), token()).unwrap();
            asynchronous::view(session, events).await + &worker.await.unwrap()
        }
        Adapter::AsyncStd => {
            let (session, events, _driver) =
                attache_async_std::spawn_worker(worker, way.options(), token()).unwrap();
            let (id, worker) = asynchronous::work(session, events).await;
            let (session, events, _driver) =
                attache_async_std::spawn(viewer(id), way.options(), token()).unwrap();
            asynchronous::view(session, events).await + &worker.await.unwrap()
        }
        Adapter::Threads => {
            let way = way.clone();
            let story = move || {
                let (session, events, _driver) =
                    attache_blocking::spawn_worker(worker, way.options(), token()).unwrap();
                let (id, worker) = threads::work(session, events);
                let (session, events, _driver) =
                    attache_blocking::spawn(viewer(id), way.options(), token()).unwrap();
                threads::view(&session, events) + &worker.join().unwrap()
            };
            tokio::task::spawn_blocking(story).await.unwrap()
        }
    };
    assert!(shown.contains("PermissionSettled"), "{shown}");
    assert!(
        !is_leak(&shown),
        "{adapter:?} {transport:?} {} {shown}",
        way.base_url
    );
}

/// A line with a secret, of somebody of whom the documentation does not warn.
fn unknown_leak(lines: &[Line]) -> Option<&Line> {
    let is_known = |line: &Line| TALKATIVE.iter().any(|target| is_of(line, target));
    let is_unknown = |line: &&Line| is_leak(&line.text) && !is_known(line);
    lines.iter().find(is_unknown)
}

fn is_of(line: &Line, target: &str) -> bool {
    line.is_trace && line.target.starts_with(target)
}

fn is_leak(text: &str) -> bool {
    [TOKEN, WORDS, GRANT]
        .iter()
        .any(|canary| text.contains(canary))
}

/// A credential that the relay gives a worker.
async fn granted(way: &Way) -> String {
    let http = Http::new(&way.options()).unwrap();
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
