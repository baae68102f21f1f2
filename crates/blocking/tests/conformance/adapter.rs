//! The adapter for threads as the suite sees it.

use std::{sync::mpsc::RecvTimeoutError, thread::JoinHandle, time::Duration};

use attache_blocking::{
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

pub(crate) struct Blocking;

impl Adapter for Blocking {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn open_viewer(
        &self,
        config: ViewerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenViewer>, String> {
        let (session, events, driver) =
            attache_blocking::spawn(config, options(&place)?, source(place))
                .map_err(|error| error.to_string())?;
        Ok(Box::new(Viewer {
            session,
            events,
            driver: Some(driver),
        }))
    }

    fn open_worker(
        &self,
        config: WorkerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenWorker>, String> {
        let (session, events, driver) =
            attache_blocking::spawn_worker(config, options(&place)?, source(place))
                .map_err(|error| error.to_string())?;
        Ok(Box::new(Worker {
            session,
            events,
            driver: Some(driver),
        }))
    }

    fn ways(&self) -> &[Way] {
        &Way::BESIDES_PLAIN
    }
}

struct Viewer {
    session: Session,
    events: Events,
    driver: Option<JoinHandle<CloseCause>>,
}

impl OpenViewer for Viewer {
    fn send(&mut self, content: Content) -> Option<MessageId> {
        self.session.send(content).ok()
    }

    fn decide(&mut self, request: RequestId, decision: Decision) -> bool {
        self.session.decide(request, decision).is_ok()
    }

    fn interrupt(&mut self) -> Option<RequestId> {
        self.session.interrupt().ok()
    }

    fn next_event(&mut self, limit: Duration) -> Next<Event> {
        as_next(self.events.recv_timeout(limit))
    }

    fn close(&mut self) -> Option<CloseCause> {
        self.session.close().ok()?;
        self.driver.take()?.join().ok()
    }
}

struct Worker {
    session: WorkerSession,
    events: WorkerEvents,
    driver: Option<JoinHandle<WorkerCloseCause>>,
}

impl OpenWorker for Worker {
    fn upload(&mut self, frame: ByteString) -> bool {
        self.session.upload(frame).is_ok()
    }

    fn acknowledge(&mut self, event: EventId, delivery: Delivery) {
        // A worker that is gone acknowledges nothing.
        let _ = self.session.acknowledge(event, delivery);
    }

    fn next_event(&mut self, limit: Duration) -> Next<WorkerEvent> {
        as_next(self.events.recv_timeout(limit))
    }

    fn close(&mut self) -> Option<WorkerCloseCause> {
        self.session.close().ok()?;
        self.driver.take()?.join().ok()
    }
}

fn as_next<E>(event: Result<E, RecvTimeoutError>) -> Next<E> {
    match event {
        Ok(event) => Next::Event(event),
        Err(RecvTimeoutError::Timeout) => Next::Nothing,
        Err(RecvTimeoutError::Disconnected) => Next::Over,
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
    move |reason: TokenReason| Ok(place.tokens.fetch(reason))
}
