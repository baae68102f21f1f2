//! Which proxy a server is reached through, by the rules of `HTTP_PROXY` and its siblings.

use std::{env, net::IpAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Uri};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;

/// The values of the variables, read.
pub(super) struct Rules {
    http: Option<Entry>,
    https: Option<Entry>,
    exceptions: Vec<Exception>,
}

/// One proxy.
#[derive(Clone)]
pub(super) struct Entry {
    /// Scheme and authority, without credentials.
    pub(super) uri: Uri,
    /// What the proxy is told of who we are.
    pub(super) authorization: Option<HeaderValue>,
}

/// Hosts that are reached directly.
enum Exception {
    Every,
    Network(IpNet),
    /// The name itself and everything below it.
    Domain(String),
}

impl Rules {
    /// What the environment says. In a CGI program it says nothing: there `HTTP_PROXY` is a header of
    /// whoever calls.
    pub(super) fn from_environment() -> Self {
        if env::var_os("REQUEST_METHOD").is_some() {
            return Self::new("", "", "");
        }
        let variable = |name: &str| {
            env::var(name)
                .or_else(|_| env::var(name.to_lowercase()))
                .unwrap_or_default()
        };
        let mut rules = Self::new(
            &variable("HTTP_PROXY"),
            &variable("HTTPS_PROXY"),
            &variable("NO_PROXY"),
        );
        let all = Entry::parse(&variable("ALL_PROXY"));
        rules.http = rules.http.or_else(|| all.clone());
        rules.https = rules.https.or(all);
        rules
    }

    /// Values that can't be read count as none.
    pub(super) fn new(http: &str, https: &str, exceptions: &str) -> Self {
        Self {
            http: Entry::parse(http),
            https: Entry::parse(https),
            exceptions: exceptions.split(',').filter_map(Exception::parse).collect(),
        }
    }

    /// The proxy for the server at `host`, an IPv6 address without brackets.
    pub(super) fn find(self, is_tls: bool, host: &str) -> Option<Entry> {
        if self.exceptions.iter().any(|except| except.covers(host)) {
            None
        } else if is_tls {
            self.https
        } else {
            self.http
        }
    }
}

impl Entry {
    /// Reads `[scheme://][user[:password]@]host[:port]`; without a scheme it is `http`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?.as_str();
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, authority),
        };
        let authorization = match credentials {
            Some(credentials) => Some(basic(credentials)?),
            None => None,
        };
        let uri = Uri::builder()
            .scheme(uri.scheme_str().unwrap_or("http"))
            .authority(place)
            .path_and_query("/")
            .build()
            .ok()?;
        Some(Self { uri, authorization })
    }
}

/// The value of `Proxy-Authorization` for `user[:password]`, percent-encoded.
fn basic(credentials: &str) -> Option<HeaderValue> {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    let text = format!("Basic {}", BASE64_STANDARD.encode(plain));
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::Every);
        }
        if let Ok(network) = text.parse() {
            return Some(Self::Network(network));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(Self::Network(address.into()));
        }
        let domain = text.trim_start_matches('.');
        (!domain.is_empty()).then(|| Self::Domain(domain.to_ascii_lowercase()))
    }

    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Network(network) => host
                .parse::<IpAddr>()
                .is_ok_and(|address| network.contains(&address)),
            Self::Domain(domain) => host
                .to_ascii_lowercase()
                .strip_suffix(domain.as_str())
                .is_some_and(|above| above.is_empty() || above.ends_with('.')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_cover_names_with_everything_below_them_and_networks() {
        let rules = |exceptions: &str| Rules::new("proxy.example", "", exceptions);
        let cases = [
            ("h.example", "h.example", true),
            ("h.example", "H.Example", true),
            ("h.example", "a.h.example", true),
            (".h.example", "h.example", true),
            (".h.example", "a.h.example", true),
            ("h.example", "oh.example", false),
            ("h.example", "example", false),
            ("x, h.example ,y", "h.example", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "h.example", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("::1", "::1", true),
            ("[::1]", "::1", true),
            ("*", "h.example", true),
            ("", "h.example", false),
            (" , ", "h.example", false),
        ];
        for (exceptions, host, is_direct) in cases {
            let found = rules(exceptions).find(false, host);
            assert_eq!(found.is_none(), is_direct, "{host} with {exceptions}");
        }
    }

    #[test]
    fn credentials_are_taken_out_of_the_address() {
        let entry = Entry::parse("http://us%40er:p%3Aw@proxy.example:1").unwrap();
        assert_eq!(entry.uri, "http://proxy.example:1/");
        // `us@er:p:w`
        let authorization = entry.authorization.unwrap();
        assert_eq!(authorization, "Basic dXNAZXI6cDp3");
        assert!(authorization.is_sensitive());

        assert_eq!(
            Entry::parse("proxy.example:1").unwrap().uri,
            "http://proxy.example:1/"
        );
        assert!(Entry::parse("").is_none());
        assert!(Entry::parse("/path").is_none());
    }
}
