//! The tokio adapter as the suite sees it.

use std::time::Duration;

use attache_protocol::{
    ByteString,
    frame::RequestId,
    io::TokenReason,
    policy::CloseCause,
    viewer::{Content, Decision, Event, MessageId, ViewerConfig},
    worker::{Delivery, EventId, WorkerCloseCause, WorkerConfig, WorkerEvent},
};
use attache_testkit::conformance::{Adapter, Next, OpenViewer, OpenWorker, Place, Way};
use attache_tokio::{
    BaseUrl, Events, Names, Options, Plaintext, ProxyOptions, ProxyRules, Session, TokenSource,
    WorkerEvents, WorkerSession,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
    time::{error::Elapsed, timeout},
};

/// Threads of name lookups are counted with everything else, so they must not stay.
const IDLE_THREADS_STAY: Duration = Duration::from_millis(20);

pub(crate) struct Tokio {
    runtime: Runtime,
}

impl Tokio {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_keep_alive(IDLE_THREADS_STAY)
            .enable_all()
            .build()
            .expect("threads can be had");
        Self { runtime }
    }
}

impl Adapter for Tokio {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn open_viewer(
        &self,
        config: ViewerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenViewer>, String> {
        let _entered = self.runtime.enter();
        let (session, events, driver) =
            attache_tokio::spawn(config, options(&place)?, source(place))
                .map_err(|error| error.to_string())?;
        Ok(Box::new(Viewer {
            runtime: self.runtime.handle().clone(),
            session,
            events,
            driver,
        }))
    }

    fn open_worker(
        &self,
        config: WorkerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenWorker>, String> {
        let _entered = self.runtime.enter();
        let (session, events, driver) =
            attache_tokio::spawn_worker(config, options(&place)?, source(place))
                .map_err(|error| error.to_string())?;
        Ok(Box::new(Worker {
            runtime: self.runtime.handle().clone(),
            session,
            events,
            driver,
        }))
    }

    fn tasks(&self) -> Option<usize> {
        Some(self.runtime.metrics().num_alive_tasks())
    }

    fn ways(&self) -> &[Way] {
        &Way::BESIDES_PLAIN
    }
}

struct Viewer {
    runtime: Handle,
    session: Session,
    events: Events,
    driver: JoinHandle<CloseCause>,
}

impl OpenViewer for Viewer {
    fn send(&mut self, content: Content) -> Option<MessageId> {
        self.runtime.block_on(self.session.send(content)).ok()
    }

    fn decide(&mut self, request: RequestId, decision: Decision) -> bool {
        let decided = self.session.decide(request, decision);
        self.runtime.block_on(decided).is_ok()
    }

    fn interrupt(&mut self) -> Option<RequestId> {
        self.runtime.block_on(self.session.interrupt()).ok()
    }

    fn next_event(&mut self, limit: Duration) -> Next<Event> {
        let next = async { timeout(limit, self.events.next()).await };
        as_next(self.runtime.block_on(next))
    }

    fn close(&mut self) -> Option<CloseCause> {
        let closed = async {
            self.session.close().await.ok()?;
            (&mut self.driver).await.ok()
        };
        self.runtime.block_on(closed)
    }
}

struct Worker {
    runtime: Handle,
    session: WorkerSession,
    events: WorkerEvents,
    driver: JoinHandle<WorkerCloseCause>,
}

impl OpenWorker for Worker {
    fn upload(&mut self, frame: ByteString) -> bool {
        self.runtime.block_on(self.session.upload(frame)).is_ok()
    }

    fn acknowledge(&mut self, event: EventId, delivery: Delivery) {
        // A worker that is gone acknowledges nothing.
        let _ = self
            .runtime
            .block_on(self.session.acknowledge(event, delivery));
    }

    fn next_event(&mut self, limit: Duration) -> Next<WorkerEvent> {
        let next = async { timeout(limit, self.events.next()).await };
        as_next(self.runtime.block_on(next))
    }

    fn close(&mut self) -> Option<WorkerCloseCause> {
        let closed = async {
            self.session.close().await.ok()?;
            (&mut self.driver).await.ok()
        };
        self.runtime.block_on(closed)
    }
}

fn as_next<E>(event: Result<Option<E>, Elapsed>) -> Next<E> {
    match event {
        Err(_) => Next::Nothing,
        Ok(None) => Next::Over,
        Ok(Some(event)) => Next::Event(event),
    }
}

fn options(place: &Place) -> Result<Options, String> {
    let base_url =
        BaseUrl::parse(&place.base_url, Plaintext::Allowed).map_err(|error| error.to_string())?;
    let mut options = Options::new(base_url);
    let names = place.names.clone();
    options.names = Names::asking(move |name| names.find(name));
    options.tls.extra_ca_file.clone_from(&place.authority_file);
    options.proxy = match &place.proxy {
        Some(proxy) => ProxyOptions::Explicit(ProxyRules {
            http: proxy.clone(),
            ..ProxyRules::default()
        }),
        None => ProxyOptions::Direct,
    };
    Ok(options)
}

fn source(place: Place) -> impl TokenSource {
    move |reason: TokenReason| {
        let token = place.tokens.fetch(reason);
        async move { Ok(token) }
    }
}
