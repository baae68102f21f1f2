//! Who asks, and for which session.

use core::{hash::Hash, time::Duration};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::SystemTime,
};

use attache_protocol::SessionId;
use axum::{
    body::Body,
    extract::{FromRequestParts, RawPathParams, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::Response,
};
use futures_util::{FutureExt as _, StreamExt as _};

use super::{
    Connection,
    error::{ApiError, ErrorKind},
};
use crate::{
    Access, Identity, Relay, RelayError, Role, StoreError,
    access::{Credential, Limiter, Unidentified, expiry},
    metrics::Limit,
    session::Epoch,
    store::{Page, SessionRecord},
    worker_token::BadToken,
};

/// Whoever asks, once it is clear that they may.
#[derive(Clone)]
pub(super) struct Allowed(pub(super) Arc<Identity>);

impl FromRequestParts<Relay> for Allowed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Relay) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(unchecked)
    }
}

/// A worker of the session that the path names. Whether its epoch is the newest, the session knows.
#[derive(Clone)]
pub(super) struct WorkerOf {
    pub(super) id: SessionId,
    pub(super) epoch: Epoch,
}

impl FromRequestParts<Relay> for WorkerOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Relay) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(unchecked)
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
        if let Ok(worker) = WorkerOf::from_request_parts(parts, relay).await {
            return Ok(Self::Worker(worker));
        }
        let person = Allowed::from_request_parts(parts, relay).await?;
        Ok(Self::Person(person))
    }
}

/// A handler wants to know who asks, at an endpoint that does not say who may.
fn unchecked() -> ApiError {
    tracing::error!("an endpoint's access does not fit its handler");
    ApiError::new(ErrorKind::Api, "the relay can't tell who asks")
}

/// Lets a request through to its handler if whoever makes it may. What is streamed back ends with
/// the credential.
pub(super) async fn check(
    State((relay, access)): State<(Relay, Access)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let until = match access {
        Access::Anybody | Access::Socket(_) => Until::Whenever,
        Access::Relay(_) | Access::Lists(_) | Access::Session(_) => {
            let who = person(&mut parts, &relay, access).await?;
            parts.extensions.insert(Allowed(who.clone()));
            Until::Revoked(who)
        }
        Access::Worker => {
            let (worker, expires_at) = worker(&mut parts, &relay).await?;
            parts.extensions.insert(worker);
            Until::Expired(expires_at)
        }
        Access::SessionOrWorker(_) => match person(&mut parts, &relay, access).await {
            Ok(who) => {
                parts.extensions.insert(Allowed(who.clone()));
                Until::Revoked(who)
            }
            Err(Refused::Worker) => {
                let (worker, expires_at) = worker(&mut parts, &relay).await?;
                parts.extensions.insert(worker);
                Until::Expired(expires_at)
            }
            Err(refused) => return Err(refused.into()),
        },
    };
    let response = next.run(Request::from_parts(parts, body)).await;
    let over = match until {
        Until::Revoked(who) if is_stream(&response) => relay.credential_watch(&who).boxed(),
        Until::Expired(at) if is_stream(&response) => expiry(at).boxed(),
        Until::Whenever | Until::Revoked(_) | Until::Expired(_) => return Ok(response),
    };
    Ok(response.map(|body| Body::from_stream(body.into_data_stream().take_until(over))))
}

/// How long a credential is good.
enum Until {
    Whenever,
    Revoked(Arc<Identity>),
    Expired(Option<SystemTime>),
}

async fn person(
    parts: &mut Parts,
    relay: &Relay,
    access: Access,
) -> Result<Arc<Identity>, Refused> {
    let who = identified(parts, relay).await?;
    request_within(&who, relay)?;
    // Whoever needs this role says something.
    if access.role() == Some(Role::Approve) {
        within(
            &relay.gate().limits.posts,
            &who.credential,
            Limit::Posts,
            relay,
        )?;
    }
    if let Some(needed) = access.role()
        && who.role < needed
    {
        let had = who.role;
        return Err(Refused::Role { had, needed });
    }
    match (access, &who.session) {
        (Access::Relay(_), Some(only)) => return Err(Refused::ForOneSession(only.clone())),
        (Access::Session(_) | Access::SessionOrWorker(_), Some(only)) => {
            // A path that names no session names none that this token opens.
            let named = Named::from_request_parts(parts, relay).await.ok();
            if named.is_none_or(|Named(id)| id != *only) {
                return Err(Refused::ForOneSession(only.clone()));
            }
        }
        (
            Access::Anybody
            | Access::Relay(_)
            | Access::Lists(_)
            | Access::Session(_)
            | Access::Socket(_)
            | Access::Worker
            | Access::SessionOrWorker(_),
            _,
        ) => {}
    }
    Ok(who)
}

/// Who asks. Those who are nobody are told so only so often.
pub(super) async fn identified(parts: &Parts, relay: &Relay) -> Result<Arc<Identity>, Refused> {
    let refused = match bearer(&parts.headers) {
        Bearer::Token(token) => match relay.identify(token).await {
            Ok(who) => return Ok(who),
            Err(why) => Refused::from(why),
        },
        Bearer::Unreadable => Refused::Token,
        Bearer::Absent => return Err(Refused::NoToken),
    };
    if matches!(refused, Refused::Token | Refused::Expired) {
        let peer = peer(parts);
        within(
            &relay.gate().limits.strangers,
            &peer,
            Limit::BadCredentials,
            relay,
        )?;
    }
    Err(refused)
}

/// Counts one more request.
pub(super) fn request_within(who: &Identity, relay: &Relay) -> Result<(), Refused> {
    let limits = &relay.gate().limits;
    within(&limits.requests, &who.credential, Limit::Requests, relay)
}

/// Counts one more, if that is not too often.
fn within<K: Clone + Hash + Eq>(
    limiter: &Limiter<K>,
    key: &K,
    limit: Limit,
    relay: &Relay,
) -> Result<(), Refused> {
    limiter.check(key).map_err(|wait| {
        relay.metrics().limited(limit);
        Refused::TooOften(wait)
    })
}

/// Where a request comes from. In another server than the relay's own nobody says, and all are one.
fn peer(parts: &Parts) -> IpAddr {
    let connection = parts.extensions.get::<Connection>();
    connection.map_or(Ipv4Addr::UNSPECIFIED.into(), |connection| connection.peer)
}

/// Which worker asks, and when its token expires.
async fn worker(
    parts: &mut Parts,
    relay: &Relay,
) -> Result<(WorkerOf, Option<SystemTime>), ApiError> {
    let refuse = |message| Err(ApiError::new(ErrorKind::Authentication, message));
    let token = match bearer(&parts.headers) {
        Bearer::Token(token) => token,
        Bearer::Unreadable => return Err(Refused::Token.into()),
        Bearer::Absent => return Err(Refused::NoToken.into()),
    };
    let (identity, expires_at) = match relay.worker_tokens().await?.read(token, SystemTime::now()) {
        Ok(read) => read,
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
    let limits = &relay.gate().limits;
    let credential = Credential::Worker(id.clone());
    within(&limits.requests, &credential, Limit::Requests, relay)?;
    let epoch = Epoch(identity.epoch);
    Ok((WorkerOf { id, epoch }, expires_at))
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Why somebody is not let through.
pub(super) enum Refused {
    NoToken,
    Token,
    Expired,
    Worker,
    Role { had: Role, needed: Role },
    ForOneSession(SessionId),
    TooOften(Duration),
    Failed(RelayError),
}

impl From<Unidentified> for Refused {
    fn from(why: Unidentified) -> Self {
        match why {
            Unidentified::Worker => Self::Worker,
            Unidentified::Unknown => Self::Token,
            Unidentified::Expired => Self::Expired,
            Unidentified::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let unauthenticated = |message: &str| Self::new(ErrorKind::Authentication, message);
        match refused {
            Refused::NoToken => unauthenticated("send the header `Authorization: Bearer <token>`"),
            Refused::Token => unauthenticated("the token is not accepted"),
            Refused::Expired => unauthenticated("the token has expired; ask for a new one"),
            Refused::Worker => Self::new(
                ErrorKind::Permission,
                "this is a worker's token: it opens the worker's own endpoints only",
            ),
            Refused::Role { had, needed } => Self::new(
                ErrorKind::Permission,
                format!(
                    "your role is {had} ({}), and this takes {needed} ({}); ask for a token with that role",
                    had.allows(),
                    needed.allows()
                ),
            ),
            Refused::ForOneSession(only) => Self::new(
                ErrorKind::Permission,
                format!("your token is for session {only} alone"),
            ),
            Refused::TooOften(wait) => Self::new(
                ErrorKind::RateLimit,
                "too many requests; slow down and try again",
            )
            .with_retry_after(wait),
            Refused::Failed(error) => error.into(),
        }
    }
}

/// The sessions that `who` gets to see, as [`Store::sessions`](crate::Store::sessions) pages them.
pub(super) async fn visible_sessions(
    relay: &Relay,
    who: &Identity,
    after: Option<&SessionId>,
    limit: usize,
) -> Result<Page<SessionRecord>, StoreError> {
    match (&who.session, after) {
        (None, after) => relay.store().sessions(after, limit).await,
        (Some(only), None) => Ok(Page {
            items: relay.store().session(only).await?.into_iter().collect(),
            has_more: false,
        }),
        (Some(only), Some(after)) if only == after => Ok(Page {
            items: Vec::new(),
            has_more: false,
        }),
        (Some(_), Some(_)) => Err(StoreError::UnknownCursor),
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
