//! The relay between agents and the people attached to them, as an axum router.
//!
//! An agent says [frames](attache_protocol::frame); the relay stores each one, byte for byte and in
//! one order, and only then sends it to everybody who is subscribed. What viewers say (messages,
//! answers to permission prompts, interrupts) goes through the same log to the agent. Whoever was
//! away reads on from the last frame it knows.
//!
//! ```
//! use std::sync::Arc;
//! use attache_relay::{MemoryStore, Relay, RelayOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let relay = Relay::new(Arc::new(MemoryStore::new()), RelayOptions::default());
//! let session = relay.create_session("a first look").await?;
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let serving = tokio::spawn(relay.serve(listener, async { drop(stopped.await) }));
//!
//! let mut agent = relay.attach_agent(&session).await?;
//! agent.publish(r#"{"type":"assistant","message":{"role":"assistant","content":[]}}"#).await?;
//! // … `agent.recv().await` takes what viewers say.
//!
//! drop(stop);
//! serving.await??;
//! # Ok(())
//! # }
//! ```
//!
//! # What viewers get
//!
//! | request | does |
//! |---|---|
//! | `GET /v1/sessions/ws/{id}/subscribe` | the live stream, as a WebSocket; open prompts come first |
//! | `POST /v1/sessions/{id}/events` | says something; the same `uuid` twice is one event |
//! | `GET /v1/sessions/{id}/events?after_id=&limit=` | what was said, in order |
//! | `GET /v1/sessions?after_id=&limit=` | the sessions, newest first |
//! | `GET`, `PATCH /v1/sessions/{id}` | a session; its title |
//! | `POST /v1/sessions/{id}/archive` | ends it |
//!
//! A socket is closed with 4003 when its credential is bad, 4001 when there is no such session,
//! 1000 and `session ended` when the session is archived, 1012 when the relay restarts, 1013 when
//! the viewer is too slow: the others never wait for it, and it may come back and read what it
//! missed.
//!
//! # When the agent is slow or away
//!
//! What viewers say waits in the log, so nothing is lost or repeated when an agent comes back, even
//! on another relay over the same store. When [`agent_backlog`](RelayOptions::agent_backlog) frames
//! wait, `POST …/events` answers 429 with `Retry-After` and a request on a socket gets an error
//! response. While no agent is attached, the relay answers `initialize` and `interrupt` itself.

mod agent;
mod credentials;
mod error;
mod http;
mod id;
mod line;
mod options;
mod outgoing;
mod relay;
mod serve;
mod session;
pub mod store;
mod worker_token;

pub use agent::{Agent, Publisher};
pub use credentials::Credentials;
pub use error::RelayError;
pub use line::RefusedFrame;
pub use options::RelayOptions;
pub use relay::Relay;
pub use serve::ServeError;
pub use session::Published;
pub use store::{MemoryStore, SessionStatus, Store, StoreError};
