//! How far a worker has got with what viewers said.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use serde::Deserialize;

use super::{epoch::StatedEpoch, state::Done};
use crate::{
    Relay,
    http::{
        access::WorkerOf,
        error::ApiError,
        events::{body, check_batch},
    },
    session::DeliveryStatus,
};

pub(super) async fn acknowledge(
    worker: WorkerOf,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<Done>, ApiError> {
    #[derive(Deserialize)]
    struct Batch {
        worker_epoch: StatedEpoch,
        updates: Vec<Update>,
    }
    #[derive(Deserialize)]
    struct Update {
        event_id: String,
        status: Status,
    }
    #[derive(Copy, Clone, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Status {
        Received,
        Processing,
        Processed,
    }
    let session = relay.session(&worker.id).await?;
    let batch: Batch = serde_json::from_slice(&body(request)?).map_err(|error| {
        ApiError::invalid(format!(
            "the body is not {{\"worker_epoch\":…,\"updates\":[{{\"event_id\":…,\"status\":…}}]}}: {error}"
        ))
    })?;
    let epoch = batch.worker_epoch.of(&worker)?;
    check_batch(batch.updates.len(), &relay)?;
    let updates = batch.updates.into_iter().map(|update| {
        let status = match update.status {
            Status::Received => DeliveryStatus::Received,
            Status::Processing => DeliveryStatus::Processing,
            Status::Processed => DeliveryStatus::Processed,
        };
        (update.event_id, status)
    });
    session.acknowledge(epoch, updates.collect()).await?;
    Ok(Json(Done {}))
}
