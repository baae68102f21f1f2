//! Attach to a remote agent session from tokio, or let an agent be attached to.
//!
//! # A person's end
//!
//! [`connect`] gives three things: a [`Session`] to command, [`Events`] to read, and a [`Driver`] to
//! spawn, which does all the work. [`spawn`] spawns it at once.
//!
//! ```no_run
//! use attache_protocol::{SessionId, viewer::{Content, Event, ViewerConfig}};
//! use attache_tokio::{BaseUrl, Options, Plaintext, StaticToken};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ViewerConfig::new(SessionId::parse("session_01ab")?);
//! let base_url = BaseUrl::parse("https://relay.example", Plaintext::LoopbackOnly)?;
//! let token = StaticToken::new(std::env::var("ATTACHE_TOKEN")?);
//!
//! let (session, mut events, driver) = attache_tokio::spawn(config, Options::new(base_url), token)?;
//! session.send(Content::text("hello")).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{}", message.frame.as_str());
//!     }
//! }
//! println!("{}", driver.await?);
//! # Ok(())
//! # }
//! ```
//!
//! # An agent's end
//!
//! [`connect_worker`] gives the same three things for a worker: a [`WorkerSession`] to command,
//! [`WorkerEvents`] to read, a [`WorkerDriver`] to spawn; [`spawn_worker`] spawns it at once. What the
//! agent writes is uploaded, what comes in is handed to it:
//!
//! ```no_run
//! use attache_protocol::worker::{
//!     AgentState, Delivery, NewSession, SessionChoice, WorkerConfig, WorkerEvent,
//! };
//! use attache_tokio::{BaseUrl, Options, Plaintext, StaticToken};
//! # use tokio::{io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader}, io, net::tcp};
//!
//! # async fn run(stdout: tcp::OwnedReadHalf, mut stdin: tcp::OwnedWriteHalf) -> Result<(), Box<dyn std::error::Error>> {
//! let config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
//! let base_url = BaseUrl::parse("https://relay.example", Plaintext::LoopbackOnly)?;
//! let token = StaticToken::new(std::env::var("ATTACHE_TOKEN")?);
//!
//! let (session, mut events, driver) =
//!     attache_tokio::spawn_worker(config, Options::new(base_url), token)?;
//! let uploading = session.clone();
//! tokio::spawn(async move {
//!     let mut lines = BufReader::new(stdout).lines();
//!     while let Ok(Some(line)) = lines.next_line().await {
//!         // Waits while the server can't keep up, and so does the agent.
//!         if let Err(error) = uploading.upload(line.into()).await {
//!             eprintln!("{error}");
//!         }
//!     }
//!     uploading.close().await
//! });
//! while let Some(event) = events.next().await {
//!     if let WorkerEvent::Inbound(inbound) = event {
//!         stdin.write_all(inbound.frame.as_str().as_bytes()).await?;
//!         stdin.write_all(b"\n").await?;
//!         session.report(AgentState::Running).await?;
//!         session.acknowledge(inbound.event_id, Delivery::Processed).await?;
//!     }
//! }
//! println!("{}", driver.await?);
//! # Ok(())
//! # }
//! ```
//!
//! # Examples
//!
//! `tokio-watch`, `tokio-chat`, `tokio-approver` and `tokio-worker`, in `examples`, are whole programs; `cargo run
//! -p attache-tokio --example tokio-watch` tells how it is called.
//!
//! # What ends what
//!
//! - The session lives until it is closed, gives up, or nobody is left: dropping every [`Session`]
//!   *and* [`Events`] closes it in an orderly way. So it is with a worker, whose session is archived then.
//! - Dropping only [`Events`] throws events away from then on. Dropping every [`Session`] leaves a
//!   session that is only watched.
//! - Dropping the [`Driver`] aborts sockets, streams, calls and token fetches at once: nothing runs
//!   outside it (a name lookup that the operating system is in the middle of ends unheard). Commands then
//!   fail as [`Ended`] and the events end. A worker's session is not archived.
//!
//! # Logs
//!
//! Sessions, sockets and calls are told of over `tracing`. No line, at any level, has a token or anything that is
//! said, and at info there is no address either. The WebSocket library below is not so discreet: over `log`, at
//! its trace level, it tells whole requests, their tokens included, and whole messages. Whoever collects that
//! level leaves the target `tungstenite` out.
//!
//! # Back-pressure
//!
//! An application that takes no events blocks neither pings, nor writes, nor commands. When
//! [`Limits::events`](attache_protocol::viewer::Limits::events) are waiting, the driver stops reading
//! and TCP slows the server down. A worker's [`upload`](WorkerSession::upload) waits while
//! [`WorkerLimits::uploads`](attache_protocol::worker::WorkerLimits::uploads) are waiting for the server.

mod dial;
mod http;
mod line;
mod network;
mod noticed;
mod stream;

use attache_driver::asynchronous;
use attache_protocol::{
    policy::CloseCause,
    viewer::{Viewer, ViewerConfig},
    worker::{Worker, WorkerCloseCause, WorkerConfig},
};
use tokio::task::JoinHandle;

pub use attache_driver::{
    BaseUrl, BaseUrlError, ClientCertificate, CommandError, Ended, Machine, Names, Options,
    OptionsError, Plaintext, ProxyOptions, StaticToken, TlsOptions, WebSocketOptions,
    asynchronous::{Events, Session, TokenSource, WorkerSession},
    proxy::ProxyRules,
};
pub use http::Http;
pub use stream::OpenStream;

/// Does a session's work: a future to spawn, on a tokio runtime with I/O and time enabled. Dropping it
/// aborts everything at once. Without a parameter, a viewer's.
pub type Driver<M = Viewer> = asynchronous::Driver<M, Http>;
/// A worker's events.
pub type WorkerEvents = Events<Worker>;
/// A worker's driver.
pub type WorkerDriver = Driver<Worker>;

/// Prepares a session. Nothing happens before the [`Driver`] is polled, on a tokio runtime with I/O and
/// time enabled; its first poll starts to connect. Reads the TLS files.
///
/// # Errors
/// [`OptionsError`] when the TLS files or the proxy can't be used.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what a session is made of is handed over, not lent"
)]
pub fn connect(
    config: ViewerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(Session, Events, Driver), OptionsError> {
    let network = Http::new(&options)?;
    Ok(asynchronous::viewer(config, network, tokens)?)
}

/// [`connect`], with the driver spawned on the current runtime. Aborting the handle is dropping the
/// driver.
///
/// # Errors
/// [`OptionsError`] when the TLS files or the proxy can't be used.
///
/// # Panics
/// Outside a tokio runtime, as [`tokio::spawn`] does.
pub fn spawn(
    config: ViewerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(Session, Events, JoinHandle<CloseCause>), OptionsError> {
    let (session, events, driver) = connect(config, options, tokens)?;
    Ok((session, events, tokio::spawn(driver)))
}

/// Prepares a worker. Nothing happens before the [`WorkerDriver`] is polled, on a tokio runtime with I/O
/// and time enabled; its first poll starts to get a session. Reads the TLS files.
///
/// `tokens` gives the person's credential; what the server grants the worker is the worker's own affair.
///
/// # Errors
/// [`OptionsError`] when the TLS files or the proxy can't be used.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what a worker is made of is handed over, not lent"
)]
pub fn connect_worker(
    config: WorkerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(WorkerSession, WorkerEvents, WorkerDriver), OptionsError> {
    let network = Http::new(&options)?;
    Ok(asynchronous::worker(config, network, tokens)?)
}

/// [`connect_worker`], with the driver spawned on the current runtime. Aborting the handle is dropping
/// the driver.
///
/// # Errors
/// [`OptionsError`] when the TLS files or the proxy can't be used.
///
/// # Panics
/// Outside a tokio runtime, as [`tokio::spawn`] does.
pub fn spawn_worker(
    config: WorkerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(WorkerSession, WorkerEvents, JoinHandle<WorkerCloseCause>), OptionsError> {
    let (session, events, driver) = connect_worker(config, options, tokens)?;
    Ok((session, events, tokio::spawn(driver)))
}

/// The README's examples, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
