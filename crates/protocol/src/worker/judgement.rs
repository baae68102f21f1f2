//! What an answer to one of the worker's calls means.

use core::time::Duration;

use crate::{
    io::{HttpResponse, NetworkFailure},
    policy::{Outcome, TableRow},
};

/// What the answer to any of the worker's calls means, for people; a test holds the worker against it.
/// The call that creates the session is refused by every 4xx but 401, 403, 408, 425 and 429.
pub const ANSWERS: &[TableRow] = &[
    row("HTTP 2xx", "done"),
    row(
        "HTTP 401, 403",
        "another credential; closed: unauthorized when others are refused as well",
    ),
    row("HTTP 404", "closed: session not found"),
    row(
        "HTTP 409",
        "closed: superseded, for another worker has the session or it is archived",
    ),
    row(
        "HTTP 410",
        "registered anew, after a pause from the second time on; closed: rejected when that is the answer to registering",
    ),
    row(
        "HTTP 408, 425, 429, 5xx, no answer",
        "again later, not before `Retry-After`; until it first runs, 3 attempts in all; heartbeats keep their beat",
    ),
    row(
        "anything else",
        "refused: a start is closed: rejected, later what was said is dropped, a heartbeat or a stream is tried again",
    ),
];

const fn row(outcome: &'static str, verdict: &'static str) -> TableRow {
    TableRow { outcome, verdict }
}

/// The classes of answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement<'a> {
    /// It was done; the body.
    Fine(&'a [u8]),
    /// Not now: network, timeouts, 408, 425, 429, 5xx.
    Later {
        outcome: Outcome,
        after: Option<Duration>,
    },
    /// 401, 403.
    OtherCredential,
    /// 404.
    NotFound,
    /// 409: a newer epoch owns the session, or it is archived.
    Fenced,
    /// 410: the lease ran out.
    LeaseLost,
    /// Any other status: what was asked is refused.
    Refused(u16),
}

pub(super) fn judge(answer: Result<&HttpResponse, NetworkFailure>) -> Judgement<'_> {
    let response = match answer {
        Ok(response) => response,
        Err(failure) => {
            return Judgement::Later {
                outcome: Outcome::Network(failure),
                after: None,
            };
        }
    };
    match response.status {
        200..=299 => Judgement::Fine(&response.body),
        401 | 403 => Judgement::OtherCredential,
        404 => Judgement::NotFound,
        409 => Judgement::Fenced,
        410 => Judgement::LeaseLost,
        status @ (408 | 425 | 429 | 500..=599) => Judgement::Later {
            outcome: Outcome::Http {
                status,
                retry_after: response.retry_after,
            },
            after: response.retry_after,
        },
        status => Judgement::Refused(status),
    }
}
