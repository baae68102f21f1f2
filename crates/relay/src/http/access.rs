//! Who asks, and for which session.

use std::{sync::Arc, time::SystemTime};

use attache_protocol::SessionId;
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, header, request::Parts},
};

use super::error::{ApiError, ErrorKind};
use crate::{
    Identity, Relay, RelayError,
    session::Epoch,
    worker_token::{self, BadToken},
};

/// A request whose credential is good.
pub(super) struct Allowed(pub(super) Arc<Identity>);

impl FromRequestParts<Relay> for Allowed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, ApiError> {
        let refuse = |message| Err(ApiError::new(ErrorKind::Authentication, message));
        match bearer(&parts.headers) {
            Bearer::Token(token) if is_workers(token, relay).await? => Err(ApiError::new(
                ErrorKind::Permission,
                "this is a worker's token: it opens the worker's own endpoints only",
            )),
            Bearer::Token(token) if relay.options().credentials.accept(token) => {
                Ok(Self(Arc::new(Identity::owner())))
            }
            Bearer::Token(_) | Bearer::Unreadable => refuse("the token is not accepted"),
            Bearer::Absent => refuse("send the header `Authorization: Bearer <token>`"),
        }
    }
}

/// Whether a worker's token, good or not any more, is used where people come in.
pub(super) async fn is_workers(token: &str, relay: &Relay) -> Result<bool, RelayError> {
    if !worker_token::may_be_workers(token) {
        return Ok(false);
    }
    let read = relay.worker_tokens().await?.read(token, SystemTime::now());
    Ok(read != Err(BadToken::Foreign))
}

/// A worker of the session that the path names. Whether its epoch is the newest, the session knows.
pub(super) struct WorkerOf {
    pub(super) id: SessionId,
    pub(super) epoch: Epoch,
}

impl FromRequestParts<Relay> for WorkerOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, ApiError> {
        let refuse = |message| Err(ApiError::new(ErrorKind::Authentication, message));
        let token = match bearer(&parts.headers) {
            Bearer::Token(token) => token,
            Bearer::Unreadable => return refuse("the token is not accepted"),
            Bearer::Absent => return refuse("send the header `Authorization: Bearer <token>`"),
        };
        let identity = match relay.worker_tokens().await?.read(token, SystemTime::now()) {
            Ok(identity) => identity,
            Err(BadToken::Expired) => return refuse("the worker's token has expired"),
            Err(BadToken::Foreign) => {
                return refuse("this takes a worker's token; `POST …/bridge` gives one");
            }
        };
        let Named(id) = Named::from_request_parts(parts, relay).await?;
        if identity.session != id {
            let message = "the token belongs to the worker of another session";
            return Err(ApiError::new(ErrorKind::Permission, message));
        }
        let epoch = Epoch(identity.epoch);
        Ok(Self { id, epoch })
    }
}

/// Who may end a session: people, and its own worker.
pub(super) enum Archiver {
    Person(Allowed),
    Worker(WorkerOf),
}

impl FromRequestParts<Relay> for Archiver {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, ApiError> {
        if let Bearer::Token(token) = bearer(&parts.headers)
            && is_workers(token, relay).await?
        {
            let worker = WorkerOf::from_request_parts(parts, relay).await?;
            return Ok(Self::Worker(worker));
        }
        let person = Allowed::from_request_parts(parts, relay).await?;
        Ok(Self::Person(person))
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
