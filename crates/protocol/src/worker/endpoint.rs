//! The worker's requests as they go over the wire, and the answers it reads.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{
    config::NewSession,
    event::{AgentState, EventId},
};
use crate::{
    frame::{RawJson, detached},
    ids::SessionId,
    io::{Header, HttpRequest, Method, Server, Token},
    number::Number,
    time::Timestamp,
};

/// Answers are short objects.
const RESPONSE_LIMIT: usize = 1024 * 1024;

/// What `/bridge` grants: who we are, where to go, and for how long.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) token: Token,
    pub(super) server: ByteString,
    pub(super) epoch: u64,
    pub(super) lifetime: Duration,
    /// From when on they open no door any more, if ever.
    pub(super) until: Option<Timestamp>,
}

pub(super) fn register(token: &Token, session: &NewSession) -> HttpRequest {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        bridge: Empty,
        tags: &'a [String],
        config: Config<'a>,
    }
    #[derive(Serialize)]
    struct Empty {}
    #[derive(Serialize)]
    struct Config<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        cwd: Option<&'a str>,
    }
    let body = serde_json::to_vec(&Body {
        title: session.title.as_deref(),
        bridge: Empty {},
        tags: &session.tags,
        config: Config {
            cwd: session.cwd.as_deref(),
        },
    });
    call(
        Method::Post,
        "/v1/code/sessions".into(),
        token,
        Some(body.unwrap_or_default().into()),
    )
}

/// The id of the session that was created.
pub(super) fn read_registered(body: &[u8]) -> Option<SessionId> {
    #[derive(Deserialize)]
    struct Answer {
        session: Session,
    }
    #[derive(Deserialize)]
    struct Session {
        id: String,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    SessionId::parse(&answer.session.id).ok()
}

/// `instance` goes into a header, because a server that does not know it overlooks that.
pub(super) fn bridge(token: &Token, session: &SessionId, instance: &str) -> HttpRequest {
    let path = format!("/v1/code/sessions/{}/bridge", session.v2());
    let mut request = call(Method::Post, path, token, Some(Bytes::from_static(b"{}")));
    request.headers.push(Header {
        name: "x-attache-worker-instance",
        value: instance.into(),
    });
    request
}

/// The credentials that were granted.
pub(super) fn read_credentials(body: &[u8], now: Timestamp) -> Option<Credentials> {
    #[derive(Deserialize)]
    struct Answer {
        worker_jwt: String,
        api_base_url: String,
        expires_in: u64,
        worker_epoch: Number,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    if answer.worker_jwt.trim().is_empty() {
        return None;
    }
    let lifetime = Duration::from_secs(answer.expires_in);
    Some(Credentials {
        token: Token::new(answer.worker_jwt),
        server: answer.api_base_url.into(),
        epoch: answer.worker_epoch.get()?,
        lifetime,
        until: now.checked_add(lifetime),
    })
}

pub(super) fn read_state(session: &SessionId, credentials: &Credentials) -> HttpRequest {
    worker_call(Method::Get, session, credentials, "", None)
}

pub(super) fn report(
    session: &SessionId,
    credentials: &Credentials,
    state: &AgentState,
) -> HttpRequest {
    let epoch = credentials.epoch;
    let body = match state {
        AgentState::Idle => format!("{{\"worker_epoch\":{epoch},\"worker_status\":\"idle\"}}"),
        AgentState::Running => {
            format!("{{\"worker_epoch\":{epoch},\"worker_status\":\"running\"}}")
        }
        AgentState::RequiresAction(details) => format!(
            "{{\"worker_epoch\":{epoch},\"worker_status\":\"requires_action\",\"requires_action_details\":{}}}",
            details.as_str()
        ),
    };
    worker_call(Method::Put, session, credentials, "", Some(body.into()))
}

pub(super) fn upload(session: &SessionId, credentials: &Credentials, body: Bytes) -> HttpRequest {
    worker_call(Method::Post, session, credentials, "/events", Some(body))
}

pub(super) fn delivery(session: &SessionId, credentials: &Credentials, body: Bytes) -> HttpRequest {
    let path = "/events/delivery";
    worker_call(Method::Post, session, credentials, path, Some(body))
}

pub(super) fn heartbeat(session: &SessionId, credentials: &Credentials) -> HttpRequest {
    let (id, epoch) = (session.v2(), credentials.epoch);
    let body = format!("{{\"session_id\":\"{id}\",\"worker_epoch\":{epoch}}}");
    worker_call(
        Method::Post,
        session,
        credentials,
        "/heartbeat",
        Some(body.into()),
    )
}

/// The stream of what viewers send, after number `after`.
pub(super) fn stream(session: &SessionId, credentials: &Credentials, after: u64) -> HttpRequest {
    let path = format!("/events/stream?from_sequence_num={after}");
    let mut request = worker_call(Method::Get, session, credentials, &path, None);
    request.headers.push(Header {
        name: "accept",
        value: "text/event-stream".into(),
    });
    request.headers.push(Header {
        name: "last-event-id",
        value: after.to_string(),
    });
    request
}

pub(super) fn archive(token: &Token, session: &SessionId) -> HttpRequest {
    let path = format!("/v1/sessions/{}/archive", session.v1());
    let mut request = call(Method::Post, path, token, Some(Bytes::from_static(b"{}")));
    request.headers.push(Header {
        name: "anthropic-beta",
        value: "ccr-byoc-2025-07-29".into(),
    });
    request
}

/// The longest `event_id`, in bytes; an event with a longer one can't be read.
const EVENT_ID_LIMIT: usize = 256;

/// An event of the stream.
pub(super) struct StreamEvent {
    pub(super) event_id: EventId,
    pub(super) sequence: Option<u64>,
    pub(super) payload: ByteString,
}

/// Takes a `client_event` apart.
pub(super) fn read_event(data: &ByteString) -> Option<StreamEvent> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        event_id: String,
        sequence_num: Option<Number>,
        #[serde(borrow)]
        payload: &'a serde_json::value::RawValue,
    }
    RawJson::parse(data.clone()).ok()?;
    let event: Wire<'_> = serde_json::from_str(data).ok()?;
    // Thousands are remembered.
    if event.event_id.len() > EVENT_ID_LIMIT {
        return None;
    }
    Some(StreamEvent {
        event_id: EventId(event.event_id.into()),
        sequence: event.sequence_num.as_ref().and_then(Number::get),
        payload: detached(data.slice_ref(event.payload.get()), data.len()),
    })
}

fn worker_call(
    method: Method,
    session: &SessionId,
    credentials: &Credentials,
    below: &str,
    body: Option<Bytes>,
) -> HttpRequest {
    let path = format!("/v1/code/sessions/{}/worker{below}", session.v2());
    let mut request = call(method, path, &credentials.token, body);
    request.server = Server::At(credentials.server.clone());
    request
}

fn call(method: Method, path: String, token: &Token, body: Option<Bytes>) -> HttpRequest {
    HttpRequest {
        method,
        server: Server::Configured,
        path,
        bearer: token.clone(),
        headers: headers(),
        body,
        response_limit: RESPONSE_LIMIT,
    }
}

fn headers() -> Vec<Header> {
    vec![Header {
        name: "anthropic-version",
        value: "2023-06-01".into(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_with_the_epoch_in_either_spelling() {
        for epoch in ["7", "\"7\""] {
            let body = format!(
                r#"{{"worker_jwt":"j","api_base_url":"https://a.example","expires_in":3600,"worker_epoch":{epoch},"more":1}}"#
            );
            let now = Timestamp::from_origin(Duration::from_secs(10));
            let credentials = read_credentials(body.as_bytes(), now).unwrap();
            assert_eq!(credentials.epoch, 7);
            assert_eq!(credentials.lifetime, Duration::from_secs(3600));
            let until = Timestamp::from_origin(Duration::from_secs(3610));
            assert_eq!(credentials.until, Some(until));
        }
        for broken in [
            "",
            "{}",
            r#"{"worker_jwt":"","api_base_url":"x","expires_in":1,"worker_epoch":1}"#,
        ] {
            assert!(read_credentials(broken.as_bytes(), Timestamp::ORIGIN).is_none());
        }
    }

    #[test]
    fn a_session_is_created_in_the_documented_shape() {
        let session = NewSession {
            title: Some("t".into()),
            cwd: Some("/w".into()),
            tags: vec![],
        };
        let body = register(&Token::new("t"), &session).body.unwrap();
        assert_eq!(
            &*body,
            br#"{"title":"t","bridge":{},"tags":[],"config":{"cwd":"/w"}}"#
        );
    }

    #[test]
    fn an_event_keeps_its_payload_byte_for_byte() {
        let data = ByteString::from(
            r#"{"event_id":"e","sequence_num":"12","payload":{"type": "user" ,"n":1.0}}"#,
        );
        let event = read_event(&data).unwrap();
        assert_eq!(event.sequence, Some(12));
        assert_eq!(event.payload, r#"{"type": "user" ,"n":1.0}"#);
    }
}
