//! The tables, and how an older file gets them.

use rusqlite::{Connection, TransactionBehavior};

/// In the header of every file of ours: `atch`.
pub(super) const APPLICATION_ID: i32 = 0x6174_6368;

/// What leads from each schema version to the next; the first makes an empty file version 1.
/// A step that was ever released is never changed.
pub(super) const MIGRATIONS: &[&str] = &[VERSION_1];

/// - `session`: what is said of a session; `number` grows in the order of creation.
/// - `log`: the part of a session that changes with every append, apart from the rest because that
///   may be long. A log's first and last sequence numbers are those of its frames.
/// - `frame`: the logs, all in one table in the order of arrival, so that a commit over many
///   sessions writes few pages. The agent's frames are most of a log and read with the others; only
///   those of other origins have an index of their own.
/// - `forgotten`: the ids of frames that are not kept any more.
const VERSION_1: &str = "
CREATE TABLE session (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    tags TEXT NOT NULL,
    cwd TEXT,
    bridge TEXT,
    epoch INTEGER NOT NULL,
    instance TEXT,
    worker_status TEXT,
    requires_action_details TEXT,
    external_metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE log (
    session INTEGER PRIMARY KEY REFERENCES session,
    bytes INTEGER NOT NULL,
    agent_cursor INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE frame (
    session INTEGER NOT NULL REFERENCES session,
    sequence INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    origin INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (session, sequence),
    UNIQUE (session, uuid)
) STRICT;
CREATE INDEX frame_not_of_agent ON frame (session, origin, sequence) WHERE origin <> 0;

CREATE TABLE forgotten (
    session INTEGER NOT NULL REFERENCES session,
    sequence INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    PRIMARY KEY (session, sequence),
    UNIQUE (session, uuid)
) STRICT, WITHOUT ROWID;

CREATE TABLE share (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    session INTEGER NOT NULL REFERENCES session,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    token BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX share_of_session ON share (session);
CREATE INDEX share_with_token ON share (token);

CREATE TABLE signing_key (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    bytes BLOB NOT NULL
) STRICT;
";

/// What a file is, before anything is done to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is in it yet.
    Empty,
    /// A store with this schema version.
    Store(usize),
    /// A database of somebody else.
    Foreign,
}

pub(super) fn kind(db: &Connection) -> rusqlite::Result<Kind> {
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, usize::try_from(version)) {
        (0, Ok(0)) if tables == 0 => Kind::Empty,
        (APPLICATION_ID, Ok(version)) if version > 0 => Kind::Store(version),
        _ => Kind::Foreign,
    })
}

/// Takes the steps from version `from` on, all or none.
pub(super) fn migrate(
    db: &mut Connection,
    from: usize,
    migrations: &[&str],
) -> rusqlite::Result<()> {
    let Some(steps) = migrations.get(from..).filter(|steps| !steps.is_empty()) else {
        return Ok(());
    };
    let transaction = db.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    let version = i32::try_from(migrations.len()).unwrap_or(i32::MAX);
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "CREATE TABLE animal (name TEXT)";
    const TWO: &str = "ALTER TABLE animal ADD COLUMN legs INTEGER DEFAULT 4";

    #[test]
    fn an_older_file_gets_the_steps_it_lacks_and_keeps_what_it_holds() {
        let mut db = Connection::open_in_memory().unwrap();
        assert_eq!(kind(&db).unwrap(), Kind::Empty);
        migrate(&mut db, 0, &[ONE]).unwrap();
        db.execute("INSERT INTO animal VALUES ('cat')", []).unwrap();
        assert_eq!(kind(&db).unwrap(), Kind::Store(1));

        migrate(&mut db, 1, &[ONE, TWO]).unwrap();
        assert_eq!(kind(&db).unwrap(), Kind::Store(2));
        let cat: (String, i64) = db
            .query_row("SELECT * FROM animal", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(cat, ("cat".to_owned(), 4));
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, 0, &[ONE]).unwrap();
        let broken = "ALTER TABLE plant ADD COLUMN leaves INTEGER";
        migrate(&mut db, 1, &[ONE, TWO, broken]).unwrap_err();
        assert_eq!(kind(&db).unwrap(), Kind::Store(1));
        db.execute("INSERT INTO animal (legs) VALUES (2)", [])
            .unwrap_err();
    }

    #[test]
    fn a_database_of_somebody_else_is_told_apart() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(ONE).unwrap();
        assert_eq!(kind(&db).unwrap(), Kind::Foreign);
    }
}
