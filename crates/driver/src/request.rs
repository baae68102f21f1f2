//! The machine's requests with every header in place.

use attache_protocol::{
    Bytes,
    io::{Header, HttpRequest, Method, SocketRequest, Token},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use tungstenite::client::IntoClientRequest as _;

use crate::BaseUrl;

/// Why a request can't be made. The message never holds the token.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// The token has characters that no header may have.
    #[error("the token holds characters that don't go into a header; check where it comes from")]
    Token,
    /// A header's name or value can't be sent.
    #[error("header {name} has a name or a value that can't be sent")]
    Header {
        /// The name.
        name: &'static str,
    },
    /// The path is not percent-encoded or does not start with `/`.
    #[error("the request's path is not a valid URL path")]
    Path,
}

/// The upgrade request for a WebSocket: a complete `ws` or `wss` URL, the upgrade headers, the bearer
/// token and the headers of `request`.
///
/// # Errors
/// [`InvalidRequest`]
pub fn websocket(base: &BaseUrl, request: &SocketRequest) -> Result<Request<()>, InvalidRequest> {
    starts_with_slash(&request.path)?;
    let mut upgrade = base
        .websocket_url(&request.path)
        .into_client_request()
        .map_err(|_| InvalidRequest::Path)?;
    put_headers(upgrade.headers_mut(), &request.headers)?;
    if let Some(token) = &request.bearer {
        upgrade.headers_mut().insert(AUTHORIZATION, bearer(token)?);
    }
    Ok(upgrade)
}

/// An HTTP/1.1 call in origin form: path and query as target, the server in `Host`. `base` is what
/// [`BaseUrl::resolve`] makes of the server that the request names.
///
/// # Errors
/// [`InvalidRequest`]
pub fn http(base: &BaseUrl, request: HttpRequest) -> Result<Request<Bytes>, InvalidRequest> {
    starts_with_slash(&request.path)?;
    let method = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
    };
    let mut call = Request::builder()
        .method(method)
        .uri(base.target(&request.path))
        .body(Bytes::new())
        .map_err(|_| InvalidRequest::Path)?;
    let headers = call.headers_mut();
    let host = HeaderValue::from_str(base.authority()).map_err(|_| InvalidRequest::Path)?;
    headers.insert(HOST, host);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    put_headers(headers, &request.headers)?;
    headers.insert(AUTHORIZATION, bearer(&request.bearer)?);
    if let Some(body) = request.body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *call.body_mut() = body;
    }
    Ok(call)
}

/// The value of `Authorization` for `token`, marked as sensitive.
///
/// # Errors
/// [`InvalidRequest::Token`] when it is empty or holds characters that no header may hold.
pub fn bearer(token: &Token) -> Result<HeaderValue, InvalidRequest> {
    let secret = token.expose();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidRequest::Token);
    }
    let mut value =
        HeaderValue::try_from(format!("Bearer {secret}")).map_err(|_| InvalidRequest::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn put_headers(headers: &mut HeaderMap, wanted: &[Header]) -> Result<(), InvalidRequest> {
    let own = concat!("attache/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(own));
    for header in wanted {
        let refused = InvalidRequest::Header { name: header.name };
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| refused)?;
        let value = HeaderValue::from_str(&header.value).map_err(|_| refused)?;
        headers.insert(name, value);
    }
    Ok(())
}

fn starts_with_slash(path: &str) -> Result<(), InvalidRequest> {
    if path.starts_with('/') {
        Ok(())
    } else {
        Err(InvalidRequest::Path)
    }
}

#[cfg(test)]
mod tests {
    use attache_protocol::io::Server;

    use super::*;
    use crate::Plaintext;

    fn base() -> BaseUrl {
        BaseUrl::parse("https://h.example:8443/api", Plaintext::LoopbackOnly).unwrap()
    }

    fn version() -> Header {
        Header {
            name: "anthropic-version",
            value: "2023-06-01".into(),
        }
    }

    fn call(path: &str, token: &str) -> HttpRequest {
        HttpRequest {
            method: Method::Post,
            server: Server::Configured,
            path: path.into(),
            bearer: Token::new(token),
            headers: vec![version()],
            body: Some(Bytes::from_static(b"{}")),
            response_limit: 10,
        }
    }

    #[test]
    fn an_upgrade_has_its_url_its_headers_and_a_sensitive_token() {
        let request = SocketRequest {
            path: "/v1/x?y=1".into(),
            bearer: Some(Token::new("hunter2")),
            headers: vec![version()],
        };
        let upgrade = websocket(&base(), &request).unwrap();

        assert_eq!(upgrade.uri(), "wss://h.example:8443/api/v1/x?y=1");
        assert_eq!(upgrade.headers()["host"], "h.example:8443");
        assert_eq!(upgrade.headers()["upgrade"], "websocket");
        assert_eq!(upgrade.headers()["anthropic-version"], "2023-06-01");
        assert_eq!(upgrade.headers()["authorization"], "Bearer hunter2");
        assert!(!format!("{upgrade:?}").contains("hunter2"));
    }

    #[test]
    fn a_call_is_in_origin_form_and_says_that_it_sends_json() {
        let made = http(&base(), call("/v1/x?y=1", "hunter2")).unwrap();

        assert_eq!(made.uri(), "/api/v1/x?y=1");
        assert_eq!(made.method(), http::Method::POST);
        assert_eq!(made.headers()["host"], "h.example:8443");
        assert_eq!(made.headers()["content-type"], "application/json");
        assert_eq!(made.body(), "{}");
        assert!(!format!("{made:?}").contains("hunter2"));
    }

    #[test]
    fn what_no_header_may_hold_is_an_error_that_does_not_show_it() {
        for token in [
            "",
            "hunter2\nx",
            "hunter2\u{e4}",
            "hunter2 x",
            "hunter2\u{7f}",
        ] {
            let error = bearer(&Token::new(token)).unwrap_err();
            assert!(!format!("{error}{error:?}").contains("hunter2"));
        }
        let mut odd = call("/x", "t");
        odd.headers = vec![Header {
            name: "x-odd",
            value: "a\r\nb".into(),
        }];
        assert_eq!(
            http(&base(), odd).unwrap_err(),
            InvalidRequest::Header { name: "x-odd" }
        );
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        for path in ["", "x", "/a b", "//\u{1}", "@evil.example/"] {
            let request = SocketRequest {
                path: path.into(),
                bearer: None,
                headers: Vec::new(),
            };
            assert_eq!(
                websocket(&base(), &request).unwrap_err(),
                InvalidRequest::Path
            );
            assert_eq!(
                http(&base(), call(path, "t")).unwrap_err(),
                InvalidRequest::Path
            );
        }
    }
}
