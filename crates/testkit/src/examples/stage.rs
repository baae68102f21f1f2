//! A relay on the loopback, on a runtime of its own.

use std::{future, net::SocketAddr, sync::Arc, time::Duration};

use attache_protocol::{SessionId, frame::Frame, io::Token};
use attache_relay::{Agent, Credentials, MemoryStore, Relay, RelayOptions};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::Door;

/// Longer than anything here takes.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

const TOKEN: &str = "synthetic-token";

pub(super) struct Stage {
    relay: Relay,
    address: SocketAddr,
    runtime: Runtime,
}

impl Stage {
    pub(super) fn open() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a system that has threads");
        let mut options = RelayOptions::default();
        options.credentials = Credentials::Tokens(vec![Token::new(TOKEN)]);
        let relay = Relay::new(Arc::new(MemoryStore::new()), options);
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        runtime.spawn(relay.clone().serve(listener, future::pending()));
        Self {
            relay,
            address,
            runtime,
        }
    }

    pub(super) fn door(&self, session: &str) -> Door {
        Door {
            base_url: format!("http://{}", self.address),
            session: session.to_owned(),
            token: TOKEN,
        }
    }

    /// A session with an agent in it.
    pub(super) fn session(&self) -> (Door, Agent) {
        let id = self.within(self.relay.create_session("an example"));
        let id = id.expect("a new session");
        let agent = self.within(self.relay.attach_agent(&id));
        (
            self.door(&id.to_string()),
            agent.expect("nobody else is in it"),
        )
    }

    pub(super) fn publish(&self, agent: &Agent, frame: &str) {
        self.within(agent.publish(frame)).expect("it is taken");
    }

    /// The next frame for the agent of this type.
    pub(super) fn hears(&self, agent: &mut Agent, type_name: &str) -> Frame {
        loop {
            let frame = self.within(agent.recv()).expect("it stays attached");
            let frame = frame.expect("the session goes on");
            if frame.type_name() == type_name {
                return frame;
            }
        }
    }

    pub(super) fn archive(&self, door: &Door) {
        let id = SessionId::parse(&door.session).expect("the relay's own id");
        self.within(self.relay.archive(&id)).expect("it is there");
    }

    fn within<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { timeout(LIMIT, future).await.expect("in time") })
    }
}
