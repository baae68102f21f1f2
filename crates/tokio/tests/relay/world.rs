//! A relay on a port of its own, and viewers of its one session.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use attache_protocol::{
    SessionId,
    io::Token,
    policy::{CloseCause, Delays, Limit, RetryRule},
    viewer::{Event, History, Status, Transport, ViewerConfig},
};
use attache_relay::{Credentials, MemoryStore, Relay, RelayOptions};
use attache_tokio::{BaseUrl, Events, Options, Plaintext, ProxyOptions, Session, StaticToken};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

const TOKEN: &str = "synthetic-token";

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(LIMIT, what).await.expect("within 30 s")
}

pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) session: SessionId,
    store: Arc<MemoryStore>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), attache_relay::ServeError>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Credentials::Tokens(vec![Token::new(TOKEN)])).await
    }

    /// A relay that lets these in.
    pub(crate) async fn with(credentials: Credentials) -> Self {
        let store = Arc::new(MemoryStore::new());
        let relay = relay_over(&store, credentials);
        let session = relay.create_session("a test").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(store, relay, session, listener)
    }

    fn serve(
        store: Arc<MemoryStore>,
        relay: Relay,
        session: SessionId,
        listener: TcpListener,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(relay.clone().serve(listener, async { drop(stopped.await) }));
        Self {
            relay,
            session,
            store,
            address,
            stop,
            serving,
        }
    }

    /// The relay is killed, and another one takes its place.
    pub(crate) async fn restart(self) -> Self {
        self.relay.kill();
        drop(self.stop);
        let _ = soon(self.serving).await;
        let credentials = Credentials::Tokens(vec![Token::new(TOKEN)]);
        let relay = relay_over(&self.store, credentials);
        let listener = loop {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                break listener;
            }
            tokio::task::yield_now().await;
        };
        Self::serve(self.store, relay, self.session, listener)
    }

    pub(crate) fn config(&self, transport: Transport) -> ViewerConfig {
        let mut config = ViewerConfig::new(self.session.clone());
        config.transport = transport;
        config.history = History::All;
        let quick = RetryRule {
            delays: Delays::Constant(Duration::from_millis(20)),
            limit: Limit::Retries(500),
        };
        config.profile.drops = quick;
        config.profile.finished = quick;
        config.profile.restart_window = Duration::from_millis(20);
        config
    }

    pub(crate) fn attach(&self, transport: Transport) -> Attached {
        self.attach_with(self.config(transport))
    }

    pub(crate) fn attach_with(&self, config: ViewerConfig) -> Attached {
        self.attach_as(TOKEN, config)
    }

    pub(crate) fn attach_as(&self, token: &str, config: ViewerConfig) -> Attached {
        let url = format!("http://{}", self.address);
        let base_url = BaseUrl::parse(&url, Plaintext::LoopbackOnly).unwrap();
        let mut options = Options::new(base_url);
        options.proxy = ProxyOptions::Direct;
        let token = StaticToken::new(token.to_owned());
        let (session, events, driver) = attache_tokio::spawn(config, options, token).unwrap();
        Attached {
            session,
            events,
            driver,
        }
    }
}

fn relay_over(store: &Arc<MemoryStore>, credentials: Credentials) -> Relay {
    let mut options = RelayOptions::default();
    options.credentials = credentials;
    Relay::new(store.clone(), options)
}

pub(crate) struct Attached {
    pub(crate) session: Session,
    pub(crate) events: Events,
    pub(crate) driver: JoinHandle<CloseCause>,
}

impl Attached {
    /// The next event that `wanted` picks something from.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            let event = soon(self.events.next()).await.expect("an open session");
            if let Some(found) = wanted(&event) {
                return found;
            }
            assert!(began.elapsed() < LIMIT, "not within 30 s");
        }
    }

    pub(crate) async fn live(&mut self) {
        self.until(|event| matches!(event, Event::Status(Status::Live)).then_some(()))
            .await;
    }

    /// The ids of the next messages, up to the one called `last`.
    pub(crate) async fn messages_to(&mut self, last: &str) -> Vec<String> {
        let mut ids = Vec::new();
        self.until(|event| {
            assert!(!matches!(event, Event::Gap { .. }), "{event:?}");
            if let Event::Message(message) = event
                && let Some(uuid) = message.frame.uuid()
            {
                ids.push(uuid.to_string());
            }
            (ids.last().map(String::as_str) == Some(last)).then_some(())
        })
        .await;
        ids
    }
}

pub(crate) fn assistant(uuid: &str) -> String {
    format!(r#"{{"type":"assistant","uuid":"{uuid}","message":{{"content":[]}}}}"#)
}

pub(crate) fn prompt(request_id: &str) -> String {
    format!(
        r#"{{"type":"control_request","request_id":"{request_id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"ls"}}}}}}"#
    )
}
