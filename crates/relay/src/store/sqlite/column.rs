//! How values are spelled in columns.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attache_protocol::{ByteString, SessionId};
use rusqlite::{Row, RowIndex};

use super::failure::Failure;
use crate::store::{Origin, SessionStatus, WorkerStatus};

/// Nanoseconds since 1970. Times before 1678 and after 2262 become the nearest that fits.
pub(super) fn from_time(time: SystemTime) -> i64 {
    let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => nanos(since),
        Err(before) => -nanos(before.duration()),
    }
}

pub(super) fn to_time(nanos: i64) -> SystemTime {
    let span = Duration::from_nanos(nanos.unsigned_abs());
    let time = if nanos < 0 {
        UNIX_EPOCH.checked_sub(span)
    } else {
        UNIX_EPOCH.checked_add(span)
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// A bound for sequence numbers. None is that large, so a larger bound means the same.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One more than `limit`, to see whether more follow.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

pub(super) fn to_sequence(number: i64) -> Result<u64, Failure> {
    u64::try_from(number).map_err(|_| Failure::unreadable("a negative sequence number"))
}

pub(super) fn text(row: &Row<'_>, column: impl RowIndex) -> Result<ByteString, Failure> {
    let text = row.get_ref(column)?.as_str();
    text.map(ByteString::from)
        .map_err(|_| Failure::unreadable("a text that is none"))
}

pub(super) fn from_origin(origin: Origin) -> i64 {
    match origin {
        Origin::Agent => 0,
        Origin::Viewer => 1,
        Origin::Relay => 2,
    }
}

pub(super) fn to_origin(number: i64) -> Result<Origin, Failure> {
    [Origin::Agent, Origin::Viewer, Origin::Relay]
        .into_iter()
        .find(|origin| from_origin(*origin) == number)
        .ok_or_else(|| Failure::unreadable("an unknown origin"))
}

pub(super) fn to_session_id(text: &str) -> Result<SessionId, Failure> {
    SessionId::parse(text).map_err(|_| Failure::unreadable("a session id that is none"))
}

pub(super) fn to_status(text: &str) -> Result<SessionStatus, Failure> {
    [
        SessionStatus::Idle,
        SessionStatus::Running,
        SessionStatus::RequiresAction,
        SessionStatus::Archived,
    ]
    .into_iter()
    .find(|status| status.as_str() == text)
    .ok_or_else(|| Failure::unreadable("an unknown status of a session"))
}

pub(super) fn to_worker_status(text: &str) -> Result<WorkerStatus, Failure> {
    [
        WorkerStatus::Idle,
        WorkerStatus::Running,
        WorkerStatus::RequiresAction,
    ]
    .into_iter()
    .find(|status| status.as_str() == text)
    .ok_or_else(|| Failure::unreadable("an unknown status of a worker"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_to_the_nanosecond() {
        for nanos in [0, 1, -1, 1_795_000_000_123_456_789, i64::MAX, -i64::MAX] {
            assert_eq!(from_time(to_time(nanos)), nanos);
        }
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(from_time(far), i64::MAX);
    }
}
