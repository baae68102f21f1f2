//! A relay inside the test for bridges outside it. It can crash and come back.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use attache_protocol::SessionId;
use attache_relay::{
    MemoryStore, Relay, RelayOptions, Store,
    store::{After, Retention, SessionStatus, StoredFrame},
};
use serde_json::Value;
use tokio::{net::TcpListener, process::Command, task::JoinHandle, time::timeout};

use crate::{
    agent::scripted_agent,
    program::{LIMIT, Running, attache},
};

/// Answers `initialize`.
const INTRODUCTION: &str = r#"
read -r line; id="${line#*request_id\":\"}"; id="${id%%\"*}"
echo '{"type":"control_response","response":{"subtype":"success","request_id":"'"$id"'","response":{}}}'
"#;

pub(crate) struct Hub {
    pub(crate) relay: Relay,
    store: Arc<MemoryStore>,
    options: RelayOptions,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::with(RelayOptions::default()).await
    }

    pub(crate) async fn with(options: RelayOptions) -> Self {
        let store = Arc::new(MemoryStore::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let relay = Relay::new(store.clone(), options.clone());
        let serving = serve(&relay, listener);
        Self {
            relay,
            store,
            options,
            address,
            serving,
        }
    }

    /// Breaks every connection and closes the port; only the store is left.
    pub(crate) async fn crash(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
        self.relay.kill();
        self.relay = Relay::new(self.store.clone(), self.options.clone());
    }

    /// Listens again, on the same port.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = serve(&self.relay, listener);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The program, pointed at this relay.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        pointed_at(self.address, arguments)
    }

    /// A bridge with `options` and the scripted agent, and its session.
    pub(crate) async fn bridge(&self, options: &[&str]) -> (Running, SessionId) {
        self.bridge_through(self.address, options).await
    }

    /// The same, with `server` between the bridge and this relay.
    pub(crate) async fn bridge_through(
        &self,
        server: SocketAddr,
        options: &[&str],
    ) -> (Running, SessionId) {
        let arguments = [
            &["bridge"],
            options,
            &["--", scripted_agent(), "--some", "flag"],
        ]
        .concat();
        connected(Running::start(&mut pointed_at(server, &arguments))).await
    }

    /// A bridge with a shell script as its agent, and its session. The script is introduced already.
    pub(crate) async fn shell(&self, options: &[&str], script: &str) -> (Running, SessionId) {
        let script = format!("{INTRODUCTION}\n{script}");
        let arguments = [&["bridge"], options, &["--", "/bin/sh", "-c", &script]].concat();
        connected(Running::start(&mut self.command(&arguments))).await
    }

    /// A viewer of `session` that is connected.
    pub(crate) async fn viewer(&self, session: &SessionId) -> Viewer {
        let id = session.to_string();
        let arguments = ["attach", &id, "--json", "--history", "all"];
        let mut running = Running::start(&mut self.command(&arguments));
        running
            .line(|line| line.contains("\"status\":\"live\""))
            .await;
        Viewer(running)
    }

    /// Everything in `session`'s log.
    pub(crate) async fn log(&self, session: &SessionId) -> Vec<Value> {
        let all = self
            .store
            .frames(session, After::Sequence(0), None, 100_000);
        let frames: Vec<StoredFrame> = timeout(LIMIT, all).await.unwrap().unwrap().frames;
        frames
            .iter()
            .map(|frame| serde_json::from_str(&frame.text).unwrap())
            .collect()
    }

    /// Gives up all but the last `frames` of `session`'s log.
    pub(crate) async fn keep(&self, session: &str, frames: u64) {
        let session = SessionId::parse(session).unwrap();
        let mut keep = Retention::default();
        keep.frames = frames;
        let pruned = self
            .store
            .prune(&session, &keep, u64::MAX, SystemTime::now());
        pruned.await.unwrap();
    }

    pub(crate) async fn is_archived(&self, session: &SessionId) -> bool {
        let record = self.store.session(session).await.unwrap().unwrap();
        record.status == SessionStatus::Archived
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Waits until `bridge` is connected: a start is tried only so often, and what a test does to the link is not meant for
/// it. Its session.
async fn connected(mut bridge: Running) -> (Running, SessionId) {
    let line = bridge.line(|line| line.starts_with("session ")).await;
    let id = line.trim_start_matches("session ");
    bridge.note(|line| line.starts_with("connected")).await;
    (bridge, SessionId::parse(id).unwrap())
}

fn pointed_at(server: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = attache(arguments);
    command
        .env("ATTACHE_BASE_URL", format!("http://{server}"))
        .env("ATTACHE_TOKEN", "a-token");
    command
}

fn serve(relay: &Relay, listener: TcpListener) -> JoinHandle<()> {
    let serving = relay.serve(listener, std::future::pending());
    tokio::spawn(async move {
        serving.await.unwrap();
    })
}

/// A person's `attach --json`.
pub(crate) struct Viewer(Running);

impl Viewer {
    pub(crate) async fn say(&mut self, text: &str) {
        self.command(&serde_json::json!({"command": "send", "content": text}))
            .await;
    }

    pub(crate) async fn command(&mut self, command: &Value) {
        self.0.type_line(&command.to_string()).await;
    }

    /// The next line that tells of `event`.
    pub(crate) async fn event(&mut self, event: &str) -> Value {
        let prefix = format!("{{\"event\":\"{event}\"");
        let line = self.0.line(|line| line.starts_with(&prefix)).await;
        serde_json::from_str(&line).unwrap()
    }

    /// The next message of the agent of the type `name`.
    pub(crate) async fn message(&mut self, name: &str) -> Value {
        let search = async {
            loop {
                let mut event = self.event("message").await;
                if event["message"]["type"] == name {
                    return event["message"].take();
                }
            }
        };
        timeout(LIMIT, search).await.expect("in time")
    }

    /// Says something and waits for the end of the turn.
    pub(crate) async fn turn(&mut self, text: &str) -> Value {
        self.say(text).await;
        self.message("result").await
    }
}
