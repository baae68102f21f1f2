//! Who asks, and for which session.

use attache_protocol::SessionId;
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, header, request::Parts},
};

use super::error::{ApiError, ErrorKind};
use crate::Relay;

/// A request whose credential is good.
pub(super) struct Allowed;

impl FromRequestParts<Relay> for Allowed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, ApiError> {
        let refuse = |message| Err(ApiError::new(ErrorKind::Authentication, message));
        match bearer(&parts.headers) {
            Bearer::Token(token) if relay.options().credentials.accept(token) => Ok(Self),
            Bearer::Token(_) | Bearer::Unreadable => refuse("the token is not accepted"),
            Bearer::Absent => refuse("send the header `Authorization: Bearer <token>`"),
        }
    }
}

/// What the `Authorization` header says.
pub(super) enum Bearer<'a> {
    Absent,
    Unreadable,
    Token(&'a str),
}

pub(super) fn bearer(headers: &HeaderMap) -> Bearer<'_> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Bearer::Absent;
    };
    match value.to_str().ok().and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Bearer::Token(token.trim())
        }
        Some(_) | None => Bearer::Unreadable,
    }
}

/// The session a path names, in either spelling.
pub(super) struct Named(pub(super) SessionId);

impl FromRequestParts<Relay> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, relay).await.ok();
        let id = params.as_ref().and_then(|params| params.iter().next());
        id.and_then(|(_, id)| SessionId::parse(id).ok())
            .map(Self)
            .ok_or_else(|| ApiError::new(ErrorKind::NotFound, "there is no such session"))
    }
}
