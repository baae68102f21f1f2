//! The folder, its lock and its database.

use core::time::Duration;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{self, Kind, MIGRATIONS};

const DATABASE: &str = "attache.db";
const LOCK: &str = "attache.lock";

/// How many connections read at a time.
const READERS: usize = 4;
/// How long the database waits for another program that looks at the file, a backup for example.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is left of the log file when it once had to be larger.
const LARGEST_IDLE_WAL: i64 = 64 << 20;
/// More than there are statements in this module.
const STATEMENTS: usize = 64;

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder can't be made, or a file in it can't be opened.
    #[error("can't use {} as a store: {error}; check that it is a folder you may write to", path.display())]
    Folder {
        /// The folder or the file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Another relay has the store open.
    #[error("another relay uses the store in {}; stop it, or give this one another folder", path.display())]
    InUse {
        /// The store's folder.
        path: PathBuf,
    },
    /// The file is no database, or one of another program.
    #[error("{} is not a store of a relay; move it away, or give the relay another folder", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// A newer version has changed the file in ways this one does not know.
    #[error(
        "{} has schema version {found}, and this version knows them up to {known}; use the newer one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's schema version.
        found: usize,
        /// The newest schema version this code knows.
        known: usize,
    },
    /// The database failed.
    #[error("can't open the store {}: {error}; check the disk and its permissions", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What the database said.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system gave no thread.
    #[error("can't start a thread for the store: {0}; end other programs, or raise the limit")]
    Thread(#[source] io::Error),
}

/// A store that nobody else may open while this lives.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) readers: Vec<Connection>,
    pub(super) lock: Lock,
}

/// Keeps others out. The system lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is just being started has a copy for a moment.
        let _ = self.0.unlock();
    }
}

pub(super) fn open(folder: &Path) -> Result<Opened, OpenError> {
    let failed = |error| OpenError::Folder {
        path: folder.to_owned(),
        error,
    };
    let there_before = make_private_folder(folder).map_err(failed)?;
    let lock = lock(folder)?;
    let path = folder.join(DATABASE);
    private_file(&path).map_err(|error| OpenError::Folder {
        path: path.clone(),
        error,
    })?;
    let writer = open_writer(&path)?;
    let readers = (0..READERS).map(|_| open_reader(&path));
    let readers = readers
        .collect::<Result<_, _>>()
        .map_err(|error| of_database(&path, error))?;
    make_entries_durable(folder, &there_before).map_err(failed)?;
    Ok(Opened {
        writer,
        readers,
        lock,
    })
}

fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let failed = |error| of_database(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(PATIENCE).map_err(failed)?;
    let known = MIGRATIONS.len();
    let version = match schema::kind(&db).map_err(failed)? {
        Kind::Empty => 0,
        Kind::Store(found) if found > known => {
            let path = path.to_owned();
            return Err(OpenError::Newer { path, found, known });
        }
        Kind::Store(version) => version,
        Kind::Foreign => {
            let path = path.to_owned();
            return Err(OpenError::NotAStore { path });
        }
    };
    configure_writer(&db)
        .and_then(|()| schema::migrate(&mut db, version, MIGRATIONS))
        .map_err(failed)?;
    Ok(db)
}

fn configure_writer(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "journal_mode", "wal")?;
    // A commit waits until the disk has it.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "journal_size_limit", LARGEST_IDLE_WAL)?;
    // What undoes a single write of a commit would go to the system's temporary folder otherwise.
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update(None, "foreign_keys", true)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.busy_timeout(PATIENCE)?;
    Ok(db)
}

fn of_database(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        return OpenError::NotAStore { path };
    }
    OpenError::Database {
        path,
        error: Box::new(error),
    }
}

fn lock(folder: &Path) -> Result<Lock, OpenError> {
    let path = folder.join(LOCK);
    let failed = |error| OpenError::Folder {
        path: path.clone(),
        error,
    };
    let file = private_file(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Says which part of the path was there before. Only the owner may enter the rest: the store holds
/// what people wrote and the key that workers' tokens are signed with.
fn make_private_folder(folder: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(folder)?;
    let there = absolute.ancestors().find(|folder| folder.is_dir());
    let there = fs::canonicalize(there.unwrap_or(&absolute))?;
    if !folder.is_dir() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    Ok(there)
}

/// Opens a file, which is made for its owner alone when it is not there. The database's other files
/// take over its permissions.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What is new in a folder survives a loss of power only when the folder itself is synced.
fn make_entries_durable(folder: &Path, there_before: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    for place in fs::canonicalize(folder)?.ancestors() {
        match File::open(place) {
            Ok(place) => place.sync_all()?,
            // Whoever may not read it has made nothing there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
        if !place.starts_with(there_before) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path()).unwrap();
        let setting = |name| -> rusqlite::types::Value {
            let setting = opened
                .writer
                .pragma_query_value(None, name, |row| row.get(0));
            setting.unwrap()
        };
        assert_eq!(setting("journal_mode"), "wal".to_owned().into());
        // Full.
        assert_eq!(setting("synchronous"), 2.into());
    }

    #[test]
    fn a_lock_is_let_go_of_whoever_has_a_copy_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        let _copy = first.0.try_clone().unwrap();
        let refused = lock(folder.path()).unwrap_err();
        assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
        drop(first);
        lock(folder.path()).unwrap();
    }

    #[test]
    fn a_reader_can_not_write() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path()).unwrap();
        for reader in &opened.readers {
            let refused = reader.execute("DELETE FROM share", []).unwrap_err();
            assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::ReadOnly));
        }
    }
}
