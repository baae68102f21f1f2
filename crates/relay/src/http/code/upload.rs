//! What a worker's agent says.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::epoch::StatedEpoch;
use crate::{
    Relay,
    http::{
        access::WorkerOf,
        error::ApiError,
        events::{Added, body, check_batch, lines},
    },
    line::Line,
};

pub(super) async fn upload(
    worker: WorkerOf,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<Added>, ApiError> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        worker_epoch: StatedEpoch,
        #[serde(borrow)]
        events: Vec<Event<'a>>,
    }
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        payload: &'a RawValue,
        #[serde(default)]
        ephemeral: Option<bool>,
    }
    let session = relay.session(&worker.id).await?;
    let request = body(request)?;
    let batch: Batch<'_> = serde_json::from_slice(&request).map_err(|error| {
        ApiError::invalid(format!(
            "the body is not {{\"worker_epoch\":…,\"events\":[{{\"payload\":…}}]}}: {error}"
        ))
    })?;
    let epoch = batch.worker_epoch.of(&worker)?;
    check_batch(batch.events.len(), &relay)?;
    let lines = lines(batch.events.iter().map(|event| {
        if event.ephemeral == Some(true) {
            Line::accept_live(event.payload.get())
        } else {
            Line::accept(event.payload.get())
        }
    }))?;
    drop(request);
    Ok(Json(Added::from(session.upload(epoch, lines).await?)))
}
