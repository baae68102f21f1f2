//! The viewer's requests, as they go over the wire.

use alloc::{format, string::String, vec, vec::Vec};

use bytes::Bytes;

use super::{Content, CredentialPlacement, MessageId, ViewerConfig, catchup::NextPage};
use crate::io::{Header, HttpRequest, Method, Server, SocketRequest, Token};

/// `anthropic-version`, sent with everything.
const API_VERSION: &str = "2023-06-01";
/// `anthropic-beta`, sent with HTTP calls.
const API_BETA: &str = "ccr-byoc-2025-07-29";
/// The answer to a post is a short object.
const POST_RESPONSE_LIMIT: usize = 64 * 1024;

/// The socket that streams the session.
pub(super) fn subscribe(config: &ViewerConfig, token: &Token) -> SocketRequest {
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

/// A page of the stored events.
pub(super) fn list_events(
    config: &ViewerConfig,
    token: &Token,
    page: &NextPage<'_>,
) -> HttpRequest {
    let mut path = format!(
        "/v1/sessions/{}/events?limit={}",
        config.session.v1(),
        page.entries
    );
    if let Some(after) = page.after {
        path.push_str("&after_id=");
        push_encoded(&mut path, after);
    }
    HttpRequest {
        method: Method::Get,
        server: Server::Configured,
        path,
        bearer: token.clone(),
        headers: call_headers(config),
        body: None,
        response_limit: config.limits.page_bytes,
    }
}

/// A post of one event.
pub(super) fn post_event(config: &ViewerConfig, token: &Token, body: Bytes) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        server: Server::Configured,
        path: format!("/v1/sessions/{}/events", config.session.v1()),
        bearer: token.clone(),
        headers: call_headers(config),
        body: Some(body),
        response_limit: POST_RESPONSE_LIMIT,
    }
}

/// The body of [`post_event`] for a message of ours.
pub(super) fn message_body(config: &ViewerConfig, id: &MessageId, content: &Content) -> Bytes {
    format!(
        "{{\"events\":[{{\"uuid\":\"{id}\",\"session_id\":\"{}\",\"type\":\"user\",\
         \"parent_tool_use_id\":null,\"message\":{{\"role\":\"user\",\"content\":{}}}}}]}}",
        config.session.v1(),
        content.as_json().as_str()
    )
    .into()
}

fn version() -> Header {
    Header {
        name: "anthropic-version",
        value: API_VERSION.into(),
    }
}

fn call_headers(config: &ViewerConfig) -> Vec<Header> {
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
    use crate::{OrganizationId, SessionId};

    fn config() -> ViewerConfig {
        let mut config = ViewerConfig::new(SessionId::parse("cse_x").unwrap());
        config.organization = Some(OrganizationId::parse("org-1").unwrap());
        config
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
            &NextPage {
                after: Some(&after),
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
}
