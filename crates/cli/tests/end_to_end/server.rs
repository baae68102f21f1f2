//! A relay inside the test, with an agent that the test plays.

use std::{net::SocketAddr, sync::Arc};

use attache_protocol::{SessionId, frame::Frame};
use attache_relay::{Agent, MemoryStore, Relay, RelayOptions};
use tokio::{net::TcpListener, process::Command, time::timeout};

use crate::program::{LIMIT, attache};

pub(crate) struct Server {
    pub(crate) relay: Relay,
    pub(crate) session: SessionId,
    pub(crate) agent: Agent,
    address: SocketAddr,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let relay = Relay::new(Arc::new(MemoryStore::new()), RelayOptions::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(relay.serve(listener, std::future::pending()));
        let session = relay.create_session("a test").await.unwrap();
        let agent = relay.attach_agent(&session).await.unwrap();
        Self {
            relay,
            session,
            agent,
            address,
        }
    }

    /// The program, pointed at this relay. `SESSION` in `arguments` stands for the session's id.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let session = self.session.to_string();
        let arguments: Vec<_> = arguments
            .iter()
            .map(|&argument| match argument {
                "SESSION" => session.as_str(),
                other => other,
            })
            .collect();
        let mut command = attache(&arguments);
        command
            .env("ATTACHE_BASE_URL", format!("http://{}", self.address))
            .env("ATTACHE_TOKEN", "a-token");
        command
    }

    /// The agent says something.
    pub(crate) async fn say(&self, frame: &str) {
        self.agent.publish(frame).await.unwrap();
    }

    /// The agent asks for permission under `id`.
    pub(crate) async fn ask(&self, id: &str) {
        let text = format!(
            r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command": "ls"}},"tool_use_id":"t-{id}"}}}}"#
        );
        self.say(&text).await;
    }

    /// The agent answers a control request.
    pub(crate) async fn answer(&self, id: &str) {
        let text = format!(
            r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{id}","response":{{"still_queued":[]}}}}}}"#
        );
        self.say(&text).await;
    }

    /// What the agent is told next.
    pub(crate) async fn heard(&mut self) -> Frame {
        let frame = timeout(LIMIT, self.agent.recv()).await.expect("in time");
        frame.unwrap().expect("still attached")
    }
}
