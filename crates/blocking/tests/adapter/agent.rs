//! The side of the agent's process.

use std::{
    net::SocketAddr,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use attache_blocking::{StaticToken, WorkerEvents, WorkerSession};
use attache_protocol::worker::{
    Inbound, NewSession, SessionChoice, WorkerCloseCause, WorkerConfig, WorkerEvent, WorkerStatus,
};

use crate::{
    server::{LIMIT, within},
    viewer::options,
};

/// A worker under test. Dropping it leaves nobody, which closes the worker.
pub(crate) struct Bridge {
    pub(crate) session: WorkerSession,
    pub(crate) events: WorkerEvents,
    pub(crate) driver: JoinHandle<WorkerCloseCause>,
}

/// A worker that creates a session, and tries again quickly.
pub(crate) fn config() -> WorkerConfig {
    let mut config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
    config.start.base = Duration::from_millis(10);
    config.liveness.retry_base = Duration::from_millis(10);
    config
}

pub(crate) fn start(server: SocketAddr) -> Bridge {
    start_with(config(), server)
}

pub(crate) fn start_with(config: WorkerConfig, server: SocketAddr) -> Bridge {
    let token = StaticToken::new("person");
    let (session, events, driver) =
        attache_blocking::spawn_worker(config, options(server), token).unwrap();
    Bridge {
        session,
        events,
        driver,
    }
}

/// An agent's message with this uuid.
pub(crate) fn message(uuid: &str) -> String {
    format!(r#"{{"type":"assistant","uuid":"{uuid}"}}"#)
}

impl Bridge {
    pub(crate) fn uploads(&self, uuid: &str) {
        let (session, text) = (self.session.clone(), message(uuid).into());
        within(move || session.upload(text)).unwrap();
    }

    /// The next event that `wanted` makes something of; others are passed over.
    pub(crate) fn sees<T>(&mut self, mut wanted: impl FnMut(WorkerEvent) -> Option<T>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).expect("the worker goes on");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    }

    pub(crate) fn sees_inbound(&mut self) -> Inbound {
        self.sees(|event| match event {
            WorkerEvent::Inbound(inbound) => Some(inbound),
            _ => None,
        })
    }

    pub(crate) fn sees_running(&mut self) {
        self.sees(|event| match event {
            WorkerEvent::Status(WorkerStatus::Running) => Some(()),
            _ => None,
        });
    }

    /// The next status that is `Deaf`.
    pub(crate) fn sees_deaf(&mut self) -> WorkerStatus {
        self.sees(|event| match event {
            WorkerEvent::Status(status @ WorkerStatus::Deaf { .. }) => Some(status),
            _ => None,
        })
    }

    pub(crate) fn sees_closed(&mut self) -> WorkerCloseCause {
        self.sees(|event| match event {
            WorkerEvent::Closed(cause) => Some(cause),
            _ => None,
        })
    }

    /// What the driver says at its end.
    pub(crate) fn finishes(self) -> WorkerCloseCause {
        within(|| self.driver.join().unwrap())
    }
}
