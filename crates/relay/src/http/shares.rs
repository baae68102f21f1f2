//! Letting somebody else into a session for a while.

use core::time::Duration;
use std::time::SystemTime;

use attache_protocol::SessionId;
use axum::{
    Json,
    body::Bytes,
    extract::{RawPathParams, State, rejection::BytesRejection},
};
use serde::{Deserialize, Serialize};

use super::{
    access::Named,
    error::{ApiError, ErrorKind},
    events::body,
    sessions::rfc3339,
};
use crate::{
    Relay, RelayError, Role,
    access::new_share_token,
    store::{Share, ShareId, TokenHash},
};

/// The longest a share may last, in seconds: a year.
const LONGEST_SECONDS: u64 = 366 * 24 * 60 * 60;
/// The longest name of a share, in bytes.
const NAME_LIMIT: usize = 64;
/// What a guest is called that nobody named.
const NAMELESS: &str = "guest";
/// The most shares of a session at one time.
const MOST: usize = 100;

#[derive(Serialize)]
pub(super) struct ShareJson {
    r#type: &'static str,
    id: String,
    session_id: String,
    role: &'static str,
    name: String,
    created_at: String,
    expires_at: String,
    /// Said once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ShareList {
    data: Vec<ShareJson>,
}

/// An object with nothing in it: it was done.
#[derive(Serialize)]
pub(super) struct Done {}

impl ShareJson {
    fn of(share: Share) -> Self {
        Self {
            r#type: "share",
            id: share.id.0,
            session_id: share.session.v1(),
            role: share.role.as_str(),
            name: share.name,
            created_at: rfc3339(share.created_at),
            expires_at: rfc3339(share.expires_at),
            token: None,
        }
    }
}

pub(super) async fn add(
    Named(session): Named,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<ShareJson>, ApiError> {
    #[derive(Deserialize)]
    struct New {
        role: String,
        ttl_seconds: u64,
        #[serde(default)]
        name: Option<String>,
    }
    let new: New = serde_json::from_slice(&body(request)?).map_err(|error| {
        ApiError::invalid(format!(
            "the body is not {{\"role\":…,\"ttl_seconds\":…}}: {error}"
        ))
    })?;
    let now = SystemTime::now();
    make_room(&relay, &session, now).await?;
    let token = new_share_token().map_err(|_| RelayError::NoRandomness)?;
    let id = crate::id::uuid().map_err(|_| RelayError::NoRandomness)?;
    let share = Share {
        id: ShareId(format!("share_{id}")),
        session,
        role: shareable(&new.role)?,
        name: checked_name(new.name)?,
        token: TokenHash::of(token.expose()),
        created_at: now,
        expires_at: now + lifetime(new.ttl_seconds)?,
    };
    relay.store().add_share(&share).await?;
    Ok(Json(ShareJson {
        token: Some(token.expose().to_owned()),
        ..ShareJson::of(share)
    }))
}

pub(super) async fn list(
    Named(session): Named,
    State(relay): State<Relay>,
) -> Result<Json<ShareList>, ApiError> {
    let now = SystemTime::now();
    let shares = relay.store().shares(&session).await?.into_iter();
    let data = shares.filter(|share| share.expires_at > now);
    Ok(Json(ShareList {
        data: data.map(ShareJson::of).collect(),
    }))
}

pub(super) async fn revoke(
    Named(session): Named,
    State(relay): State<Relay>,
    params: RawPathParams,
) -> Result<Json<Done>, ApiError> {
    let named = params.iter().find(|(name, _)| *name == "share_id");
    let share = ShareId(named.map_or("", |(_, id)| id).to_owned());
    if !relay.store().revoke_share(&session, &share).await? {
        let message = "the session has no such share; list its shares to find the one you mean";
        return Err(ApiError::new(ErrorKind::NotFound, message));
    }
    relay.gate().share_revoked();
    Ok(Json(Done {}))
}

/// Forgets expired shares, so that only those that open something count.
async fn make_room(relay: &Relay, session: &SessionId, now: SystemTime) -> Result<(), ApiError> {
    let shares = relay.store().shares(session).await?;
    let (open, expired): (Vec<_>, Vec<_>) =
        shares.into_iter().partition(|share| share.expires_at > now);
    for share in expired {
        relay.store().revoke_share(session, &share.id).await?;
    }
    if open.len() >= MOST {
        let message = format!("the session has {MOST} shares already; revoke one first");
        return Err(ApiError::new(ErrorKind::Conflict, message));
    }
    Ok(())
}

fn shareable(role: &str) -> Result<Role, ApiError> {
    match role.parse() {
        Ok(role @ (Role::View | Role::Approve | Role::Drive)) => Ok(role),
        Ok(Role::Own) | Err(_) => Err(ApiError::invalid(
            "`role` has to be view, approve or drive: a session is shared, not given away",
        )),
    }
}

fn lifetime(seconds: u64) -> Result<Duration, ApiError> {
    if !(1..=LONGEST_SECONDS).contains(&seconds) {
        let message = format!("`ttl_seconds` has to be 1 to {LONGEST_SECONDS}");
        return Err(ApiError::invalid(message));
    }
    Ok(Duration::from_secs(seconds))
}

fn checked_name(name: Option<String>) -> Result<String, ApiError> {
    let name = name.unwrap_or_else(|| NAMELESS.to_owned());
    if name.trim().is_empty() || name.len() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "`name` has to be 1 to {NAME_LIMIT} bytes of visible text"
        )));
    }
    Ok(name)
}
