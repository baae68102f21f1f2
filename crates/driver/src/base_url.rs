//! Where the server is: scheme, host, port and perhaps a path prefix.

use std::{borrow::Cow, fmt};

use attache_protocol::io::Server;
use url::{Host, Url};

/// The part that every URL of a server has in common. Holds no secret, so it may be shown.
///
/// ```
/// use attache_driver::{BaseUrl, Plaintext};
///
/// let base = BaseUrl::parse("https://relay.example/", Plaintext::LoopbackOnly).unwrap();
/// assert_eq!(base.http_url("/v1/sessions"), "https://relay.example/v1/sessions");
/// assert_eq!(base.websocket_url("/v1/s"), "wss://relay.example/v1/s");
/// assert!(BaseUrl::parse("http://relay.example", Plaintext::LoopbackOnly).is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    /// Without brackets around an IPv6 address.
    host: String,
    port: u16,
    /// As it goes into `Host`: with brackets, without a default port.
    authority: String,
    /// Empty, or starts with `/` and does not end with one.
    prefix: String,
    /// The rule it was parsed by.
    plaintext: Plaintext,
}

/// Whether a token may travel unencrypted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Plaintext {
    /// Only to this machine itself.
    #[default]
    LoopbackOnly,
    /// Anywhere. Whoever sits in between can read the token and the conversation.
    Allowed,
}

/// Why a base URL can't be used. The message never holds the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It is no URL.
    #[error("the base URL can't be read: {0}; write it like https://host")]
    Unreadable(#[from] url::ParseError),
    /// Neither `http` nor `https`.
    #[error("the base URL has scheme {scheme}; use https, or http for this machine")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// A user name or a password.
    #[error("the base URL holds credentials; take them out, the token source gives the credential")]
    Credentials,
    /// A query or a fragment.
    #[error("the base URL has a query or a fragment; take it out")]
    QueryOrFragment,
    /// `http` to another machine.
    #[error(
        "http:// would send the token unencrypted to {host}; use https://, or allow it with Plaintext::Allowed"
    )]
    Plaintext {
        /// The host.
        host: String,
    },
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl BaseUrl {
    /// Takes an `http` or `https` URL without credentials, query and fragment.
    ///
    /// # Errors
    /// [`BaseUrlError`] for anything else, and for `http` to another machine unless `plaintext` allows
    /// it.
    pub fn parse(text: &str, plaintext: Plaintext) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text.trim())?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => {
                return Err(BaseUrlError::Scheme {
                    scheme: other.into(),
                });
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::QueryOrFragment);
        }
        let host = url.host().ok_or(url::ParseError::EmptyHost)?;
        if scheme == Scheme::Http && plaintext == Plaintext::LoopbackOnly && !is_loopback(&host) {
            return Err(BaseUrlError::Plaintext {
                host: host.to_string(),
            });
        }
        let bracketed = host.to_string();
        let authority = match url.port() {
            Some(port) => format!("{bracketed}:{port}"),
            None => bracketed.clone(),
        };
        Ok(Self {
            scheme,
            host: bracketed.trim_matches(['[', ']']).into(),
            port: url.port_or_known_default().unwrap_or(scheme.default_port()),
            authority,
            prefix: url.path().trim_end_matches('/').into(),
            plaintext,
        })
    }

    /// The server that a request names: this one, or one that this one has named. The same rules hold
    /// for both, and where this one may be spoken to unencrypted, so may the other.
    ///
    /// # Errors
    /// [`BaseUrlError`] as from [`parse`](Self::parse).
    pub fn resolve(&self, server: &Server) -> Result<Cow<'_, Self>, BaseUrlError> {
        match server {
            Server::Configured => Ok(Cow::Borrowed(self)),
            Server::At(url) => Ok(Cow::Owned(Self::parse(url, self.plaintext)?)),
        }
    }

    /// The `http` or `https` URL of a path (and query) that starts with `/`.
    pub fn http_url(&self, path: &str) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}{}", self.authority, self.target(path))
    }

    /// The `ws` or `wss` URL of a path (and query) that starts with `/`.
    pub fn websocket_url(&self, path: &str) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "ws",
            Scheme::Https => "wss",
        };
        format!("{scheme}://{}{}", self.authority, self.target(path))
    }

    /// A path as it stands in a request line: with the prefix of the base, without scheme and host.
    pub fn target(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Whether connections are encrypted.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// The host to connect to, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of a `Host` header.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.http_url(""))
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({self})")
    }
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<BaseUrl, BaseUrlError> {
        BaseUrl::parse(text, Plaintext::LoopbackOnly)
    }

    #[test]
    fn urls_are_derived_for_both_protocols() {
        let cases = [
            (
                "https://h.example",
                "https://h.example/x?y=1",
                "wss://h.example/x?y=1",
            ),
            (
                "https://h.example:8443/api/",
                "https://h.example:8443/api/x?y=1",
                "wss://h.example:8443/api/x?y=1",
            ),
            (
                "HTTPS://H.example:443",
                "https://h.example/x?y=1",
                "wss://h.example/x?y=1",
            ),
            (
                "http://[::1]:9",
                "http://[::1]:9/x?y=1",
                "ws://[::1]:9/x?y=1",
            ),
            (
                " http://localhost ",
                "http://localhost/x?y=1",
                "ws://localhost/x?y=1",
            ),
        ];
        for (text, http, websocket) in cases {
            let base = parse(text).unwrap();
            assert_eq!(base.http_url("/x?y=1"), http);
            assert_eq!(base.websocket_url("/x?y=1"), websocket);
        }
        let base = parse("http://[::1]").unwrap();
        assert_eq!(
            (base.host(), base.port(), base.authority()),
            ("::1", 80, "[::1]")
        );
    }

    #[test]
    fn plain_text_stays_on_this_machine_unless_allowed() {
        for near in [
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]",
            "localhost",
            "a.localhost",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(parse(&format!("http://{near}")).is_ok(), "{near}");
        }
        for far in [
            "10.0.0.1",
            "h.example",
            "localhost.example",
            "[fe80::1]",
            "notlocalhost",
        ] {
            let url = format!("http://{far}");
            let error = parse(&url).unwrap_err();
            assert!(error.to_string().contains("Plaintext::Allowed"), "{far}");
            assert!(BaseUrl::parse(&url, Plaintext::Allowed).is_ok(), "{far}");
        }
    }

    #[test]
    fn anything_but_a_plain_base_is_refused_without_being_shown() {
        let cases = [
            "",
            "h.example",
            "ftp://h.example",
            "https://hunter2@h.example",
            "https://u:hunter2@h.example",
            "https://h.example?hunter2",
            "https://h.example#hunter2",
        ];
        for text in cases {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_server_that_is_named_is_held_to_the_rules_of_the_one_that_named_it() {
        let strict = parse("https://h.example/api").unwrap();
        let lenient = BaseUrl::parse("http://h.example", Plaintext::Allowed).unwrap();
        let at = |url: &'static str| Server::At(url.into());

        assert_eq!(*strict.resolve(&Server::Configured).unwrap(), strict);
        let other = strict.resolve(&at("https://w.example:8443/x/")).unwrap();
        assert_eq!(other.http_url("/y"), "https://w.example:8443/x/y");
        assert!(strict.resolve(&at("http://127.0.0.1:1")).is_ok());
        assert!(lenient.resolve(&at("http://w.example")).is_ok());
        for refused in ["http://w.example", "https://u:p@w.example", "w.example", ""] {
            assert!(strict.resolve(&at(refused)).is_err(), "{refused}");
        }
    }
}
