//! How to get to one server.

use std::{fmt, sync::Arc};

use rustls::ClientConfig;

use crate::{BaseUrl, Names, Options, OptionsError, proxy::Route};

/// One server, the way to it, and the TLS set-up for both.
#[derive(Clone)]
pub struct Way {
    /// The server.
    pub base: BaseUrl,
    /// Straight to it, or through a proxy.
    pub route: Route,
    /// `None` when nobody on the way speaks TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// Which names need no lookup.
    pub names: Names,
}

impl Way {
    /// The way to the server of `options`. Reads the TLS files.
    ///
    /// # Errors
    /// [`OptionsError`] when the TLS files or the proxy can't be used.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        let route = options.route()?;
        let tls = options.tls_config(&route)?;
        Ok(Self {
            base: options.base_url.clone(),
            route,
            tls,
            names: options.names.clone(),
        })
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way")
            .field("base", &self.base)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}
