//! Saying something, and reading what was said, as the second generation of the API does it.

use attache_protocol::frame::Frame;
use axum::{
    Json,
    body::Bytes,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Relay,
    http::{
        access::{Allowed, Named},
        error::{ApiError, ErrorKind},
        events::{Added, body, check_batch, check_limit, lines, query},
    },
    line::Line,
    outgoing::event::Said,
    store::{After, LogPage, StoredFrame},
};

pub(super) async fn add(
    Allowed(by): Allowed,
    Named(id): Named,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<Added>, ApiError> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        events: Vec<Event<'a>>,
    }
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let session = relay.session(&id).await?;
    let request = body(request)?;
    let batch: Batch<'_> = serde_json::from_slice(&request).map_err(|error| {
        ApiError::invalid(format!(
            "the body is not {{\"events\":[{{\"payload\":…}}]}}: {error}"
        ))
    })?;
    check_batch(batch.events.len(), &relay)?;
    let accepted = |event: &Event<'_>| Line::accept(event.payload.get());
    let lines = lines(batch.events.iter().map(accepted))?;
    drop(request);
    Ok(Json(Added::from(session.post(lines, by).await?)))
}

#[derive(Deserialize)]
pub(super) struct Paging {
    limit: Option<usize>,
    #[serde(default)]
    sort_order: SortOrder,
    cursor: Option<u64>,
}

#[derive(Copy, Clone, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SortOrder {
    #[default]
    Asc,
    Desc,
}

pub(super) async fn list(
    _: Allowed,
    Named(id): Named,
    State(relay): State<Relay>,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Paging {
        limit,
        sort_order,
        cursor,
    } = query(paging)?;
    let (limit, store) = (check_limit(limit)?, relay.store());
    let page = match sort_order {
        SortOrder::Asc => {
            let after = After::Sequence(cursor.unwrap_or_default());
            store.frames(&id, after, None, limit).await?
        }
        SortOrder::Desc => store.newest(&id, cursor, limit).await?,
    };
    if page.frames.is_empty()
        && let (Some(cursor), SortOrder::Asc) = (cursor, sort_order)
    {
        let end = store.newest(&id, None, 1).await?;
        check_position(cursor, last(&end))?;
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, page_of_events(&page)).into_response())
}

/// Refuses a position behind the end of a log, which is another log's.
pub(super) fn check_position(position: u64, newest: u64) -> Result<(), ApiError> {
    if position <= newest {
        return Ok(());
    }
    let message = format!(
        "the log ends at {newest}, so the position {position} is none of its own; start over"
    );
    Err(ApiError::new(ErrorKind::NotFound, message).with_status(StatusCode::GONE))
}

/// The sequence number that the newest frame has, or had.
fn last(newest_first: &LogPage) -> u64 {
    match newest_first.frames.first() {
        Some(frame) => frame.sequence,
        None => newest_first.first_kept.saturating_sub(1),
    }
}

/// The page as JSON, the frames in it byte for byte.
fn page_of_events(page: &LogPage) -> String {
    let frames: usize = page.frames.iter().map(|frame| frame.text.len()).sum();
    let mut json = String::with_capacity(frames + 256 * (page.frames.len() + 1));
    json.push_str("{\"data\":[");
    for (at, stored) in page.frames.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        write_event(stored, &mut json);
    }
    let next = page.frames.last().filter(|_| page.has_more);
    let next = next.map_or("null".to_owned(), |frame| format!("\"{}\"", frame.sequence));
    let (has_more, first) = (page.has_more, page.first_kept);
    let end = format!(
        "],\"has_more\":{has_more},\"next_cursor\":{next},\"first_sequence_num\":{first}}}"
    );
    json.push_str(&end);
    json
}

fn write_event(stored: &StoredFrame, json: &mut String) {
    let frame = Frame::classify(stored.text.clone());
    let type_name = frame.as_ref().map_or("", Frame::type_name);
    Said::of(stored, type_name).write_json(json, Some(stored.sequence));
}
