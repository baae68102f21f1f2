//! Sessions over HTTP.

use attache_protocol::SessionId;
use axum::{
    Json,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

use super::{
    access::{Allowed, Archiver, Named, WorkerOf, visible_sessions},
    error::{ApiError, ErrorKind},
    events::{Paging, body, query},
};
use crate::{
    Relay, RelayError,
    store::{SessionChange, SessionRecord, SessionStatus},
};

/// The longest title, in bytes.
pub(super) const TITLE_LIMIT: usize = 1024;

#[derive(Serialize)]
pub(super) struct SessionJson {
    r#type: &'static str,
    id: String,
    title: String,
    session_status: &'static str,
    connection_status: &'static str,
    created_at: String,
    updated_at: String,
}

impl SessionJson {
    fn of(record: SessionRecord, relay: &Relay) -> Self {
        Self {
            connection_status: connection_status(&record, relay),
            r#type: "session",
            id: record.id.v1(),
            title: record.title,
            session_status: record.status.as_str(),
            created_at: rfc3339(record.created_at),
            updated_at: rfc3339(record.updated_at),
        }
    }
}

/// Whether the session's agent is there.
pub(super) fn connection_status(record: &SessionRecord, relay: &Relay) -> &'static str {
    if record.status != SessionStatus::Archived && relay.is_connected(&record.id) {
        "connected"
    } else {
        "disconnected"
    }
}

pub(super) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[derive(Serialize)]
pub(super) struct SessionList {
    data: Vec<SessionJson>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

pub(super) async fn list(
    Allowed(who): Allowed,
    State(relay): State<Relay>,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Json<SessionList>, ApiError> {
    let paging = query(paging)?;
    let after = paging.after_id.as_deref().map(SessionId::parse).transpose();
    let after = after.map_err(|error| ApiError::invalid(format!("`after_id`: {error}")))?;
    let page = visible_sessions(&relay, &who, after.as_ref(), paging.limit()?).await?;
    let data: Vec<SessionJson> = page
        .items
        .into_iter()
        .map(|record| SessionJson::of(record, &relay))
        .collect();
    Ok(Json(SessionList {
        has_more: page.has_more,
        first_id: data.first().map(|session| session.id.clone()),
        last_id: data.last().map(|session| session.id.clone()),
        data,
    }))
}

pub(super) async fn read(
    _: Allowed,
    Named(id): Named,
    State(relay): State<Relay>,
) -> Result<Json<SessionJson>, ApiError> {
    described(&id, &relay).await
}

async fn described(id: &SessionId, relay: &Relay) -> Result<Json<SessionJson>, ApiError> {
    match relay.store().session(id).await? {
        Some(record) => Ok(Json(SessionJson::of(record, relay))),
        None => Err(RelayError::SessionNotFound(id.clone()).into()),
    }
}

pub(super) async fn rename(
    _: Allowed,
    Named(id): Named,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<SessionJson>, ApiError> {
    #[derive(Deserialize)]
    struct Change {
        title: String,
    }
    let Change { title } = serde_json::from_slice(&body(request)?).map_err(|error| {
        ApiError::invalid(format!("the body is not {{\"title\":\"…\"}}: {error}"))
    })?;
    if title.len() > TITLE_LIMIT {
        return Err(ApiError::invalid(format!(
            "`title` has to be {TITLE_LIMIT} bytes at most"
        )));
    }
    let change = SessionChange::Title(title);
    let updated = relay.store().update(&id, change, SystemTime::now());
    Ok(Json(SessionJson::of(updated.await?, &relay)))
}

pub(super) async fn archive(
    who: Archiver,
    Named(id): Named,
    State(relay): State<Relay>,
) -> Result<Json<SessionJson>, ApiError> {
    let by = match who {
        Archiver::Person(Allowed(_)) => None,
        Archiver::Worker(WorkerOf { epoch, .. }) => Some(epoch),
    };
    let session = relay.session(&id).await?;
    session.archive(by).await.map_err(|error| {
        if matches!(error, RelayError::Archived) {
            return ApiError::new(ErrorKind::Conflict, "the session is archived already");
        }
        error.into()
    })?;
    described(&id, &relay).await
}
