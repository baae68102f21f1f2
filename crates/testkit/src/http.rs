//! HTTP as the scripted server sees it.

use std::time::Duration;

use attache_protocol::{
    Bytes,
    io::{HttpRequest, HttpResponse, Method},
};

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET …/events`
    List { after: Option<String>, limit: usize },
    /// `GET …/events?limit=1&sort_order=desc` of the second generation.
    LastEvent,
    /// `POST …/events`
    Post,
    /// `POST …/events` of the second generation.
    PostPayloads,
    /// Something the server does not have.
    Unknown,
}

impl Route {
    pub(crate) fn of(request: &HttpRequest, session: &str) -> Self {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let code = format!(
            "/v1/code/sessions/cse_{}/events",
            session.strip_prefix("session_").unwrap_or(session)
        );
        if path == code {
            return match request.method {
                Method::Post => Self::PostPayloads,
                Method::Get if query == "limit=1&sort_order=desc" => Self::LastEvent,
                Method::Get | Method::Put | Method::Patch | Method::Delete => Self::Unknown,
            };
        }
        if path != format!("/v1/sessions/{session}/events") {
            return Self::Unknown;
        }
        match request.method {
            Method::Post => Self::Post,
            Method::Put | Method::Patch | Method::Delete => Self::Unknown,
            Method::Get => {
                let field = |name: &str| {
                    query.split('&').find_map(|pair| {
                        let (key, value) = pair.split_once('=')?;
                        (key == name).then(|| decoded(value))
                    })
                };
                Self::List {
                    after: field("after_id"),
                    limit: field("limit")
                        .and_then(|limit| limit.parse().ok())
                        .unwrap_or(100),
                }
            }
        }
    }
}

pub(crate) fn answer(status: u16, retry_after: Option<Duration>, body: String) -> HttpResponse {
    HttpResponse {
        status,
        retry_after,
        body: Bytes::from(body),
    }
}

pub(crate) fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.extend(u8::from_str_radix(&digits, 16).ok());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
