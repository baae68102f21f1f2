//! A store on disk.
//!
//! [`SqliteStore`] keeps everything in one [SQLite](https://sqlite.org) database in a folder of its
//! own, with its write-ahead log beside it:
//!
//! | file | is |
//! |---|---|
//! | `attache.db` | the database |
//! | `attache.db-wal`, `attache.db-shm` | what was written last, and an index of it; there while the store is open and after a crash |
//! | `attache.lock` | locked by the relay that has the store open; empty |
//!
//! # What is durable when
//!
//! A method that writes returns when its change is on disk: the log file is synced at every commit
//! (`synchronous=FULL`), so what was acknowledged survives a crash of the process, of the system and
//! a loss of power, as far as the disk keeps its word. What was not acknowledged is there whole or
//! not at all. Opening the store repairs whatever a crash has left: an unfinished commit at the end
//! of the log file is dropped.
//!
//! One thread writes. Calls that come while a commit waits for the disk share the next one, so a
//! hundred sessions wait hardly longer than one; each is undone alone when it fails, and all of them
//! get the error when the commit itself does. [`Store::commits`] counts. Four threads read beside
//! it, and never wait for it.
//!
//! When the disk is full or fails, a write returns [`StoreError::Backend`](super::StoreError::Backend) and has changed nothing;
//! reads go on, and writes succeed again when the disk does. If the failure comes as late as the sync
//! itself and the system goes down right after, the write may be found all the same: repeat it with
//! the same ids.
//!
//! # What is in it
//!
//! A row for each session and, apart from it, one for what changes with every frame; the frames of
//! all sessions, in the order in which they came; the ids of frames that are not kept any more;
//! shares; the key that workers' tokens are signed with. Times are nanoseconds since 1970.
//! `PRAGMA user_version` is the version of the schema, `PRAGMA application_id` is `atch` in ASCII.
//!
//! The file does not shrink when the front of a log is given up: the space is used for what comes
//! next. To give it back to the system, run `sqlite3 DIR/attache.db VACUUM` when no relay runs. A
//! long front is given up in pieces, so that other sessions are not held up.
//!
//! # Backups
//!
//! While a relay runs: `sqlite3 DIR/attache.db ".backup COPY"`, or `VACUUM INTO`; the relay goes on
//! meanwhile. When none runs: copy the folder, `attache.db-wal` included if it is there. A copy of
//! the files under a running relay is no backup. To go back, put the copy in an otherwise empty
//! folder as `attache.db`. The file holds what people wrote, and the signing key: keep copies as
//! private as the folder, which only its owner may enter.
//!
//! # Upgrades
//!
//! A newer version brings an older file to its own schema when it opens it, in one transaction: a
//! crash leaves the old or the new one. There is no way back: an older version refuses the file with
//! [`OpenError::Newer`]. Back up before.

mod column;
mod failure;
mod log;
mod open;
mod readers;
mod schema;
mod sessions;
mod shares;
mod writer;

use std::{path::Path, time::SystemTime};

use attache_protocol::SessionId;

use self::{open::Lock, readers::Readers, writer::Writer};
use super::{
    After, Appended, CommitStats, LogPage, NewFrame, Origin, Page, Retention, SessionChange,
    SessionRecord, Share, ShareId, SigningKey, Store, StoreFuture, TokenHash,
};

pub use open::OpenError;

/// Keeps everything in a folder on disk. See the [module](self).
///
/// Dropping it waits for the writes that are queued; [`close`](Self::close) does so without holding
/// up the thread. Its futures need no particular runtime.
#[derive(Debug)]
pub struct SqliteStore {
    // In this order: the last connection to close tidies up, and only the writer can; the lock
    // outlives both.
    readers: Readers,
    writer: Writer,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the store in `folder`, which is made when it is not there. Blocks for a few syncs of
    /// the disk, longer when an older file is brought up to date.
    ///
    /// # Errors
    /// [`OpenError`] when another relay has it open, when a newer version wrote it, when it is
    /// something else, and when the disk fails.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, OpenError> {
        let opened = open::open(folder.as_ref())?;
        Ok(Self {
            readers: Readers::start(opened.readers).map_err(OpenError::Thread)?,
            writer: Writer::start(opened.writer).map_err(OpenError::Thread)?,
            _lock: opened.lock,
        })
    }

    /// Returns when everything that was asked to be written before is on disk. Later writes fail;
    /// reads go on. Dropping the future does not undo it.
    pub async fn close(&self) {
        self.writer.close().await;
    }
}

impl Store for SqliteStore {
    fn create<'a>(&'a self, session: &'a SessionRecord) -> StoreFuture<'a, ()> {
        let session = session.clone();
        Box::pin(self.writer.write(move |db| sessions::create(db, &session)))
    }

    fn session<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<SessionRecord>> {
        let id = id.clone();
        Box::pin(self.readers.read(move |db| sessions::session(db, &id)))
    }

    fn sessions<'a>(
        &'a self,
        after: Option<&'a SessionId>,
        limit: usize,
    ) -> StoreFuture<'a, Page<SessionRecord>> {
        let after = after.cloned();
        let read = move |db: &_| sessions::sessions(db, after.as_ref(), limit);
        Box::pin(self.readers.read(read))
    }

    fn update<'a>(
        &'a self,
        id: &'a SessionId,
        change: SessionChange,
        at: SystemTime,
    ) -> StoreFuture<'a, SessionRecord> {
        let id = id.clone();
        let write = move |db: &_| sessions::update(db, &id, &change, at);
        Box::pin(self.writer.write(write))
    }

    fn append<'a>(
        &'a self,
        id: &'a SessionId,
        frames: Vec<NewFrame>,
        at: SystemTime,
    ) -> StoreFuture<'a, Vec<Appended>> {
        let id = id.clone();
        let write = move |db: &_| log::append(db, &id, &frames, at);
        Box::pin(self.writer.write(write))
    }

    fn frames<'a>(
        &'a self,
        id: &'a SessionId,
        after: After<'a>,
        only: Option<Origin>,
        limit: usize,
    ) -> StoreFuture<'a, LogPage> {
        let id = id.clone();
        match after {
            After::Sequence(sequence) => {
                let after = After::Sequence(sequence);
                let read = move |db: &_| log::frames(db, &id, after, only, limit);
                Box::pin(self.readers.read(read))
            }
            After::Uuid(uuid) => {
                let uuid = uuid.to_owned();
                let read = move |db: &_| log::frames(db, &id, After::Uuid(&uuid), only, limit);
                Box::pin(self.readers.read(read))
            }
        }
    }

    fn newest<'a>(
        &'a self,
        id: &'a SessionId,
        before: Option<u64>,
        limit: usize,
    ) -> StoreFuture<'a, LogPage> {
        let id = id.clone();
        let read = move |db: &_| log::newest(db, &id, before, limit);
        Box::pin(self.readers.read(read))
    }

    fn prune<'a>(
        &'a self,
        id: &'a SessionId,
        keep: &'a Retention,
        floor: u64,
        now: SystemTime,
    ) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            loop {
                let (id, keep) = (id.clone(), keep.clone());
                let write = move |db: &_| log::prune(db, &id, &keep, floor, now);
                let pruned = self.writer.write(write).await?;
                if !pruned.more {
                    return Ok(pruned.first_kept);
                }
            }
        })
    }

    fn agent_cursor<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, u64> {
        let id = id.clone();
        Box::pin(self.readers.read(move |db| log::agent_cursor(db, &id)))
    }

    fn advance_agent_cursor<'a>(
        &'a self,
        id: &'a SessionId,
        from: u64,
        to: u64,
    ) -> StoreFuture<'a, bool> {
        let id = id.clone();
        let write = move |db: &_| log::advance_agent_cursor(db, &id, from, to);
        Box::pin(self.writer.write(write))
    }

    fn next_epoch<'a>(
        &'a self,
        id: &'a SessionId,
        instance: Option<&'a str>,
    ) -> StoreFuture<'a, u64> {
        let (id, instance) = (id.clone(), instance.map(str::to_owned));
        let write = move |db: &_| sessions::next_epoch(db, &id, instance.as_deref());
        Box::pin(self.writer.write(write))
    }

    fn signing_key(&self, fresh: SigningKey) -> StoreFuture<'_, SigningKey> {
        let write = move |db: &_| sessions::signing_key(db, &fresh);
        Box::pin(self.writer.write(write))
    }

    fn add_share<'a>(&'a self, share: &'a Share) -> StoreFuture<'a, ()> {
        let share = share.clone();
        Box::pin(self.writer.write(move |db| shares::add(db, &share)))
    }

    fn shares<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Vec<Share>> {
        let id = id.clone();
        Box::pin(self.readers.read(move |db| shares::of_session(db, &id)))
    }

    fn revoke_share<'a>(&'a self, id: &'a SessionId, share: &'a ShareId) -> StoreFuture<'a, bool> {
        let (id, share) = (id.clone(), share.clone());
        Box::pin(self.writer.write(move |db| shares::revoke(db, &id, &share)))
    }

    fn share_with<'a>(&'a self, token: &'a TokenHash) -> StoreFuture<'a, Option<Share>> {
        let token = *token;
        Box::pin(self.readers.read(move |db| shares::with_token(db, &token)))
    }

    fn commits(&self) -> Option<CommitStats> {
        Some(self.writer.stats())
    }
}
