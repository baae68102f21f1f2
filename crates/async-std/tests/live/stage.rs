//! A relay on threads of its own.

use std::sync::Arc;

use attache_async_std::{BaseUrl, Options, Plaintext, ProxyOptions, StaticToken};
use attache_protocol::{SessionId, io::Token};
use attache_relay::{Agent, Credentials, MemoryStore, Relay, RelayOptions};
use tokio::{net::TcpListener, runtime::Runtime};

/// The credential that the relay takes.
const TOKEN: &str = "hunter2";

pub(crate) struct Stage {
    relay: Relay,
    address: std::net::SocketAddr,
    threads: Runtime,
}

impl Stage {
    pub(crate) fn open() -> Self {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut options = RelayOptions::default();
        options.credentials = Credentials::Tokens(vec![Token::new(TOKEN)]);
        let relay = Relay::new(Arc::new(MemoryStore::default()), options);
        let listener = threads
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        threads.spawn(relay.serve(listener, std::future::pending()));
        Self {
            relay,
            address,
            threads,
        }
    }

    /// A session with an agent in it.
    pub(crate) fn session(&self) -> (SessionId, Agent) {
        self.now(async {
            let id = self.relay.create_session("test").await.unwrap();
            let agent = self.relay.attach_agent(&id).await.unwrap();
            (id, agent)
        })
    }

    /// Has the agent say something with this uuid.
    pub(crate) fn says(&self, agent: &Agent, uuid: &str) {
        let text = format!(r#"{{"type":"assistant","uuid":"{uuid}"}}"#);
        self.now(agent.publish(&text)).unwrap();
    }

    /// Waits for something of the relay's.
    pub(crate) fn now<T>(&self, future: impl Future<Output = T>) -> T {
        self.threads.block_on(future)
    }

    pub(crate) fn options(&self) -> Options {
        let url = format!("http://{}", self.address);
        let base_url = BaseUrl::parse(&url, Plaintext::LoopbackOnly).unwrap();
        let mut options = Options::new(base_url);
        options.proxy = ProxyOptions::Direct;
        options
    }

    pub(crate) fn token() -> StaticToken {
        StaticToken::new(TOKEN)
    }
}
