//! Saying something over HTTP, and reading what was said.

use attache_protocol::{
    ByteString,
    frame::relay::{AnsweredBy, RefusedBecause},
};
use axum::{
    Json,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    access::{Allowed, Named},
    error::ApiError,
    slow_body::took_too_long,
};
use crate::{
    RefusedFrame, Relay, RelayError,
    line::Line,
    session::Published,
    store::{After, LogPage, StoredFrame},
};

/// The most items of one page; the default is a tenth.
const PAGE_LIMIT: usize = 1000;

#[derive(Deserialize)]
pub(super) struct Paging {
    pub(super) after_id: Option<String>,
    limit: Option<usize>,
}

impl Paging {
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        check_limit(self.limit)
    }
}

/// How many items a page may have, when `limit` of them were asked for.
pub(super) fn check_limit(limit: Option<usize>) -> Result<usize, ApiError> {
    match limit.unwrap_or(PAGE_LIMIT / 10) {
        limit @ 1..=PAGE_LIMIT => Ok(limit),
        _ => Err(ApiError::invalid(format!(
            "`limit` has to be 1 to {PAGE_LIMIT}"
        ))),
    }
}

pub(super) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query
        .map(|Query(query)| query)
        .map_err(|bad| ApiError::invalid(bad.body_text()))
}

pub(super) fn body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, ApiError> {
    body.map_err(|bad| {
        if took_too_long(&bad) {
            let message = "the body took too long; send it faster, or less of it";
            return ApiError::invalid(message).with_status(StatusCode::REQUEST_TIMEOUT);
        }
        ApiError::invalid(bad.body_text()).with_status(bad.status())
    })
}

/// What became of the events of a batch, in its order.
#[derive(Serialize)]
pub(super) struct Added {
    data: Vec<AddedEvent>,
}

#[derive(Default, Serialize)]
struct AddedEvent {
    id: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<RefusedBecause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<AnsweredBy>,
}

pub(super) async fn add(
    Allowed(by): Allowed,
    Named(id): Named,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<Added>, ApiError> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    let session = relay.session(&id).await?;
    let request = body(request)?;
    let batch: Batch<'_> = serde_json::from_slice(&request).map_err(|error| {
        ApiError::invalid(format!("the body is not {{\"events\":[…]}}: {error}"))
    })?;
    check_batch(batch.events.len(), &relay)?;
    let lines = lines(batch.events.iter().map(|event| Line::accept(event.get())))?;
    drop(request);
    Ok(Json(Added::from(session.post(lines, by).await?)))
}

pub(super) fn check_batch(events: usize, relay: &Relay) -> Result<(), ApiError> {
    let limit = relay.options().batch_limit;
    if events > limit {
        let message = format!("{events} events in one request; send {limit} at most");
        return Err(ApiError::invalid(message).with_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(())
}

/// The frames of a batch, or what is wrong with the first one that can't be taken.
pub(super) fn lines(
    accepted: impl Iterator<Item = Result<Line, RefusedFrame>>,
) -> Result<Vec<Line>, ApiError> {
    let lines = accepted.enumerate().map(|(at, line)| {
        line.map_err(|refused| {
            let error = ApiError::from(RelayError::Refused(refused.clone()));
            error.with_message(format!("events[{at}]: {refused}"))
        })
    });
    lines.collect()
}

impl From<Vec<Published>> for Added {
    fn from(published: Vec<Published>) -> Self {
        let of = |id: Option<ByteString>, status| AddedEvent {
            id: id.as_ref().map(ToString::to_string),
            status,
            ..AddedEvent::default()
        };
        let event = |published| match published {
            Published::Stored(id) => of(Some(id), "stored"),
            Published::Duplicate(id) => of(Some(id), "duplicate"),
            Published::Live => of(None, "live"),
            Published::Ignored => of(None, "ignored"),
            Published::Refused(refused) => AddedEvent {
                id: refused.answer_id,
                status: "refused",
                reason: Some(refused.reason),
                message: Some(refused.message),
                answered_by: refused.answered_by,
            },
        };
        Self {
            data: published.into_iter().map(event).collect(),
        }
    }
}

pub(super) async fn list(
    _: Allowed,
    Named(id): Named,
    State(relay): State<Relay>,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, ApiError> {
    let paging = query(paging)?;
    let after = paging
        .after_id
        .as_deref()
        .map_or(After::Sequence(0), After::Uuid);
    let page = relay
        .store()
        .frames(&id, after, None, paging.limit()?)
        .await?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    let is_cut = paging.after_id.is_none() && page.first_kept > 1;
    Ok((json, page_of_frames(&page, is_cut)).into_response())
}

/// The page as JSON, the frames in it byte for byte; with `is_cut`, it says that earlier ones are gone.
fn page_of_frames(page: &LogPage, is_cut: bool) -> String {
    let frames: usize = page.frames.iter().map(|frame| frame.text.len() + 1).sum();
    let mut json = String::with_capacity(frames + 256);
    json.push_str("{\"data\":[");
    for (at, frame) in page.frames.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        json.push_str(&frame.text);
    }
    let id = |frame: Option<&StoredFrame>| {
        serde_json::Value::from(frame.map(|frame| frame.uuid.to_string())).to_string()
    };
    json.push_str("],\"has_more\":");
    json.push_str(if page.has_more { "true" } else { "false" });
    json.push_str(",\"first_id\":");
    json.push_str(&id(page.frames.first()));
    json.push_str(",\"last_id\":");
    json.push_str(&id(page.frames.last()));
    if is_cut {
        let cut = format!(",\"truncated\":true,\"first_kept\":{}", page.first_kept);
        json.push_str(&cut);
    }
    json.push('}');
    json
}
