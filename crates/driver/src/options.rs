//! What a person decides about connections, whatever the runtime.

use std::sync::Arc;

use crate::{
    BaseUrl, Names, SeedError, TlsError, TlsOptions, WebSocketOptions,
    proxy::{ProxyError, ProxyOptions, Route},
};

/// How to reach the server. Every field but the base URL has a default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where the server is.
    pub base_url: BaseUrl,
    /// Sizes of the WebSocket.
    pub websocket: WebSocketOptions,
    /// Whom to trust, and who we are.
    pub tls: TlsOptions,
    /// Through what to connect.
    pub proxy: ProxyOptions,
    /// Which names need no lookup.
    pub names: Names,
}

/// Why options can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The TLS files are not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy is not usable.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// There is no randomness.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

impl Options {
    /// The defaults, for the server at `base_url`.
    pub fn new(base_url: BaseUrl) -> Self {
        Self {
            base_url,
            websocket: WebSocketOptions::default(),
            tls: TlsOptions::default(),
            proxy: ProxyOptions::default(),
            names: Names::default(),
        }
    }

    /// The way to the server: directly, or through a proxy.
    ///
    /// # Errors
    /// [`OptionsError::Proxy`] when the proxy meant for this server can't be used.
    pub fn route(&self) -> Result<Route, OptionsError> {
        Ok(self.proxy.route(&self.base_url)?)
    }

    /// The TLS set-up, or `None` when neither the server nor the proxy on `route` speaks TLS and no
    /// file is to be checked.
    ///
    /// # Errors
    /// [`OptionsError::Tls`] when a file is missing or holds something else.
    pub fn tls_config(
        &self,
        route: &Route,
    ) -> Result<Option<Arc<rustls::ClientConfig>>, OptionsError> {
        let proxy_speaks_tls = match route {
            Route::Direct => false,
            Route::Proxy(proxy) => proxy.is_tls(),
        };
        if self.base_url.is_tls() || proxy_speaks_tls || self.tls != TlsOptions::default() {
            Ok(Some(self.tls.config()?))
        } else {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plaintext, proxy::ProxyRules};

    fn options(url: &str) -> Options {
        let mut options = Options::new(BaseUrl::parse(url, Plaintext::LoopbackOnly).unwrap());
        options.proxy = ProxyOptions::Direct;
        options
    }

    fn has_tls(options: &Options) -> bool {
        let route = options.route().unwrap();
        options.tls_config(&route).unwrap().is_some()
    }

    #[test]
    fn tls_is_set_up_where_somebody_speaks_it() {
        let mut proxied = options("http://127.0.0.1");
        proxied.proxy = ProxyOptions::Explicit(ProxyRules {
            http: "https://proxy.example".into(),
            ..ProxyRules::default()
        });

        assert!(!has_tls(&options("http://127.0.0.1")));
        assert!(has_tls(&options("https://127.0.0.1")));
        assert!(has_tls(&proxied));
    }

    #[test]
    fn a_file_that_is_missing_is_reported_even_where_nobody_speaks_tls() {
        let mut options = options("http://127.0.0.1");
        options.tls.extra_ca_file = Some("/does/not/exist.pem".into());

        let error = options.tls_config(&Route::Direct).unwrap_err();

        assert!(error.to_string().contains("/does/not/exist.pem"), "{error}");
    }
}
