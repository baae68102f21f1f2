//! A relay on threads of its own.

use std::{net::SocketAddr, sync::Arc};

use attache_async_std::{BaseUrl, Options, Plaintext, ProxyOptions, StaticToken};
use attache_protocol::{SessionId, io::Token};
use attache_relay::{Agent, Credentials, MemoryStore, Relay, RelayOptions};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

pub(crate) struct Stage {
    relay: Relay,
    address: SocketAddr,
    threads: Runtime,
}

impl Stage {
    /// The credential that the relay takes.
    pub(crate) const TOKEN: &str = "hunter2";

    pub(crate) fn open() -> Self {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut options = RelayOptions::default();
        options.credentials = Credentials::Tokens(vec![Token::new(Self::TOKEN)]);
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

    /// Whether nobody may work in the session any more.
    pub(crate) fn is_archived(&self, id: &SessionId) -> bool {
        self.now(self.relay.attach_agent(id)).is_err()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens for whatever else is needed, as long as the stage is open.
    pub(crate) fn listen<Serving: Future<Output = ()> + Send + 'static>(
        &self,
        serve: impl Fn(TcpStream) -> Serving + Send + 'static,
    ) -> SocketAddr {
        let listener = self.now(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        self.threads.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn options(&self) -> Options {
        let base_url = BaseUrl::parse(&self.url(), Plaintext::LoopbackOnly).unwrap();
        let mut options = Options::new(base_url);
        options.proxy = ProxyOptions::Direct;
        options
    }

    pub(crate) fn token() -> StaticToken {
        StaticToken::new(Self::TOKEN)
    }
}
