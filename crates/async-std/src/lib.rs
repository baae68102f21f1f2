//! Attach to a remote agent session from smol or any other runtime of futures, or from async-std; or let
//! an agent be attached to.
//!
//! **async-std is discontinued**
//! ([RUSTSEC-2025-0052](https://rustsec.org/advisories/RUSTSEC-2025-0052)): it gets no fixes any more. This
//! crate is for programs that are on it still, and to get them off it: nothing here but [`spawn`] and
//! [`spawn_worker`] touches async-std, everything else runs on async-io, which smol shares. Start new
//! programs with [smol](https://docs.rs/smol), or with `attache-tokio`.
//!
//! # A person's end
//!
//! [`connect`] gives three things: a [`Session`] to command, [`Events`] to read, and a [`Driver`] to
//! spawn, which does all the work. On smol:
//!
//! ```no_run
//! use attache_async_std::{BaseUrl, Options, Plaintext, StaticToken};
//! use attache_protocol::{SessionId, viewer::{Content, Event, ViewerConfig}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> { smol::block_on(async {
//! let config = ViewerConfig::new(SessionId::parse("session_01ab")?);
//! let base_url = BaseUrl::parse("https://relay.example", Plaintext::LoopbackOnly)?;
//! let token = StaticToken::new(std::env::var("ATTACHE_TOKEN")?);
//!
//! let (session, mut events, driver) =
//!     attache_async_std::connect(config, Options::new(base_url), token)?;
//! let driver = smol::spawn(driver);
//! session.send(Content::text("hello")).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(message) = event {
//!         println!("{}", message.frame.as_str());
//!     }
//! }
//! println!("{}", driver.await);
//! # Ok(()) }) }
//! ```
//!
//! On async-std, [`spawn`] connects and spawns at once:
//!
//! ```no_run
//! # use attache_async_std::{BaseUrl, Options, Plaintext, StaticToken};
//! # use attache_protocol::{SessionId, viewer::ViewerConfig};
//! # async fn run(config: ViewerConfig, options: Options, token: StaticToken) -> Result<(), Box<dyn std::error::Error>> {
//! let (session, mut events, driver) = attache_async_std::spawn(config, options, token)?;
//! # drop((session, events)); driver.await; Ok(()) }
//! ```
//!
//! # An agent's end
//!
//! [`connect_worker`] gives the same three things for a worker: a [`WorkerSession`] to command,
//! [`WorkerEvents`] to read, a [`WorkerDriver`] to spawn. What the agent writes is uploaded, what comes in
//! is handed to it.
//!
//! # Examples
//!
//! `async-std-watch`, `async-std-chat`, `async-std-approver` and `async-std-worker`, in `examples`, are whole programs; `cargo run
//! -p attache-async-std --example async-std-watch` tells how it is called.
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
//! - What a runtime does with a driver whose task is let go differs: a smol `Task` that is dropped drops
//!   its driver, unless it is detached; an async-std `JoinHandle` that is dropped leaves its driver running,
//!   and `cancel` drops it.
//!
//! # Logs
//!
//! Sessions, sockets and calls are told of over `tracing`. No line, at any level, has a token or anything that is
//! said, and at info there is no address either. The libraries below, for WebSockets and HTTP, are not so
//! discreet: over `log`, at its trace level, they tell whole requests, their tokens included, and whole
//! messages. Whoever collects that level leaves the targets `tungstenite` and `ureq_proto` out.
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

use async_std::task::{self, JoinHandle};
use attache_driver::asynchronous;
use attache_protocol::{
    policy::CloseCause,
    viewer::{Viewer, ViewerConfig},
    worker::{Worker, WorkerCloseCause, WorkerConfig},
};

pub use self::{http::Http, stream::OpenStream};
pub use attache_driver::{
    BaseUrl, BaseUrlError, ClientCertificate, CommandError, Ended, Machine, Names, Options,
    OptionsError, Plaintext, ProxyOptions, StaticToken, TlsOptions, WebSocketOptions,
    asynchronous::{Events, Session, TokenSource, WorkerSession},
    proxy::ProxyRules,
};

/// Does a session's work: a future to spawn, on any runtime: sockets and timers are those of async-io,
/// which brings its own thread where the runtime does not drive it. Dropping it aborts everything at once.
/// Without a parameter, a viewer's.
pub type Driver<M = Viewer> = asynchronous::Driver<M, Http>;
/// A worker's events.
pub type WorkerEvents = Events<Worker>;
/// A worker's driver.
pub type WorkerDriver = Driver<Worker>;

/// Prepares a session. Nothing happens before the [`Driver`] is polled; its first poll starts to connect.
/// Reads the TLS files.
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

/// [`connect`], with the driver spawned on async-std. Cancelling the handle is dropping the driver;
/// dropping the handle is not.
///
/// # Errors
/// [`OptionsError`] when the TLS files or the proxy can't be used.
pub fn spawn(
    config: ViewerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(Session, Events, JoinHandle<CloseCause>), OptionsError> {
    let (session, events, driver) = connect(config, options, tokens)?;
    Ok((session, events, task::spawn(driver)))
}

/// Prepares a worker. Nothing happens before the [`WorkerDriver`] is polled; its first poll starts to get
/// a session. Reads the TLS files.
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

/// [`connect_worker`], with the driver spawned on async-std. Cancelling the handle is dropping the driver;
/// dropping the handle is not.
///
/// # Errors
/// [`OptionsError`] when the TLS files or the proxy can't be used.
pub fn spawn_worker(
    config: WorkerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(WorkerSession, WorkerEvents, JoinHandle<WorkerCloseCause>), OptionsError> {
    let (session, events, driver) = connect_worker(config, options, tokens)?;
    Ok((session, events, task::spawn(driver)))
}
