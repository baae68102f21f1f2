//! Shares of sessions.

use attache_protocol::SessionId;
use rusqlite::{Connection, Row, params};

use super::{
    column::{from_time, text, to_session_id, to_time},
    failure::Failure,
    sessions::{Number, number},
};
use crate::store::{Share, ShareId, TokenHash};

pub(super) fn add(db: &Connection, share: &Share) -> Result<(), Failure> {
    let Share {
        id,
        session,
        role,
        name,
        token,
        created_at,
        expires_at,
    } = share;
    let Number(session) = number(db, session)?;
    db.prepare_cached(
        "INSERT INTO share (id, session, role, name, token, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        id.0,
        session,
        role.as_str(),
        name,
        token.0,
        from_time(*created_at),
        from_time(*expires_at),
    ])?;
    Ok(())
}

pub(super) fn of_session(db: &Connection, id: &SessionId) -> Result<Vec<Share>, Failure> {
    let Number(session) = number(db, id)?;
    let mut query = db.prepare_cached(&format!(
        "{SHARE} WHERE share.session = ?1 ORDER BY share.number"
    ))?;
    let mut rows = query.query([session])?;
    let mut shares = Vec::new();
    while let Some(row) = rows.next()? {
        shares.push(share(row)?);
    }
    Ok(shares)
}

pub(super) fn revoke(db: &Connection, id: &SessionId, share: &ShareId) -> Result<bool, Failure> {
    let Number(session) = number(db, id)?;
    let gone = db
        .prepare_cached("DELETE FROM share WHERE session = ?1 AND id = ?2")?
        .execute(params![session, share.0])?;
    Ok(gone > 0)
}

pub(super) fn with_token(db: &Connection, token: &TokenHash) -> Result<Option<Share>, Failure> {
    let mut query = db.prepare_cached(&format!(
        "{SHARE} WHERE token = ?1 ORDER BY share.number LIMIT 1"
    ))?;
    let mut rows = query.query([token.0])?;
    rows.next()?.map(share).transpose()
}

const SHARE: &str = "
    SELECT share.id, session.id, role, name, token, share.created_at, expires_at
    FROM share JOIN session ON session.number = share.session";

fn share(row: &Row<'_>) -> Result<Share, Failure> {
    Ok(Share {
        id: ShareId(row.get(0)?),
        session: to_session_id(&text(row, 1)?)?,
        role: text(row, 2)?
            .parse()
            .map_err(|_| Failure::unreadable("an unknown role"))?,
        name: row.get(3)?,
        token: TokenHash(row.get(4)?),
        created_at: to_time(row.get(5)?),
        expires_at: to_time(row.get(6)?),
    })
}
