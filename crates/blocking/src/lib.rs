//! Attach to a remote agent session from plain threads, or let an agent be attached to. There is no async
//! runtime anywhere below.
//!
//! # A person's end
//!
//! [`spawn`] gives three things: a [`Session`] to command, [`Events`] to read, and the handle of the one
//! thread that does all the work. [`connect`] gives a [`Driver`] instead, to run on a thread of your own.
//!
//! ```no_run
//! use attache_blocking::{BaseUrl, Options, Plaintext, StaticToken};
//! use attache_protocol::{SessionId, viewer::{Content, Event, ViewerConfig}};
//!
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ViewerConfig::new(SessionId::parse("session_01ab")?);
//! let base_url = BaseUrl::parse("https://relay.example", Plaintext::LoopbackOnly)?;
//! let token = StaticToken::new(std::env::var("ATTACHE_TOKEN")?);
//!
//! let (session, events, driver) = attache_blocking::spawn(config, Options::new(base_url), token)?;
//! session.send(Content::text("hello"))?;
//! for event in events {
//!     if let Event::Message(message) = event {
//!         println!("{}", message.frame.as_str());
//!     }
//! }
//! println!("{}", driver.join().map_err(|_| "the driver panicked")?);
//! # Ok(())
//! # }
//! ```
//!
//! # An agent's end
//!
//! [`spawn_worker`] and [`connect_worker`] give the same three things for a worker: a [`WorkerSession`]
//! to command, [`WorkerEvents`] to read, a [`WorkerDriver`] that runs. What the agent writes is uploaded,
//! what comes in is handed to it:
//!
//! ```no_run
//! use std::{io::{BufRead, Write}, thread};
//!
//! use attache_blocking::{BaseUrl, Options, Plaintext, StaticToken};
//! use attache_protocol::worker::{
//!     AgentState, Delivery, NewSession, SessionChoice, WorkerConfig, WorkerEvent,
//! };
//!
//! # fn run(stdout: impl BufRead + Send + 'static, mut stdin: impl Write) -> Result<(), Box<dyn std::error::Error>> {
//! let config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
//! let base_url = BaseUrl::parse("https://relay.example", Plaintext::LoopbackOnly)?;
//! let token = StaticToken::new(std::env::var("ATTACHE_TOKEN")?);
//!
//! let (session, events, driver) =
//!     attache_blocking::spawn_worker(config, Options::new(base_url), token)?;
//! let uploading = session.clone();
//! thread::spawn(move || {
//!     for line in stdout.lines().map_while(Result::ok) {
//!         // Waits while the server can't keep up, and so does the agent.
//!         if let Err(error) = uploading.upload(line.into()) {
//!             eprintln!("{error}");
//!         }
//!     }
//!     uploading.close()
//! });
//! for event in events {
//!     if let WorkerEvent::Inbound(inbound) = event {
//!         writeln!(stdin, "{}", inbound.frame.as_str())?;
//!         session.report(AgentState::Running)?;
//!         session.acknowledge(inbound.event_id, Delivery::Processed)?;
//!     }
//! }
//! println!("{}", driver.join().map_err(|_| "the driver panicked")?);
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! The driver's thread owns the session and its open socket, and sleeps until something happens: a
//! command, bytes, an answer, a deadline. It never waits for the network. What has to wait (opening a
//! socket, a call, a stream, the token source) does so on a few threads per session, started when they
//! are first needed, and is broken off when it is not wanted any more. Two things can't be broken off: a
//! name lookup that the operating system is in the middle of, and a [`TokenSource`]. They end unheard.
//!
//! # Examples
//!
//! `blocking-watch`, `blocking-chat`, `blocking-approver` and `blocking-worker`, in `examples`, are whole programs; `cargo run
//! -p attache-blocking --example blocking-watch` tells how it is called.
//!
//! # What ends what
//!
//! - The session lives until it is closed, gives up, or nobody is left: dropping every [`Session`]
//!   *and* [`Events`] closes it in an orderly way. So it is with a worker, whose session is archived then.
//! - Dropping only [`Events`] throws events away from then on. Dropping every [`Session`] leaves a
//!   session that is only watched.
//! - Dropping the thread's handle leaves the thread alone. When the thread has ended, no socket, thread or
//!   timer of the session is left. Commands then fail as [`Ended`] or [`CommandError::Ended`] and the
//!   events end.
//! - Dropping a [`Driver`] that never ran ends the session before it began.
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

//!
//! # Beside the adapters for async code
//!
//! Handles, methods, arguments and errors are those of `attache-tokio` and `attache-async-std`, but for
//! what a thread makes different: [`Events`] is an iterator, and [`recv_timeout`](Events::recv_timeout)
//! waits no longer than it is told; a [`TokenSource`] waits on a thread of its own; a start can fail for
//! want of a thread or a poll ([`StartError`]); a [`Driver`] [runs](Driver::run) and is not polled; what
//! waits can't be dropped, so a call has a connection of its own and ends with it.

mod abort;
mod alarm;
mod buffered;
mod connections;
mod crew;
mod dial;
mod driver;
mod events;
mod handle;
mod http;
mod line;
mod pool;
mod session;
mod socket;
mod stream;
mod token;
mod view;
mod worker;

use std::{io, thread::JoinHandle};

use attache_driver::Clock;
use attache_protocol::{
    policy::CloseCause,
    viewer::{Viewer, ViewerConfig},
    worker::{Worker, WorkerCloseCause, WorkerConfig},
};

pub use crate::http::Http;
pub use attache_driver::{
    BaseUrl, BaseUrlError, ClientCertificate, CommandError, Ended, Machine, Names, Options,
    OptionsError, Plaintext, ProxyOptions, StaticToken, TlsOptions, WebSocketOptions,
    proxy::ProxyRules,
};
pub use driver::Driver;
pub use events::Events;
pub use session::Session;
pub use stream::OpenStream;
pub use token::TokenSource;
pub use worker::WorkerSession;

/// A worker's events.
pub type WorkerEvents = Events<Worker>;
/// A worker's driver.
pub type WorkerDriver = Driver<Worker>;

/// Why a session can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The TLS files or the proxy can't be used, or there is no randomness.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The operating system gives no poll or no thread.
    #[error("the operating system lets no session start; close what is not needed: {0}")]
    System(#[from] io::Error),
}

/// Prepares a session. Nothing happens before the [`Driver`] runs. Reads the TLS files.
///
/// # Errors
/// [`StartError`]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what a session is made of is handed over, not lent"
)]
pub fn connect(
    config: ViewerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(Session, Events, Driver), StartError> {
    let http = Http::new(&options)?;
    let seed = attache_driver::seed().map_err(OptionsError::from)?;
    let clock = Clock::start();
    let span = tracing::info_span!("session", id = %config.session);
    let viewer = Viewer::new(config, seed, clock.now());
    let (handle, events, driver) = Driver::prepare(viewer, clock, http, tokens, span)?;
    Ok((Session::new(handle, clock), events, driver))
}

/// [`connect`], with the driver running on a thread of its own.
///
/// # Errors
/// [`StartError`]
pub fn spawn(
    config: ViewerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(Session, Events, JoinHandle<CloseCause>), StartError> {
    let (session, events, driver) = connect(config, options, tokens)?;
    Ok((session, events, start(driver)?))
}

/// Prepares a worker. Nothing happens before the [`WorkerDriver`] runs. Reads the TLS files.
///
/// `tokens` gives the person's credential; what the server grants the worker is the worker's own affair.
///
/// # Errors
/// [`StartError`]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what a worker is made of is handed over, not lent"
)]
pub fn connect_worker(
    config: WorkerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(WorkerSession, WorkerEvents, WorkerDriver), StartError> {
    let http = Http::new(&options)?;
    let seed = attache_driver::seed().map_err(OptionsError::from)?;
    let clock = Clock::start();
    let worker = Worker::new(config, seed, clock.now());
    let span = tracing::info_span!("worker");
    let (handle, events, driver) = Driver::prepare(worker, clock, http, tokens, span)?;
    Ok((WorkerSession::new(handle), events, driver))
}

/// [`connect_worker`], with the driver running on a thread of its own.
///
/// # Errors
/// [`StartError`]
pub fn spawn_worker(
    config: WorkerConfig,
    options: Options,
    tokens: impl TokenSource,
) -> Result<(WorkerSession, WorkerEvents, JoinHandle<WorkerCloseCause>), StartError> {
    let (session, events, driver) = connect_worker(config, options, tokens)?;
    Ok((session, events, start(driver)?))
}

fn start<M: Machine>(driver: Driver<M>) -> io::Result<JoinHandle<M::Cause>> {
    std::thread::Builder::new()
        .name("attache".into())
        .spawn(move || driver.run())
}
