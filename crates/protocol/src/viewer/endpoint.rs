//! The viewer's requests, as they go over the wire.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use bytes::Bytes;

use super::{
    Content, CredentialPlacement, MessageId, Transport, catchup::NextPage, settings::Settings,
};
use crate::{
    frame::push_line,
    io::{Header, HttpRequest, Method, Server, SocketRequest, Token},
};

/// `anthropic-version`, sent with everything.
const API_VERSION: &str = "2023-06-01";
/// `anthropic-beta`, sent with HTTP calls.
const API_BETA: &str = "ccr-byoc-2025-07-29";
/// `anthropic-client-platform`, sent to the second generation of endpoints.
const CLIENT_PLATFORM: &str = "attache";
/// The answer to a post is a short object.
const POST_RESPONSE_LIMIT: usize = 64 * 1024;

/// The socket that streams the session.
pub(super) fn subscribe(config: &Settings, token: &Token) -> SocketRequest {
    let mut path = format!("/v1/sessions/ws/{}/subscribe", config.session.v1());
    if let Some(organization) = &config.organization {
        path.push_str("?organization_uuid=");
        path.push_str(organization.as_str());
    }
    SocketRequest {
        path,
        bearer: match config.credential {
            CredentialPlacement::Header | CredentialPlacement::HeaderAndAuthFrame => {
                Some(token.clone())
            }
            CredentialPlacement::AuthFrame => None,
        },
        headers: vec![version()],
    }
}

/// The stream that brings the session, after event number `after`; without one, from now on.
pub(super) fn stream(config: &Settings, token: &Token, after: Option<u64>) -> HttpRequest {
    let mut path = code_events(config);
    path.push_str("/stream");
    let mut headers = code_headers();
    headers.push(Header {
        name: "accept",
        value: "text/event-stream".into(),
    });
    if let Some(after) = after {
        path.push_str("?from_sequence_num=");
        path.push_str(&after.to_string());
        headers.push(Header {
            name: "last-event-id",
            value: after.to_string(),
        });
    }
    HttpRequest {
        method: Method::Get,
        server: Server::Configured,
        path,
        bearer: token.clone(),
        headers,
        body: None,
        response_limit: config.limits.page_bytes,
    }
}

/// A page of the stored events.
pub(super) fn list_events(config: &Settings, token: &Token, page: &NextPage) -> HttpRequest {
    let (path, headers) = match page {
        NextPage::Entries { after, entries } => {
            let mut path = format!("{}?limit={entries}", events(config));
            if let Some(after) = after {
                path.push_str("&after_id=");
                push_encoded(&mut path, after);
            }
            (path, call_headers(config))
        }
        NextPage::LastEvent => {
            let mut path = code_events(config);
            path.push_str("?limit=1&sort_order=desc");
            (path, code_headers())
        }
    };
    HttpRequest {
        method: Method::Get,
        server: Server::Configured,
        path,
        bearer: token.clone(),
        headers,
        body: None,
        response_limit: config.limits.page_bytes,
    }
}

/// A post of events.
pub(super) fn post_event(config: &Settings, token: &Token, body: Bytes) -> HttpRequest {
    let (path, headers) = match config.transport {
        Transport::WebSocket => (events(config), call_headers(config)),
        Transport::Sse => (code_events(config), code_headers()),
    };
    HttpRequest {
        method: Method::Post,
        server: Server::Configured,
        path,
        bearer: token.clone(),
        headers,
        body: Some(body),
        response_limit: POST_RESPONSE_LIMIT,
    }
}

/// The body of [`post_event`] for a message of ours.
pub(super) fn message_body(config: &Settings, id: &MessageId, content: &Content) -> Bytes {
    let mut message = format!(
        "{{\"uuid\":\"{id}\",\"session_id\":\"{}\",\"type\":\"user\",\
         \"parent_tool_use_id\":null,\"message\":{{\"role\":\"user\",\"content\":",
        config.session.v1(),
    );
    push_line(&mut message, content.as_json().as_str());
    message.push_str("}}");
    match config.transport {
        Transport::WebSocket => format!("{{\"events\":[{message}]}}").into(),
        Transport::Sse => payloads([&*message]),
    }
}

/// The body of [`post_event`] for frames that go by their own name.
pub(super) fn payloads<'a>(frames: impl IntoIterator<Item = &'a str>) -> Bytes {
    let mut body = String::from("{\"events\":[");
    for (place, frame) in frames.into_iter().enumerate() {
        if place > 0 {
            body.push(',');
        }
        body.push_str("{\"payload\":");
        body.push_str(frame.trim_end());
        body.push('}');
    }
    body.push_str("]}");
    body.into()
}

fn events(config: &Settings) -> String {
    format!("/v1/sessions/{}/events", config.session.v1())
}

fn code_events(config: &Settings) -> String {
    format!("/v1/code/sessions/{}/events", config.session.v2())
}

fn code_headers() -> Vec<Header> {
    vec![
        version(),
        Header {
            name: "anthropic-client-platform",
            value: CLIENT_PLATFORM.into(),
        },
    ]
}

fn version() -> Header {
    Header {
        name: "anthropic-version",
        value: API_VERSION.into(),
    }
}

fn call_headers(config: &Settings) -> Vec<Header> {
    let mut headers = vec![
        version(),
        Header {
            name: "anthropic-beta",
            value: API_BETA.into(),
        },
    ];
    if let Some(organization) = &config.organization {
        headers.push(Header {
            name: "x-organization-uuid",
            value: organization.as_str().into(),
        });
    }
    headers
}

/// Event ids are the server's, so they may hold anything.
fn push_encoded(path: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push('%');
            path.push(hex(byte >> 4));
            path.push(hex(byte & 0xf));
        }
    }
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

    use super::*;
    use crate::{OrganizationId, SessionId, frame::RawJson, viewer::ViewerConfig};

    fn config() -> Settings {
        let mut config = ViewerConfig::new(SessionId::parse("cse_x").unwrap());
        config.organization = Some(OrganizationId::parse("org-1").unwrap());
        config.into()
    }

    #[test]
    fn the_subscription_carries_the_organization_and_the_credential() {
        let token = Token::new("secret");
        let request = subscribe(&config(), &token);
        assert_eq!(
            request.path,
            "/v1/sessions/ws/session_x/subscribe?organization_uuid=org-1"
        );
        assert_eq!(request.bearer, Some(token.clone()));
        assert!(!format!("{request:?}").contains("secret"));

        let mut framed = config();
        framed.credential = CredentialPlacement::AuthFrame;
        assert_eq!(subscribe(&framed, &token).bearer, None);
    }

    #[test]
    fn a_server_made_id_cannot_break_out_of_its_query_parameter() {
        let after = ByteString::from("a&limit=9#ä/");
        let request = list_events(
            &config(),
            &Token::new("t"),
            &NextPage::Entries {
                after: Some(after),
                entries: 100,
            },
        );
        assert_eq!(
            request.path,
            "/v1/sessions/session_x/events?limit=100&after_id=a%26limit%3D9%23%C3%A4%2F"
        );
    }

    #[test]
    fn a_message_is_posted_in_the_documented_shape() {
        let body = message_body(
            &config(),
            &MessageId("u".into()),
            &Content::text("hi \"you\""),
        );
        assert_eq!(
            &*body,
            br#"{"events":[{"uuid":"u","session_id":"session_x","type":"user","parent_tool_use_id":null,"message":{"role":"user","content":"hi \"you\""}}]}"#
        );
    }

    #[test]
    fn a_message_on_several_lines_is_posted_on_one() {
        let content = RawJson::parse("[\n\r\n]").unwrap();
        let content = Content::from_json(content).unwrap();
        let body = message_body(&config(), &MessageId("u".into()), &content);
        assert!(body.ends_with(b"\"content\":[   ]}}]}"));
    }

    #[test]
    fn a_stream_is_asked_for_with_its_position_in_both_ways() {
        let request = stream(&config(), &Token::new("t"), Some(7));
        assert_eq!(
            request.path,
            "/v1/code/sessions/cse_x/events/stream?from_sequence_num=7"
        );
        let header = |name: &str| {
            let header = request.headers.iter().find(|header| header.name == name);
            header.map(|header| header.value.as_str())
        };
        assert_eq!(header("last-event-id"), Some("7"));
        assert_eq!(header("anthropic-version"), Some("2023-06-01"));
        assert!(header("anthropic-client-platform").is_some());
        let anywhere = stream(&config(), &Token::new("t"), None);
        assert_eq!(anywhere.path, "/v1/code/sessions/cse_x/events/stream");
    }

    #[test]
    fn frames_are_posted_as_payloads() {
        assert_eq!(
            &*payloads(["{\"a\":1}\n"]),
            br#"{"events":[{"payload":{"a":1}}]}"#
        );
        let two = payloads(["1", "2"]);
        assert_eq!(&*two, br#"{"events":[{"payload":1},{"payload":2}]}"#);
    }
}
