//! The relay between agents and the people attached to them, as an axum router.
//!
//! An agent, in the relay's process or behind a worker elsewhere, says [frames](attache_protocol::frame); the relay stores each one, byte for byte and in
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
//! | `POST`, `GET /v1/sessions/{id}/shares`, `DELETE …/{share_id}` | lets guests in for a while |
//! | `GET /v1/code/sessions/{id}/events/stream` | the log from a position on and then the live stream, as server-sent events |
//! | `POST /v1/code/sessions/{id}/events` | says something |
//! | `GET /v1/code/sessions/{id}/events?limit=&sort_order=&cursor=` | what was said, from either end |
//!
//! Which role each takes, [a table](access) says. `GET /healthz` says to anybody whether the relay
//! works, `GET /metrics` has its numbers for Prometheus.
//!
//! A socket is closed with 4003 when its credential is bad, 4001 when there is no such session,
//! 1000 and `session ended` when the session is archived, 1012 when the relay restarts, 1013 when
//! the viewer is too slow: the others never wait for it, and it may come back and read what it
//! missed.
//!
//! A stream starts behind the larger of `from_sequence_num` and `Last-Event-ID`, or, without either, now.
//! A `client_event` is a frame of the log, and its id the frame's sequence number; no number is left
//! out. An `ephemeral_event` is for those who are there: it has no id. Open prompts come once more as such,
//! behind the log and before what is new. `source` says whose a frame is: a viewer's (`client`), the
//! agent's (`worker`), the `relay`'s. When the log no longer holds what should come next,
//! `catch_up_truncated` says at which number it goes on; a position that the log has not reached is
//! answered with 410. A viewer that is too slow for its stream gets everything that is stored, from
//! the log, and the last word on how far messages have got, but nothing else that was live only in the
//! meantime. A stream ends with its session, after the event `session_ended`.
//!
//! # Permission prompts
//!
//! Which prompts are open follows from the log, so it is the same for everybody, for whoever comes
//! later, and after a restart of the relay. The first answer wins: it goes to the agent, and right
//! behind it the log holds a [settlement](attache_protocol::frame::relay::Settlement), which tells
//! every viewer who answered and how. A later answer is
//! [refused](attache_protocol::frame::relay::AnswerRefused): on its socket, or in the answer to its
//! `POST`, as `"status":"refused"` with a `reason`. Whoever repeats the answer that won is told so again.
//! The relay says first on every subscription what the viewer's [`Role`] is, and that answers get their
//! verdict; viewers who may not drive get the relay's own answer to `initialize`.
//!
//! What an agent asked that is gone is taken back, with a stored `control_cancel_request` in its name:
//! when an [`Agent`] is dropped or replaced, when a worker's lease is lost, and when another worker
//! registers. A worker may name itself in the header `x-attache-worker-instance` of `POST …/bridge`;
//! under the same name it goes on asking, and as long as none of them says a name, they are taken for
//! the same. A worker that lost its lease and comes back gets, for each of its requests that was taken
//! back meanwhile, an answer that says so: its agent may still wait.
//!
//! # How much is kept
//!
//! A log may grow to [`RelayOptions::retention`], and then loses its front, but nothing from the
//! oldest open request on, and nothing that the agent has not taken. Whoever reads from before what is kept
//! is told so. Logs that nobody uses are looked through now and then, too.
//!
//! A session without viewers, agent and calls leaves memory after
//! [`RelayOptions::idle_session`], and comes back with whoever comes next.
//!
//! # What workers get
//!
//! A session has one agent: an [`Agent`] of this process, or a worker that comes over HTTP. Each
//! newcomer gets a new *epoch*, and whoever held an older one is fenced: its stream ends, its calls
//! get 409 and change nothing.
//!
//! | request | does |
//! |---|---|
//! | `POST /v1/code/sessions` | creates a session, with `title`, `tags`, `config.cwd` and `bridge` |
//! | `GET /v1/code/sessions?after_id=&limit=`, `GET …/{id}` | sessions, with what their workers do and whether they are there |
//! | `POST …/{id}/bridge` | registers a worker: a new epoch, and a token for it |
//! | `GET …/{id}/worker` | what the worker wanted to find again |
//! | `PUT …/{id}/worker` | what it does now, what it waits for, what it wants to find again |
//! | `GET …/{id}/worker/events/stream` | what viewers say, as server-sent events |
//! | `POST …/{id}/worker/events` | says something to the viewers; the same `uuid` twice is one event |
//! | `POST …/{id}/worker/events/delivery` | how far it has got with what viewers said |
//! | `POST …/{id}/worker/heartbeat` | it is still there |
//! | `POST /v1/sessions/{id}/archive` | ends the session |
//!
//! The first three rows take a person's token, the others a worker's, the last one either. A
//! worker's token opens the endpoints of its own session and no others: 403 elsewhere. It is signed
//! with a key from the [`Store`], so it outlives the relay, and it names the epoch, so the stream
//! and the `GET` are fenced like everything else.
//!
//! A stream starts behind the larger of `from_sequence_num` and `Last-Event-ID`, but sends nothing
//! that is acknowledged as `processed`; without a position it starts with the first frame that is
//! not. A position that the log has not reached is ignored: it belongs to another log.
//!
//! Every call renews the worker's lease. When there was none for
//! [`worker_lease`](RelayOptions::worker_lease), the worker counts as disconnected, its stream ends
//! and its calls get 410: it has to register again. After a restart of the relay, and
//! when the session has left memory, a worker counts as disconnected until its next call, and goes on
//! in its epoch; when there is none for as long as a lease, it is lost as well.
//!
//! # How far a message is
//!
//! What a worker acknowledges of viewers' messages is told to every viewer as a
//! [`DeliveryUpdate`](attache_protocol::frame::relay::DeliveryUpdate), and whoever subscribes is told
//! the last 256. A message never goes back. For an [`Agent`] of this process, a message that it has
//! taken is processed.
//!
//! # Limits
//!
//! | what | limit | beyond |
//! |---|---|---|
//! | requests with one credential | [`requests`](RelayOptions::requests) | 429 |
//! | what is said with one credential | [`posts`](RelayOptions::posts) | 429; a socket is read no faster |
//! | bad credentials from one address | [`bad_credentials`](RelayOptions::bad_credentials) | 429 in place of 401 |
//! | connections, with sockets and streams | [`max_connections`](RelayOptions::max_connections) | 503, closed |
//! | the head of a request | 75 s | closed |
//! | a body's size | [`body_limit_bytes`](RelayOptions::body_limit_bytes) | 413 |
//! | a body's time | [`body_timeout`](RelayOptions::body_timeout) | 408 |
//! | events in one request | [`batch_limit`](RelayOptions::batch_limit) | 413 |
//! | a message on a socket | [`viewer_message_limit_bytes`](RelayOptions::viewer_message_limit_bytes) | 1009 |
//! | a socket that says nothing | [`viewer_silence`](RelayOptions::viewer_silence) | closed |
//! | a peer that takes nothing | [`write_timeout`](RelayOptions::write_timeout) | closed |
//!
//! # When the agent is slow or away
//!
//! What viewers say waits in the log, so nothing is lost or repeated when an agent comes back, even
//! on another relay over the same store. When [`agent_backlog`](RelayOptions::agent_backlog) frames
//! wait, `POST …/events` answers 429 with `Retry-After` and a request on a socket gets an error
//! response. For a worker, a frame waits until it is `processed`. While no agent is there, the relay
//! answers `initialize` and `interrupt` itself.
//!
//! # Logs
//!
//! What the relay does is told of over `tracing`. No line, at any level, has a token or anything that is said. The
//! WebSocket library below tells whole messages over `log` at its trace level: whoever collects that level
//! leaves the target `tungstenite` out.

pub mod access;
mod agent;
mod credentials;
mod error;
mod http;
mod id;
mod line;
mod metrics;
mod options;
mod outgoing;
mod relay;
mod serve;
mod session;
mod sessions;
pub mod store;
mod sweep;
mod worker_token;

pub use access::{
    Access, BadLine, Endpoint, Identity, NoRandomness, Role, TokenEntry, TokenFile, TokenFileError,
    TokenRegistry, UnknownRole,
};
pub use agent::{Agent, Publisher};
pub use credentials::Credentials;
pub use error::RelayError;
pub use line::RefusedFrame;
pub use options::{RateLimit, RelayOptions};
pub use relay::Relay;
pub use serve::ServeError;
pub use session::Published;
pub use store::{MemoryStore, SessionStatus, SqliteStore, Store, StoreError};
