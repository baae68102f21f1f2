//! The adapter as the suite sees it, under either runtime.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_io::Timer;
use attache_async_std::{
    BaseUrl, Events, Names, Options, Plaintext, ProxyOptions, ProxyRules, Session, TokenSource,
    WorkerEvents, WorkerSession,
};
use attache_protocol::{
    ByteString,
    frame::RequestId,
    io::TokenReason,
    policy::CloseCause,
    viewer::{Content, Decision, Event, MessageId, ViewerConfig},
    worker::{Delivery, EventId, WorkerCloseCause, WorkerConfig, WorkerEvent},
};
use attache_testkit::conformance::{Adapter, Next, OpenViewer, OpenWorker, Place, Way};
use futures_util::future::{BoxFuture, Either, select};

/// One of the runtimes.
#[derive(Copy, Clone)]
pub(crate) enum Runtime {
    AsyncStd,
    Smol,
}

/// A runtime, and how many drivers are alive on it.
#[derive(Clone)]
pub(crate) struct Host {
    runtime: Runtime,
    drivers: Arc<AtomicUsize>,
}

/// Counts one driver for as long as it is alive.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Host {
    pub(crate) fn new(runtime: Runtime) -> Self {
        let host = Self {
            runtime,
            drivers: Arc::default(),
        };
        // The threads of the runtime are there before anybody counts.
        let warm = host.spawn(async { Timer::after(Duration::from_millis(1)).await });
        host.block_on(warm);
        host
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        match self.runtime {
            Runtime::AsyncStd => async_std::task::block_on(future),
            Runtime::Smol => smol::block_on(future),
        }
    }

    fn spawn<T: Send + 'static>(
        &self,
        driver: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<'static, T> {
        self.drivers.fetch_add(1, Ordering::Relaxed);
        let alive = Alive(Arc::clone(&self.drivers));
        let counted = async move {
            let _alive = alive;
            driver.await
        };
        match self.runtime {
            Runtime::AsyncStd => Box::pin(async_std::task::spawn(counted)),
            Runtime::Smol => Box::pin(smol::spawn(counted)),
        }
    }

    fn wait<E>(&self, limit: Duration, next: impl Future<Output = Option<E>>) -> Next<E> {
        let next = std::pin::pin!(next);
        match self.block_on(select(next, Timer::after(limit))) {
            Either::Left((Some(event), _)) => Next::Event(event),
            Either::Left((None, _)) => Next::Over,
            Either::Right(_) => Next::Nothing,
        }
    }
}

impl Adapter for Host {
    fn name(&self) -> &'static str {
        match self.runtime {
            Runtime::AsyncStd => "async-std",
            Runtime::Smol => "smol",
        }
    }

    fn open_viewer(
        &self,
        config: ViewerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenViewer>, String> {
        let (session, events, driver) =
            attache_async_std::connect(config, options(&place)?, source(place))
                .map_err(|error| error.to_string())?;
        Ok(Box::new(Viewer {
            driver: self.spawn(driver),
            host: self.clone(),
            session,
            events,
        }))
    }

    fn open_worker(
        &self,
        config: WorkerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenWorker>, String> {
        let (session, events, driver) =
            attache_async_std::connect_worker(config, options(&place)?, source(place))
                .map_err(|error| error.to_string())?;
        Ok(Box::new(Worker {
            driver: self.spawn(driver),
            host: self.clone(),
            session,
            events,
        }))
    }

    fn ways(&self) -> &[Way] {
        &Way::BESIDES_PLAIN
    }

    fn tasks(&self) -> Option<usize> {
        Some(self.drivers.load(Ordering::Relaxed))
    }
}

struct Viewer {
    host: Host,
    session: Session,
    events: Events,
    driver: BoxFuture<'static, CloseCause>,
}

impl OpenViewer for Viewer {
    fn send(&mut self, content: Content) -> Option<MessageId> {
        self.host.block_on(self.session.send(content)).ok()
    }

    fn decide(&mut self, request: RequestId, decision: Decision) -> bool {
        let decided = self.session.decide(request, decision);
        self.host.block_on(decided).is_ok()
    }

    fn interrupt(&mut self) -> Option<RequestId> {
        self.host.block_on(self.session.interrupt()).ok()
    }

    fn next_event(&mut self, limit: Duration) -> Next<Event> {
        self.host.wait(limit, self.events.next())
    }

    fn close(&mut self) -> Option<CloseCause> {
        self.host.block_on(self.session.close()).ok()?;
        Some(self.host.block_on(&mut self.driver))
    }
}

struct Worker {
    host: Host,
    session: WorkerSession,
    events: WorkerEvents,
    driver: BoxFuture<'static, WorkerCloseCause>,
}

impl OpenWorker for Worker {
    fn upload(&mut self, frame: ByteString) -> bool {
        self.host.block_on(self.session.upload(frame)).is_ok()
    }

    fn acknowledge(&mut self, event: EventId, delivery: Delivery) {
        // A worker that is gone acknowledges nothing.
        let told = self.session.acknowledge(event, delivery);
        let _ = self.host.block_on(told);
    }

    fn next_event(&mut self, limit: Duration) -> Next<WorkerEvent> {
        self.host.wait(limit, self.events.next())
    }

    fn close(&mut self) -> Option<WorkerCloseCause> {
        self.host.block_on(self.session.close()).ok()?;
        Some(self.host.block_on(&mut self.driver))
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
