//! Requests whose body takes too long.

use core::time::Duration;
use std::{error::Error, io, sync::Arc};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use crate::RelayOptions;

/// Big bodies get more time than small ones: a second for so many bytes.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 10;

/// Gives up bodies that are slower than that, after a first time for nothing.
pub(super) async fn limit(
    State(options): State<Arc<RelayOptions>>,
    request: Request,
    next: Next,
) -> Response {
    let patience = options.body_timeout;
    let request = request.map(|body| {
        if body.is_end_stream() {
            body
        } else {
            paced(body, patience)
        }
    });
    next.run(request).await
}

/// Whether a body could not be read because it took too long.
pub(super) fn took_too_long(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn paced(body: Body, patience: Duration) -> Body {
    let start = Instant::now();
    let from = (body.into_data_stream(), 0_u64);
    Body::from_stream(stream::unfold(
        from,
        move |(mut body, mut read)| async move {
            let allowed = patience + Duration::from_secs(read / SLOWEST_BYTES_PER_SECOND);
            let chunk: Result<Bytes, axum::BoxError> =
                match timeout_at(start + allowed, body.next()).await {
                    Ok(chunk) => chunk?.map_err(Into::into),
                    Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                };
            read += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            Some((chunk, (body, read)))
        },
    ))
}
