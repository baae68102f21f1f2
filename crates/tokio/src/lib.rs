//! Attach to a remote agent session from tokio.
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
//! # What ends what
//!
//! - The session lives until it is closed, gives up, or nobody is left: dropping every [`Session`]
//!   *and* [`Events`] closes it in an orderly way.
//! - Dropping only [`Events`] throws events away from then on. Dropping every [`Session`] leaves a
//!   session that is only watched.
//! - Dropping the [`Driver`] aborts sockets, calls and token fetches at once: nothing runs outside it
//!   (a name lookup that the operating system is in the middle of ends unheard). Commands then fail with [`CommandError::Ended`] and the events end.
//!
//! # Back-pressure
//!
//! An application that takes no events blocks neither pings, nor writes, nor commands. When
//! [`Limits::events`](attache_protocol::viewer::Limits::events) are waiting, the driver stops reading
//! and TCP slows the server down.

mod dial;
mod driver;
mod events;
mod http;
mod in_flight;
mod noticed;
mod session;
mod socket;
mod token;

use attache_protocol::{policy::CloseCause, viewer::ViewerConfig};
use tokio::task::JoinHandle;

pub use attache_driver::{
    BaseUrl, BaseUrlError, ClientCertificate, Options, OptionsError, Plaintext, ProxyOptions,
    TlsOptions, WebSocketOptions, proxy::ProxyRules,
};
pub use driver::Driver;
pub use events::Events;
pub use http::Http;
pub use session::{CommandError, Ended, Session};
pub use token::{StaticToken, TokenSource};

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
    let http = Http::new(&options)?;
    let seed = attache_driver::seed()?;
    Ok(Driver::prepare(config, seed, http, token::erase(tokens)))
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

/// The README's examples, compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
