//! The side of the agent's process.

use std::{net::SocketAddr, time::Duration};

use attache_protocol::worker::{
    Inbound, NewSession, SessionChoice, WorkerCloseCause, WorkerConfig, WorkerEvent, WorkerStatus,
};
use attache_tokio::{
    BaseUrl, Options, Plaintext, ProxyOptions, StaticToken, WorkerEvents, WorkerSession,
};
use tokio::task::JoinHandle;

use crate::server::within;

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

pub(crate) fn options(server: SocketAddr) -> Options {
    let base_url = BaseUrl::parse(&format!("http://{server}"), Plaintext::LoopbackOnly).unwrap();
    let mut options = Options::new(base_url);
    options.proxy = ProxyOptions::Direct;
    options
}

pub(crate) fn start(server: SocketAddr) -> Bridge {
    start_with(config(), server)
}

pub(crate) fn start_with(config: WorkerConfig, server: SocketAddr) -> Bridge {
    let token = StaticToken::new("person");
    let (session, events, driver) =
        attache_tokio::spawn_worker(config, options(server), token).unwrap();
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
    pub(crate) async fn uploads(&self, uuid: &str) {
        let text = message(uuid).into();
        within(self.session.upload(text)).await.unwrap();
    }

    /// The next event that `wanted` makes something of; others are passed over.
    pub(crate) async fn sees<T>(&mut self, mut wanted: impl FnMut(WorkerEvent) -> Option<T>) -> T {
        within(async {
            loop {
                let event = self.events.next().await.expect("the worker goes on");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        })
        .await
    }

    pub(crate) async fn sees_inbound(&mut self) -> Inbound {
        self.sees(|event| match event {
            WorkerEvent::Inbound(inbound) => Some(inbound),
            _ => None,
        })
        .await
    }

    pub(crate) async fn sees_running(&mut self) {
        self.sees(|event| match event {
            WorkerEvent::Status(WorkerStatus::Running) => Some(()),
            _ => None,
        })
        .await;
    }

    /// The next status that is `Deaf`.
    pub(crate) async fn sees_deaf(&mut self) -> WorkerStatus {
        self.sees(|event| match event {
            WorkerEvent::Status(status @ WorkerStatus::Deaf { .. }) => Some(status),
            _ => None,
        })
        .await
    }

    pub(crate) async fn sees_closed(&mut self) -> WorkerCloseCause {
        self.sees(|event| match event {
            WorkerEvent::Closed(cause) => Some(cause),
            _ => None,
        })
        .await
    }

    /// What the driver says at its end.
    pub(crate) async fn finishes(self) -> WorkerCloseCause {
        within(self.driver).await.unwrap()
    }
}
