//! The driver of adapters whose connections are futures, whatever runs them.
//!
//! An adapter says how its runtime opens connections and waits ([`Network`]); everything above that is
//! here: the loop that carries a machine's orders out, the handles of the application, the events.
//!
//! [`viewer`] and [`worker`] make a session of a machine's configuration and a network.

mod alarm;
mod connections;
mod dial;
mod driver;
#[cfg(test)]
mod dropped;
mod events;
mod handle;
mod in_flight;
mod network;
#[cfg(test)]
mod nowhere;
mod session;
mod socket;
mod stream;
mod token;
mod view;
mod worker;

use attache_protocol::{
    viewer::{Viewer, ViewerConfig},
    worker::{Worker, WorkerConfig},
};

use crate::{Clock, SeedError};
use connections::Connections;
pub use dial::first_to_answer;
pub use driver::Driver;
pub use events::Events;
pub use network::{Answer, Body, Network, Timer, WebSocket};
pub use session::Session;
pub use token::TokenSource;
pub use worker::WorkerSession;

/// A viewer's session on `network`. Nothing happens before the [`Driver`] is polled.
///
/// # Errors
/// [`SeedError`] when the operating system gives no random bytes.
pub fn viewer<N: Network>(
    config: ViewerConfig,
    network: N,
    tokens: impl TokenSource,
) -> Result<(Session, Events, Driver<Viewer, N>), SeedError> {
    let connections = Connections::new(network, token::erase(tokens));
    let seed = crate::seed()?;
    let clock = Clock::start();
    let span = tracing::info_span!("session", id = %config.session);
    let viewer = Viewer::new(config, seed, clock.now());
    let (handle, events, driver) = Driver::prepare(viewer, clock, connections, span);
    Ok((Session::new(handle, clock), events, driver))
}

/// What [`worker`] makes.
pub type WorkerParts<N> = (WorkerSession, Events<Worker>, Driver<Worker, N>);

/// A worker on `network`. Nothing happens before the [`Driver`] is polled.
///
/// # Errors
/// [`SeedError`] when the operating system gives no random bytes.
pub fn worker<N: Network>(
    config: WorkerConfig,
    network: N,
    tokens: impl TokenSource,
) -> Result<WorkerParts<N>, SeedError> {
    let connections = Connections::new(network, token::erase(tokens));
    let seed = crate::seed()?;
    let clock = Clock::start();
    let worker = Worker::new(config, seed, clock.now());
    let span = tracing::info_span!("worker");
    let (handle, events, driver) = Driver::prepare(worker, clock, connections, span);
    Ok((WorkerSession::new(handle), events, driver))
}
