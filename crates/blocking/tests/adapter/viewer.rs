//! The application's side of a test.

use std::{
    net::SocketAddr,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use attache_blocking::{
    BaseUrl, Events, Options, Plaintext, ProxyOptions, Session, StaticToken, TokenSource,
};
use attache_protocol::{
    SessionId,
    policy::{CloseCause, Delays, Limit, RetryRule},
    viewer::{Event, History, Message, ViewerConfig},
};

use crate::server::{LIMIT, within};

/// A session under test. Dropping it leaves nobody, which closes the session.
pub(crate) struct Attached {
    pub(crate) session: Session,
    pub(crate) events: Events,
    pub(crate) driver: JoinHandle<CloseCause>,
}

/// A viewer without history that tries again quickly.
pub(crate) fn config() -> ViewerConfig {
    let mut config = ViewerConfig::new(SessionId::parse("session_test").unwrap());
    config.history = History::None;
    let quick = RetryRule {
        delays: Delays::Constant(Duration::from_millis(20)),
        limit: Limit::Retries(50),
    };
    config.profile.drops = quick;
    config.profile.finished = quick;
    config.profile.too_large = RetryRule {
        limit: Limit::Retries(1),
        ..quick
    };
    config.profile.restart_window = Duration::from_millis(20);
    config
}

pub(crate) fn options(server: SocketAddr) -> Options {
    let base_url = BaseUrl::parse(&format!("http://{server}"), Plaintext::LoopbackOnly).unwrap();
    let mut options = Options::new(base_url);
    options.proxy = ProxyOptions::Direct;
    options
}

pub(crate) fn attach(server: SocketAddr) -> Attached {
    attach_with(config(), options(server), StaticToken::new("hunter2"))
}

pub(crate) fn attach_with(
    config: ViewerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Attached {
    let (session, events, driver) = attache_blocking::spawn(config, options, tokens).unwrap();
    Attached {
        session,
        events,
        driver,
    }
}

impl Attached {
    /// The next event that `wanted` makes something of; others are passed over.
    pub(crate) fn sees<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).expect("the session goes on");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    }

    /// The uuid of the next message.
    pub(crate) fn sees_message(&mut self) -> String {
        self.sees(|event| match event {
            Event::Message(Message { frame, .. }) => Some(frame.uuid().unwrap().to_string()),
            _ => None,
        })
    }

    pub(crate) fn sees_closed(&mut self) -> CloseCause {
        self.sees(|event| match event {
            Event::Closed(cause) => Some(cause),
            _ => None,
        })
    }

    /// What the driver says at its end.
    pub(crate) fn finishes(self) -> CloseCause {
        within(|| self.driver.join().unwrap())
    }
}
