//! Letting a worker in.

use std::time::SystemTime;

use attache_protocol::ByteString;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri, header, uri::Authority},
};
use serde::Serialize;

use crate::{
    Relay,
    http::{
        access::{Allowed, Named},
        error::ApiError,
    },
    worker_token::WorkerIdentity,
};

/// In this header a worker may name itself, so that it is known when it registers again.
const INSTANCE: &str = "x-attache-worker-instance";
/// The longest such name, in bytes.
const INSTANCE_LIMIT: usize = 128;

#[derive(Serialize)]
pub(super) struct Bridge {
    worker_jwt: String,
    api_base_url: String,
    expires_in: u64,
    worker_epoch: u64,
}

/// Each call makes a new worker and fences the one before.
pub(super) async fn bridge(
    _: Allowed,
    Named(session): Named,
    State(relay): State<Relay>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Bridge>, ApiError> {
    let api_base_url = match &relay.options().api_base_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => own_base_url(&uri, &headers)?,
    };
    let instance = instance(&headers)?;
    let tokens = relay.worker_tokens().await?;
    let epoch = relay.session(&session).await?.register(instance).await?.0;
    let lifetime = relay.options().worker_token_ttl;
    let identity = WorkerIdentity { session, epoch };
    Ok(Json(Bridge {
        worker_jwt: tokens.write(&identity, SystemTime::now(), lifetime),
        api_base_url,
        expires_in: lifetime.as_secs(),
        worker_epoch: epoch,
    }))
}

fn instance(headers: &HeaderMap) -> Result<Option<ByteString>, ApiError> {
    let Some(value) = headers.get(INSTANCE) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(name) if (1..=INSTANCE_LIMIT).contains(&name.len()) => Ok(Some(name.into())),
        Ok(_) | Err(_) => Err(ApiError::invalid(format!(
            "the header `{INSTANCE}` has to be 1 to {INSTANCE_LIMIT} characters of ASCII, or absent"
        ))),
    }
}

/// Where this request came in.
fn own_base_url(uri: &Uri, headers: &HeaderMap) -> Result<String, ApiError> {
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = uri.authority().map(Authority::as_str);
    let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok());
    match host {
        Some(host) if !host.is_empty() => Ok(format!("{scheme}://{host}")),
        Some(_) | None => Err(ApiError::invalid("send the header `Host`")),
    }
}
