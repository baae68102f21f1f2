//! What a worker says of itself, and that it is alive.

use std::collections::BTreeMap;

use attache_protocol::ByteString;
use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::epoch::StatedEpoch;
use crate::{
    Relay,
    http::{access::WorkerOf, error::ApiError, events::body},
    session::ReportChange,
    store::{WorkerReport, WorkerStatus},
};

/// An object with nothing in it: it was done.
#[derive(Serialize)]
pub(super) struct Done {}

#[derive(Serialize)]
pub(super) struct StateJson {
    worker: Known,
}

#[derive(Serialize)]
struct Known {
    external_metadata: Box<RawValue>,
    worker_status: Option<&'static str>,
    worker_epoch: u64,
}

pub(super) async fn read(
    worker: WorkerOf,
    State(relay): State<Relay>,
) -> Result<Json<StateJson>, ApiError> {
    let session = relay.session(&worker.id).await?;
    let report: WorkerReport = session.describe(worker.epoch).await?;
    let metadata = match &*report.external_metadata {
        "" => "{}",
        metadata => metadata,
    };
    Ok(Json(StateJson {
        worker: Known {
            external_metadata: RawValue::from_string(metadata.to_owned()).unwrap_or_default(),
            worker_status: report.status.map(WorkerStatus::as_str),
            worker_epoch: worker.epoch.0,
        },
    }))
}

pub(super) async fn report(
    worker: WorkerOf,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<Done>, ApiError> {
    #[derive(Deserialize)]
    struct Report {
        worker_epoch: StatedEpoch,
        worker_status: Option<Status>,
        requires_action_details: Option<BTreeMap<String, Box<RawValue>>>,
        external_metadata: Option<BTreeMap<String, Option<Box<RawValue>>>>,
    }
    #[derive(Copy, Clone, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Status {
        Idle,
        Running,
        RequiresAction,
    }
    let session = relay.session(&worker.id).await?;
    let request = body(request)?;
    let report: Report = serde_json::from_slice(&request).map_err(|error| {
        ApiError::invalid(format!(
            "the body is not {{\"worker_epoch\":…,\"worker_status\":…}}: {error}"
        ))
    })?;
    let epoch = report.worker_epoch.of(&worker)?;
    let status = report.worker_status.map(|status| match status {
        Status::Idle => WorkerStatus::Idle,
        Status::Running => WorkerStatus::Running,
        Status::RequiresAction => WorkerStatus::RequiresAction,
    });
    let details = report
        .requires_action_details
        .and_then(|details| serde_json::to_string(&details).ok());
    let change = ReportChange {
        status,
        requires_action_details: details.map(ByteString::from),
        external_metadata: report.external_metadata.into_iter().flatten().collect(),
    };
    session.report(epoch, change).await?;
    Ok(Json(Done {}))
}

pub(super) async fn heartbeat(
    worker: WorkerOf,
    State(relay): State<Relay>,
    request: Result<Bytes, BytesRejection>,
) -> Result<Json<Heartbeat>, ApiError> {
    #[derive(Deserialize)]
    struct Beat {
        worker_epoch: StatedEpoch,
    }
    let session = relay.session(&worker.id).await?;
    let beat: Beat = serde_json::from_slice(&body(request)?).map_err(|error| {
        ApiError::invalid(format!("the body is not {{\"worker_epoch\":…}}: {error}"))
    })?;
    session.heartbeat(beat.worker_epoch.of(&worker)?).await?;
    Ok(Json(Heartbeat {
        lease_extended: true,
        ttl_seconds: relay.options().worker_lease.as_secs(),
    }))
}

#[derive(Serialize)]
pub(super) struct Heartbeat {
    lease_extended: bool,
    ttl_seconds: u64,
}
