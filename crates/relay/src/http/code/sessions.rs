//! Sessions as the second generation of the API shows them.

use attache_protocol::{ByteString, SessionId};
use axum::{
    Json,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Relay, RelayError,
    http::{
        access::{Allowed, Named, visible_sessions},
        error::ApiError,
        events::{Paging, body, query},
        sessions::{TITLE_LIMIT, connection_status, rfc3339},
    },
    store::{SessionDetails, SessionRecord, SessionStatus},
};

#[derive(Serialize)]
pub(super) struct One {
    session: CodeSession,
}

#[derive(Serialize)]
pub(super) struct List {
    data: Vec<CodeSession>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

#[derive(Serialize)]
struct CodeSession {
    id: String,
    title: String,
    tags: Vec<String>,
    config: Config,
    bridge: Option<Box<RawValue>>,
    status: &'static str,
    worker_status: &'static str,
    requires_action_details: Option<Box<RawValue>>,
    connection_status: &'static str,
    created_at: String,
    updated_at: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Config {
    cwd: Option<String>,
}

impl CodeSession {
    fn of(record: SessionRecord, relay: &Relay) -> Self {
        let report = &record.worker.report;
        let raw = |json: &ByteString| RawValue::from_string(json.to_string()).ok();
        let archived = record.status == SessionStatus::Archived;
        let worker_status = match (report.status, record.status) {
            // Whatever it last said, it is over.
            (_, SessionStatus::Archived) | (None, SessionStatus::Idle) => "idle",
            // A worker that says nothing is known by what it uploads.
            (None, SessionStatus::Running | SessionStatus::RequiresAction) => {
                record.status.as_str()
            }
            (Some(status), _) => status.as_str(),
        };
        let awaited = report.requires_action_details.as_ref();
        Self {
            id: record.id.v2(),
            config: Config {
                cwd: record.details.cwd.clone(),
            },
            bridge: record.details.bridge.as_ref().and_then(raw),
            status: if archived { "archived" } else { "active" },
            worker_status,
            requires_action_details: awaited.filter(|_| !archived).and_then(raw),
            connection_status: connection_status(&record, relay),
            created_at: rfc3339(record.created_at),
            updated_at: rfc3339(record.updated_at),
            title: record.title,
            tags: record.details.tags,
        }
    }
}

pub(super) async fn create(
    _: Allowed,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<One>, ApiError> {
    #[derive(Deserialize)]
    struct New<'a> {
        #[serde(default)]
        title: Option<String>,
        #[serde(default)]
        tags: Option<Vec<String>>,
        #[serde(default)]
        config: Option<Config>,
        #[serde(borrow, default)]
        bridge: Option<&'a RawValue>,
    }
    let request = body(request)?;
    let new: New<'_> = serde_json::from_slice(&request).map_err(|error| {
        ApiError::invalid(format!(
            "the body is not {{\"title\":…,\"tags\":[…]}}: {error}"
        ))
    })?;
    let title = new.title.unwrap_or_default();
    if title.len() > TITLE_LIMIT {
        let message = format!("`title` has to be {TITLE_LIMIT} bytes at most");
        return Err(ApiError::invalid(message));
    }
    let details = SessionDetails {
        tags: new.tags.unwrap_or_default(),
        cwd: new.config.and_then(|config| config.cwd),
        bridge: new.bridge.map(|bridge| bridge.get().into()),
    };
    check_size(&details, &relay)?;
    let record = relay.create(None, &title, details).await?;
    let session = CodeSession::of(record, &relay);
    Ok(Json(One { session }))
}

fn check_size(details: &SessionDetails, relay: &Relay) -> Result<(), ApiError> {
    let limit = relay.options().worker_state_limit_bytes;
    let tags: usize = details.tags.iter().map(|tag| tag.len() + 1).sum();
    let cwd = details.cwd.as_deref().map_or(0, str::len);
    let bridge = details.bridge.as_deref().map_or(0, str::len);
    if tags + cwd + bridge > limit {
        let message = format!("`tags`, `config` and `bridge` may have {limit} bytes together");
        return Err(ApiError::invalid(message).with_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(())
}

pub(super) async fn read(
    _: Allowed,
    Named(id): Named,
    State(relay): State<Relay>,
) -> Result<Json<One>, ApiError> {
    let record = relay.store().session(&id).await?;
    let record = record.ok_or(RelayError::SessionNotFound(id))?;
    let session = CodeSession::of(record, &relay);
    Ok(Json(One { session }))
}

pub(super) async fn list(
    Allowed(who): Allowed,
    State(relay): State<Relay>,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Json<List>, ApiError> {
    let paging = query(paging)?;
    let after = paging.after_id.as_deref().map(SessionId::parse).transpose();
    let after = after.map_err(|error| ApiError::invalid(format!("`after_id`: {error}")))?;
    let limit = paging.limit()?;
    let page = visible_sessions(&relay, &who, after.as_ref(), limit).await?;
    let items = page.items.into_iter();
    let data: Vec<_> = items
        .map(|record| CodeSession::of(record, &relay))
        .collect();
    Ok(Json(List {
        has_more: page.has_more,
        first_id: data.first().map(|session| session.id.clone()),
        last_id: data.last().map(|session| session.id.clone()),
        data,
    }))
}
