//! The servers that calls go to, and the connections kept for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attache_driver::{BaseUrl, Options, OptionsError};
use attache_protocol::io::{NetworkFailure, Server};

use crate::{dial::Connector, line::Line};

/// A worker has a few calls under way at once.
const IDLE_LINES: usize = 4;

/// The configured server, and the one that it named last.
pub(crate) struct Servers {
    options: Options,
    configured: Arc<Host>,
    named: Mutex<Option<Arc<Host>>>,
}

/// One server.
pub(crate) struct Host {
    connector: Connector,
    idle: Mutex<Vec<Line>>,
}

impl Servers {
    pub(crate) fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self {
            options: options.clone(),
            configured: Arc::new(Host::new(options)?),
            named: Mutex::default(),
        })
    }

    pub(crate) fn configured(&self) -> &Arc<Host> {
        &self.configured
    }

    /// The server that a request names, if its URL keeps the rules.
    pub(crate) fn find(&self, server: &Server) -> Result<Arc<Host>, NetworkFailure> {
        let base = self.options.base_url.resolve(server).map_err(|error| {
            tracing::warn!(%error, "the server names another one that can't be used");
            NetworkFailure::Other
        })?;
        if *base == self.options.base_url {
            return Ok(Arc::clone(&self.configured));
        }
        let mut named = lock(&self.named);
        if let Some(host) = &*named
            && *host.base() == *base
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

impl Host {
    fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self {
            connector: Connector::new(options)?,
            idle: Mutex::default(),
        })
    }

    pub(crate) fn base(&self) -> &BaseUrl {
        self.connector.base()
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The connection that was used last, if it can be used again.
    pub(crate) fn take_idle(&self) -> Option<Line> {
        let mut idle = lock(&self.idle);
        idle.retain_mut(Line::is_fit);
        idle.pop()
    }

    /// Keeps a connection for the next call, if it is fit for one.
    pub(crate) fn keep_idle(&self, mut line: Line) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_LINES && line.is_fit() {
            idle.push(line);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
