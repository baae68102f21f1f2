//! Sessions and what is kept of their workers.

use std::time::SystemTime;

use attache_protocol::{ByteString, SessionId};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use super::{
    column::{from_time, one_more, text, to_session_id, to_status, to_time, to_worker_status},
    failure::Failure,
};
use crate::store::{
    Page, SessionChange, SessionDetails, SessionRecord, SigningKey, StoreError, WorkerRecord,
    WorkerReport, WorkerStatus,
};

/// A session's key in the other tables.
#[derive(Copy, Clone, Debug)]
pub(super) struct Number(pub(super) i64);

pub(super) fn number(db: &Connection, id: &SessionId) -> Result<Number, Failure> {
    let mut query = db.prepare_cached("SELECT number FROM session WHERE id = ?1")?;
    let number = query.query_row([id.v1()], |row| row.get(0)).optional()?;
    Ok(number.map(Number).ok_or(StoreError::UnknownSession)?)
}

pub(super) fn create(db: &Connection, session: &SessionRecord) -> Result<(), Failure> {
    let SessionRecord {
        id,
        title,
        status,
        details: SessionDetails { tags, cwd, bridge },
        worker:
            WorkerRecord {
                epoch,
                instance,
                report,
            },
        created_at,
        updated_at,
    } = session;
    let tags = serde_json::to_string(tags).map_err(|error| StoreError::Backend(Box::new(error)))?;
    let added = db
        .prepare_cached(
            "INSERT INTO session (id, title, status, tags, cwd, bridge, epoch, instance,
                 worker_status, requires_action_details, external_metadata, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            id.v1(),
            title,
            status.as_str(),
            tags,
            cwd,
            bridge.as_deref(),
            epoch.cast_signed(),
            instance.as_deref(),
            report.status.map(WorkerStatus::as_str),
            report.requires_action_details.as_deref(),
            &*report.external_metadata,
            from_time(*created_at),
        ]);
    match added {
        Ok(_) => {}
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Err(StoreError::SessionExists.into());
        }
        Err(error) => return Err(error.into()),
    }
    db.prepare_cached(
        "INSERT INTO log (session, bytes, agent_cursor, updated_at) VALUES (?1, 0, 0, ?2)",
    )?
    .execute(params![db.last_insert_rowid(), from_time(*updated_at)])?;
    Ok(())
}

const RECORD: &str = "
    SELECT session.number, id, title, status, tags, cwd, bridge, epoch, instance, worker_status,
        requires_action_details, external_metadata, created_at, updated_at
    FROM session JOIN log ON log.session = session.number";

pub(super) fn session(db: &Connection, id: &SessionId) -> Result<Option<SessionRecord>, Failure> {
    let mut query = db.prepare_cached(&format!("{RECORD} WHERE id = ?1"))?;
    let mut rows = query.query([id.v1()])?;
    rows.next()?.map(record).transpose()
}

pub(super) fn sessions(
    db: &Connection,
    after: Option<&SessionId>,
    limit: usize,
) -> Result<Page<SessionRecord>, Failure> {
    let before = match after {
        None => i64::MAX,
        Some(after) => match number(db, after) {
            Ok(Number(number)) => number,
            Err(Failure::Refused(StoreError::UnknownSession)) => {
                return Err(StoreError::UnknownCursor.into());
            }
            Err(failure) => return Err(failure),
        },
    };
    let mut query = db.prepare_cached(&format!(
        "{RECORD} WHERE session.number < ?1 ORDER BY session.number DESC LIMIT ?2"
    ))?;
    let mut rows = query.query([before, one_more(limit)])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        if items.len() == limit {
            let has_more = true;
            return Ok(Page { items, has_more });
        }
        items.push(record(row)?);
    }
    let has_more = false;
    Ok(Page { items, has_more })
}

pub(super) fn update(
    db: &Connection,
    id: &SessionId,
    change: &SessionChange,
    at: SystemTime,
) -> Result<SessionRecord, Failure> {
    let Number(number) = number(db, id)?;
    match change {
        SessionChange::Title(title) => {
            db.prepare_cached("UPDATE session SET title = ?2 WHERE number = ?1")?
                .execute(params![number, title])?;
        }
        SessionChange::Status(status) => {
            db.prepare_cached("UPDATE session SET status = ?2 WHERE number = ?1")?
                .execute(params![number, status.as_str()])?;
        }
        SessionChange::Worker(WorkerReport {
            status,
            requires_action_details,
            external_metadata,
        }) => {
            db.prepare_cached(
                "UPDATE session SET worker_status = ?2, requires_action_details = ?3,
                     external_metadata = ?4
                 WHERE number = ?1",
            )?
            .execute(params![
                number,
                status.map(WorkerStatus::as_str),
                requires_action_details.as_deref(),
                &**external_metadata,
            ])?;
        }
    }
    db.prepare_cached("UPDATE log SET updated_at = ?2 WHERE session = ?1")?
        .execute(params![number, from_time(at)])?;
    Ok(session(db, id)?.ok_or(StoreError::UnknownSession)?)
}

pub(super) fn next_epoch(
    db: &Connection,
    id: &SessionId,
    instance: Option<&str>,
) -> Result<u64, Failure> {
    let Number(number) = number(db, id)?;
    let epoch: i64 = db
        .prepare_cached(
            "UPDATE session SET epoch = epoch + 1, instance = ?2 WHERE number = ?1
             RETURNING epoch",
        )?
        .query_row(params![number, instance], |row| row.get(0))?;
    Ok(epoch.cast_unsigned())
}

pub(super) fn signing_key(db: &Connection, fresh: &SigningKey) -> Result<SigningKey, Failure> {
    db.prepare_cached("INSERT INTO signing_key VALUES (1, ?1) ON CONFLICT DO NOTHING")?
        .execute([fresh.expose()])?;
    let bytes = db
        .prepare_cached("SELECT bytes FROM signing_key")?
        .query_row([], |row| row.get(0))?;
    Ok(SigningKey::new(bytes))
}

fn record(row: &Row<'_>) -> Result<SessionRecord, Failure> {
    let optional = |column: &str| -> Result<Option<ByteString>, Failure> {
        Ok(row.get::<_, Option<String>>(column)?.map(ByteString::from))
    };
    let worker_status = optional("worker_status")?;
    Ok(SessionRecord {
        id: to_session_id(&text(row, "id")?)?,
        title: row.get("title")?,
        status: to_status(&text(row, "status")?)?,
        details: SessionDetails {
            tags: serde_json::from_str(&text(row, "tags")?)
                .map_err(|_| Failure::unreadable("tags that are none"))?,
            cwd: row.get("cwd")?,
            bridge: optional("bridge")?,
        },
        worker: WorkerRecord {
            epoch: row.get::<_, i64>("epoch")?.cast_unsigned(),
            instance: optional("instance")?,
            report: WorkerReport {
                status: worker_status
                    .map(|status| to_worker_status(&status))
                    .transpose()?,
                requires_action_details: optional("requires_action_details")?,
                external_metadata: text(row, "external_metadata")?,
            },
        },
        created_at: to_time(row.get("created_at")?),
        updated_at: to_time(row.get("updated_at")?),
    })
}
