//! The logs.

use std::time::SystemTime;

use attache_protocol::SessionId;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::{
    column::{bound, from_origin, from_time, one_more, text, to_origin, to_sequence, to_time},
    failure::Failure,
    sessions::{Number, number},
};
use crate::store::{
    After, Appended, LogPage, NewFrame, Origin, Retention, StoreError, StoredFrame,
};

pub(super) fn append(
    db: &Connection,
    id: &SessionId,
    frames: &[NewFrame],
    at: SystemTime,
) -> Result<Vec<Appended>, Failure> {
    let Number(session) = number(db, id)?;
    let mut last = last_sequence(db, session)?;
    // A frame that has no sequence number because it is here twice keeps the log dense.
    let mut add = db.prepare_cached(
        "INSERT INTO frame (session, sequence, uuid, origin, stored_at, text)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6
         WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE session = ?1 AND uuid = ?3)
         ON CONFLICT (session, uuid) DO NOTHING",
    )?;
    let at = from_time(at);
    let mut bytes = 0;
    let mut outcome = Vec::with_capacity(frames.len());
    for NewFrame { uuid, text, origin } in frames {
        let added = add.execute(params![
            session,
            last + 1,
            &**uuid,
            from_origin(*origin),
            at,
            &**text
        ])?;
        if added == 0 {
            outcome.push(Appended::Duplicate);
            continue;
        }
        last += 1;
        bytes += size(text);
        outcome.push(Appended::Stored(to_sequence(last)?));
    }
    if outcome.iter().any(|one| *one != Appended::Duplicate) {
        db.prepare_cached("UPDATE log SET bytes = bytes + ?2, updated_at = ?3 WHERE session = ?1")?
            .execute([session, bytes, at])?;
    }
    Ok(outcome)
}

const FRAME: &str = "SELECT sequence, uuid, origin, stored_at, text FROM frame WHERE session = ?1";

pub(super) fn frames(
    db: &Connection,
    id: &SessionId,
    after: After<'_>,
    only: Option<Origin>,
    limit: usize,
) -> Result<LogPage, Failure> {
    let Number(session) = number(db, id)?;
    let first_kept = first_kept(db, session)?;
    let after = match after {
        After::Sequence(sequence) => bound(sequence),
        After::Uuid(uuid) => position(db, session, uuid, first_kept)?,
    };
    let more = one_more(limit);
    match only {
        None => page(
            db,
            &format!("{FRAME} AND sequence > ?2 ORDER BY sequence LIMIT ?3"),
            [session, after, more],
            limit,
            first_kept,
        ),
        Some(Origin::Agent) => page(
            db,
            &format!("{FRAME} AND sequence > ?2 AND +origin = 0 ORDER BY sequence LIMIT ?3"),
            [session, after, more],
            limit,
            first_kept,
        ),
        Some(only @ (Origin::Viewer | Origin::Relay)) => page(
            db,
            // The second condition on the origin is the index's own.
            &format!(
                "{FRAME} AND sequence > ?2 AND origin = ?4 AND origin <> 0
                 ORDER BY sequence LIMIT ?3"
            ),
            [session, after, more, from_origin(only)],
            limit,
            first_kept,
        ),
    }
}

pub(super) fn newest(
    db: &Connection,
    id: &SessionId,
    before: Option<u64>,
    limit: usize,
) -> Result<LogPage, Failure> {
    let Number(session) = number(db, id)?;
    let first_kept = first_kept(db, session)?;
    page(
        db,
        &format!("{FRAME} AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3"),
        [session, before.map_or(i64::MAX, bound), one_more(limit)],
        limit,
        first_kept,
    )
}

/// How much of a log is given up in one write: others wait for it.
pub(super) const PRUNED_AT_ONCE: i64 = 1_000;

/// How far pruning has got.
pub(super) struct Pruned {
    /// The first sequence number that is kept.
    pub(super) first_kept: u64,
    /// Whether more has to go.
    pub(super) more: bool,
}

pub(super) fn prune(
    db: &Connection,
    id: &SessionId,
    keep: &Retention,
    floor: u64,
    now: SystemTime,
) -> Result<Pruned, Failure> {
    let Number(session) = number(db, id)?;
    let first = first_kept(db, session)?;
    let most = first.saturating_add(PRUNED_AT_ONCE);
    let (kept, bytes) = kept_from(db, session, first, keep, bound(floor).min(most), now)?;
    if kept > first {
        db.prepare_cached(
            "INSERT INTO forgotten SELECT session, sequence, uuid FROM frame
             WHERE session = ?1 AND sequence < ?2",
        )?
        .execute([session, kept])?;
        db.prepare_cached("DELETE FROM frame WHERE session = ?1 AND sequence < ?2")?
            .execute([session, kept])?;
        db.prepare_cached("UPDATE log SET bytes = ?2 WHERE session = ?1")?
            .execute([session, bytes])?;
    }
    db.prepare_cached("DELETE FROM forgotten WHERE session = ?1 AND sequence < ?2")?
        .execute([session, kept.saturating_sub(bound(keep.remembered))])?;
    Ok(Pruned {
        first_kept: to_sequence(kept)?,
        more: kept == most,
    })
}

pub(super) fn agent_cursor(db: &Connection, id: &SessionId) -> Result<u64, Failure> {
    let Number(session) = number(db, id)?;
    let cursor: i64 = db
        .prepare_cached("SELECT agent_cursor FROM log WHERE session = ?1")?
        .query_row([session], |row| row.get(0))?;
    Ok(cursor.cast_unsigned())
}

pub(super) fn advance_agent_cursor(
    db: &Connection,
    id: &SessionId,
    from: u64,
    to: u64,
) -> Result<bool, Failure> {
    let Number(session) = number(db, id)?;
    let moved = db
        .prepare_cached(
            "UPDATE log SET agent_cursor = ?3 WHERE session = ?1 AND agent_cursor = ?2",
        )?
        .execute([session, from.cast_signed(), to.cast_signed()])?;
    Ok(moved == 1)
}

/// The first sequence number that stays, and how many bytes stay with it.
fn kept_from(
    db: &Connection,
    session: i64,
    first: i64,
    keep: &Retention,
    floor: i64,
    now: SystemTime,
) -> Result<(i64, i64), Failure> {
    let mut bytes: i64 = db
        .prepare_cached("SELECT bytes FROM log WHERE session = ?1")?
        .query_row([session], |row| row.get(0))?;
    let last = last_sequence(db, session)?;
    let mut query = db.prepare_cached(
        "SELECT octet_length(text), stored_at FROM frame WHERE session = ?1 ORDER BY sequence",
    )?;
    let mut rows = query.query([session])?;
    let mut kept = first;
    while let Some(row) = rows.next()? {
        let stored_at = to_time(row.get(1)?);
        let too_old = keep.age.is_some_and(|age| {
            let old = now.duration_since(stored_at);
            old.is_ok_and(|old| old > age)
        });
        let too_much = last - kept + 1 > bound(keep.frames) || bytes > bound(keep.bytes);
        if kept >= floor || kept == last || !(too_old || too_much) {
            break;
        }
        kept += 1;
        bytes -= row.get::<_, i64>(0)?;
    }
    Ok((kept, bytes))
}

/// The sequence number of the frame with this id.
fn position(db: &Connection, session: i64, uuid: &str, first_kept: i64) -> Result<i64, Failure> {
    let found: Option<i64> = db
        .prepare_cached(
            "SELECT sequence FROM frame WHERE session = ?1 AND uuid = ?2
             UNION ALL SELECT sequence FROM forgotten WHERE session = ?1 AND uuid = ?2",
        )?
        .query_row(params![session, uuid], |row| row.get(0))
        .optional()?;
    let sequence = found.ok_or(StoreError::UnknownCursor)?;
    if sequence + 1 < first_kept {
        let first_kept = to_sequence(first_kept)?;
        return Err(StoreError::NotKept { first_kept }.into());
    }
    Ok(sequence)
}

/// 0 when the log is empty, which it never is again once it held a frame.
fn last_sequence(db: &Connection, session: i64) -> Result<i64, Failure> {
    let last: Option<i64> = db
        .prepare_cached("SELECT max(sequence) FROM frame WHERE session = ?1")?
        .query_row([session], |row| row.get(0))?;
    Ok(last.unwrap_or(0))
}

fn first_kept(db: &Connection, session: i64) -> Result<i64, Failure> {
    let first: Option<i64> = db
        .prepare_cached("SELECT min(sequence) FROM frame WHERE session = ?1")?
        .query_row([session], |row| row.get(0))?;
    Ok(first.unwrap_or(1))
}

fn page(
    db: &Connection,
    query: &str,
    parameters: impl Params,
    limit: usize,
    first_kept: i64,
) -> Result<LogPage, Failure> {
    let mut query = db.prepare_cached(query)?;
    let mut rows = query.query(parameters)?;
    let mut page = LogPage {
        frames: Vec::new(),
        has_more: false,
        first_kept: to_sequence(first_kept)?,
    };
    while let Some(row) = rows.next()? {
        if page.frames.len() == limit {
            page.has_more = true;
            break;
        }
        page.frames.push(frame(row)?);
    }
    Ok(page)
}

fn frame(row: &Row<'_>) -> Result<StoredFrame, Failure> {
    Ok(StoredFrame {
        sequence: to_sequence(row.get(0)?)?,
        uuid: text(row, 1)?,
        origin: to_origin(row.get(2)?)?,
        stored_at: to_time(row.get(3)?),
        text: text(row, 4)?,
    })
}

fn size(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}
