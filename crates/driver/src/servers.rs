//! The servers that calls go to, and the connections kept for them.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use attache_protocol::io::{NetworkFailure, Server};

use crate::{Options, OptionsError, way::Way};

/// A worker has a few calls under way at once.
const IDLE_LINES: usize = 4;

/// An idle connection is used again within this time; servers close theirs after a little more.
pub const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// An HTTP connection of an adapter.
pub trait Line {
    /// Whether another call may be made: the connection goes on, and is done with the last one, which was
    /// not longer than [`IDLE_LIMIT`] ago.
    fn is_fit(&mut self) -> bool;
}

/// The configured server, and the one that it named last. Without a parameter, those of an adapter that
/// keeps no connections.
pub struct Servers<L = Infallible> {
    options: Options,
    configured: Arc<Host<L>>,
    named: Mutex<Option<Arc<Host<L>>>>,
}

/// One server.
pub struct Host<L = Infallible> {
    way: Way,
    idle: Mutex<Vec<L>>,
}

impl<L> Servers<L> {
    /// The server of `options`.
    ///
    /// # Errors
    /// [`OptionsError`] when the TLS files or the proxy can't be used.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self {
            options: options.clone(),
            configured: Arc::new(Host::new(options)?),
            named: Mutex::default(),
        })
    }

    /// The server of the options.
    pub fn configured(&self) -> &Arc<Host<L>> {
        &self.configured
    }

    /// The server that a request names.
    ///
    /// # Errors
    /// [`NetworkFailure::Other`] when its URL breaks the rules, or it can't be reached; that is logged.
    pub fn find(&self, server: &Server) -> Result<Arc<Host<L>>, NetworkFailure> {
        let base = self.options.base_url.resolve(server).map_err(|error| {
            tracing::warn!(%error, "the server names another one that can't be used");
            NetworkFailure::Other
        })?;
        if *base == self.options.base_url {
            return Ok(Arc::clone(&self.configured));
        }
        let mut named = lock(&self.named);
        if let Some(host) = &*named
            && host.way.base == *base
        {
            return Ok(Arc::clone(host));
        }
        let mut options = self.options.clone();
        options.base_url = base.into_owned();
        let host = Arc::new(Host::new(&options).map_err(|error| {
            tracing::warn!(%error, "the server names another one that can't be reached");
            NetworkFailure::Other
        })?);
        *named = Some(Arc::clone(&host));
        Ok(host)
    }
}

impl<L> Host<L> {
    fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self {
            way: Way::new(options)?,
            idle: Mutex::default(),
        })
    }

    /// The way to it.
    pub fn way(&self) -> &Way {
        &self.way
    }
}

impl<L: Line> Host<L> {
    /// The connection that was used last, if it can be used again.
    pub fn take_idle(&self) -> Option<L> {
        let mut idle = lock(&self.idle);
        idle.retain_mut(L::is_fit);
        idle.pop()
    }

    /// Keeps a connection for the next call, if it is fit for one.
    pub fn keep_idle(&self, mut line: L) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_LINES && line.is_fit() {
            idle.push(line);
        }
    }
}

impl<L> fmt::Debug for Servers<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers")
            .field("configured", &self.configured)
            .finish_non_exhaustive()
    }
}

impl<L> fmt::Debug for Host<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
