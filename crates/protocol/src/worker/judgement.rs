//! What an answer to one of the worker's calls means.

use core::time::Duration;

use crate::{
    io::{HttpResponse, NetworkFailure},
    policy::Outcome,
};

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
