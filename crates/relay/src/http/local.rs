//! Keeping web pages out of a relay that takes any token.
//!
//! On loopback no stranger comes in over the network, but a page in the person's own browser can. A
//! browser names the page's origin, and a page that has bound its own name to this machine is given
//! away by `Host`.

use core::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::error::{ApiError, ErrorKind};
use crate::{Credentials, Relay};

pub(super) async fn only(State(relay): State<Relay>, request: Request, next: Next) -> Response {
    let open = match relay.options().credentials {
        Credentials::Open => true,
        Credentials::Tokens(_) | Credentials::Registry(_) => false,
    };
    if open && !is_local(request.headers()) {
        let message =
            "without tokens the relay is for this machine only, and not for web pages of others";
        return ApiError::new(ErrorKind::Permission, message).into_response();
    }
    next.run(request).await
}

fn is_local(headers: &HeaderMap) -> bool {
    let loopback = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.all(|value| value.to_str().is_ok_and(names_loopback))
    };
    loopback(header::HOST) && loopback(header::ORIGIN)
}

/// Whether an origin, or a host with or without a port, is on this machine.
fn names_loopback(text: &str) -> bool {
    let authority = text
        .split_once("://")
        .map_or(text, |(_, authority)| authority);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    };
    host.is_some_and(|host| match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_local() {
        for local in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]:80",
            "[::1]",
            "http://localhost:3000",
            "http://[::1]",
        ] {
            assert!(names_loopback(local), "{local}");
        }
        for other in [
            "",
            "null",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "https://example.com",
            "https://example.com#localhost",
            "192.168.0.1:80",
            "[2001:db8::1]",
        ] {
            assert!(!names_loopback(other), "{other}");
        }
    }
}
