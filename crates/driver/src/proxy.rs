//! The way to the server: directly, or through a proxy's `CONNECT` tunnel.
//!
//! Plain and encrypted connections alike go through a tunnel, because a WebSocket needs one.

mod rules;

use std::fmt;

use http::{HeaderValue, Uri};

use crate::BaseUrl;
use rules::{Entry, Rules};

/// The longest answer to `CONNECT` that is read, in bytes.
pub const ANSWER_LIMIT: usize = 16 * 1024;

/// Which proxy to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyOptions {
    /// `HTTPS_PROXY` or `HTTP_PROXY` after the server's scheme, else `ALL_PROXY`, unless `NO_PROXY`
    /// names the host; lower case spellings count as well.
    #[default]
    FromEnvironment,
    /// None.
    Direct,
    /// The same rules with these values.
    Explicit(ProxyRules),
}

/// What the environment variables of the same names would say. `Debug` shows no credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyRules {
    /// The proxy for `http` servers; empty for none.
    pub http: String,
    /// The proxy for `https` servers; empty for none.
    pub https: String,
    /// Hosts to reach directly, separated by commas.
    pub no_proxy: String,
}

/// How to reach the server.
#[derive(Clone, Debug)]
pub enum Route {
    /// Straight to it.
    Direct,
    /// Through this proxy.
    Proxy(Proxy),
}

/// One proxy. `Debug` shows no credentials.
#[derive(Clone)]
pub struct Proxy {
    uri: Uri,
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

/// Why a proxy can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It is not an HTTP proxy.
    #[error("the proxy has scheme {scheme}; only http and https proxies work, set another or none")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// It names no host.
    #[error("the proxy setting names no host; write it like http://host:port")]
    NoHost,
}

/// What came back for `CONNECT`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not all of it yet; read more and ask again with everything read so far.
    Partial,
    /// The tunnel stands.
    Open,
    /// The proxy refuses with this status.
    Refused {
        /// The status.
        status: u16,
    },
    /// It is no answer of a proxy, or it has bytes behind it that nobody asked for.
    Malformed,
}

impl ProxyOptions {
    /// The way to `base`.
    ///
    /// # Errors
    /// [`ProxyError`] when the proxy that the rules name can't be used.
    pub fn route(&self, base: &BaseUrl) -> Result<Route, ProxyError> {
        let rules = match self {
            Self::FromEnvironment => Rules::from_environment(),
            Self::Direct => return Ok(Route::Direct),
            Self::Explicit(rules) => rules.read()?,
        };
        match rules.find(base.is_tls(), base.host()) {
            Some(entry) => Ok(Route::Proxy(Proxy::new(entry)?)),
            None => Ok(Route::Direct),
        }
    }
}

impl ProxyRules {
    fn read(&self) -> Result<Rules, ProxyError> {
        for proxy in [&self.http, &self.https] {
            if !proxy.is_empty() && Entry::parse(proxy).is_none() {
                return Err(ProxyError::NoHost);
            }
        }
        Ok(Rules::new(&self.http, &self.https, &self.no_proxy))
    }
}

impl fmt::Debug for ProxyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyRules")
            .field("http", &!self.http.is_empty())
            .field("https", &!self.https.is_empty())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

impl Proxy {
    fn new(entry: Entry) -> Result<Self, ProxyError> {
        let Entry { uri, authorization } = entry;
        let default_port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            other => {
                return Err(ProxyError::Scheme {
                    scheme: other.unwrap_or_default().into(),
                });
            }
        };
        let host = uri.host().ok_or(ProxyError::NoHost)?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).into(),
            port: uri.port_u16().unwrap_or(default_port),
            authorization,
            uri,
        })
    }

    /// Whether the connection to the proxy itself is encrypted.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// The proxy's host, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What to write to the proxy to get a tunnel to `base`. Holds the proxy's credentials.
    pub fn connect_request(&self, base: &BaseUrl) -> Vec<u8> {
        let host = if base.host().contains(':') {
            format!("[{}]", base.host())
        } else {
            base.host().to_owned()
        };
        let target = format!("{host}:{}", base.port());
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"proxy-authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.uri)
    }
}

/// Reads what a proxy has answered to `CONNECT` so far.
pub fn read_answer(bytes: &[u8]) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() < ANSWER_LIMIT => Answer::Partial,
        Ok(httparse::Status::Complete(length)) => match response.code {
            Some(200..=299) if length == bytes.len() => Answer::Open,
            Some(200..=299) | None => Answer::Malformed,
            Some(status) => Answer::Refused { status },
        },
        Ok(httparse::Status::Partial) | Err(_) => Answer::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plaintext;

    fn base(url: &str) -> BaseUrl {
        BaseUrl::parse(url, Plaintext::Allowed).unwrap()
    }

    fn rules() -> ProxyOptions {
        ProxyOptions::Explicit(ProxyRules {
            http: "plain.example:3128".into(),
            https: "http://user:hunter2@secure.example:3129".into(),
            no_proxy: "direct.example, 10.0.0.0/8".into(),
        })
    }

    #[test]
    fn the_scheme_picks_the_proxy_and_exceptions_go_directly() {
        let cases = [
            ("http://h.example", Some(("plain.example", 3128))),
            ("https://h.example", Some(("secure.example", 3129))),
            ("https://127.0.0.1:9", Some(("secure.example", 3129))),
            ("https://direct.example", None),
            ("https://a.direct.example", None),
            ("http://10.1.2.3", None),
        ];
        for (url, expected) in cases {
            let route = rules().route(&base(url)).unwrap();
            let found = match &route {
                Route::Direct => None,
                Route::Proxy(proxy) => Some((proxy.host(), proxy.port())),
            };
            assert_eq!(found, expected, "{url}");
        }
        let route = ProxyOptions::Direct.route(&base("https://h.example"));
        assert!(matches!(route, Ok(Route::Direct)));
    }

    #[test]
    fn credentials_go_to_the_proxy_and_nowhere_else() {
        let options = rules();
        let Route::Proxy(proxy) = options.route(&base("https://[::2]")).unwrap() else {
            panic!("no proxy");
        };
        let request = String::from_utf8(proxy.connect_request(&base("https://[::2]"))).unwrap();

        assert_eq!(
            request,
            "CONNECT [::2]:443 HTTP/1.1\r\nhost: [::2]:443\r\nproxy-authorization: Basic dXNlcjpodW50ZXIy\r\n\r\n"
        );
        assert!(!format!("{options:?}{proxy:?}").contains("hunter2"));
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused() {
        let through = |https: &str| {
            ProxyOptions::Explicit(ProxyRules {
                https: https.into(),
                ..ProxyRules::default()
            })
            .route(&base("https://h.example"))
            .unwrap_err()
        };
        assert_eq!(
            through("socks5://h.example:1"),
            ProxyError::Scheme {
                scheme: "socks5".into()
            }
        );
        assert_eq!(through("/path"), ProxyError::NoHost);
    }

    #[test]
    fn answers_are_read_to_their_end_and_not_beyond() {
        let cases: [(&[u8], Answer); 7] = [
            (b"", Answer::Partial),
            (b"HTTP/1.1 200 OK\r\n", Answer::Partial),
            (b"HTTP/1.1 200 OK\r\nvia: x\r\n\r\n", Answer::Open),
            (b"HTTP/1.0 200 Connection established\r\n\r\n", Answer::Open),
            (
                b"HTTP/1.1 407 No\r\n\r\nbody",
                Answer::Refused { status: 407 },
            ),
            (b"HTTP/1.1 200 OK\r\n\r\nmore", Answer::Malformed),
            (b"SSH-2.0", Answer::Malformed),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read_answer(bytes), expected);
        }
        let endless = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; ANSWER_LIMIT]].concat();
        assert_eq!(read_answer(&endless), Answer::Malformed);
    }
}
