//! Where sessions and their logs are kept.

mod commits;
mod memory;
mod retention;
mod share;
pub mod sqlite;
#[cfg(feature = "store-suite")]
pub mod suite;
mod worker;

use core::{future::Future, pin::Pin};
use std::time::SystemTime;

use attache_protocol::{ByteString, SessionId};

pub use commits::{COMMIT_BOUNDS, CommitStats};
pub use memory::MemoryStore;
pub use retention::Retention;
pub use share::{Share, ShareId, TokenHash};
pub use sqlite::{OpenError, SqliteStore};
pub use worker::{SigningKey, WorkerRecord, WorkerReport, WorkerStatus};

/// What a [`Store`] method returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps sessions, and for each a log of frames in one order, dense from sequence number 1.
///
/// The front of a log may be given up by [`prune`](Self::prune); sequence numbers are never used
/// again, and the ids of what was given up are remembered for a while, so that it is not stored a
/// second time.
///
/// The relay writes a session's log from one task, so calls to [`append`](Self::append) for one
/// session never overlap; reads may come at any time. A batch is stored whole or, on error, not at
/// all. What a method has returned must be visible to every later call, and a durable store must
/// not return before it is safe. A dropped future may or may not have taken effect. Methods that
/// take an `id`, except [`session`](Self::session), fail with [`StoreError::UnknownSession`] when
/// there is no such session.
///
/// [`MemoryStore`] and [`SqliteStore`] are two; a third one has to pass the module `suite`, which the
/// feature `store-suite` adds.
pub trait Store: Send + Sync + 'static {
    /// Adds a session. [`StoreError::SessionExists`] when its id is taken.
    fn create<'a>(&'a self, session: &'a SessionRecord) -> StoreFuture<'a, ()>;

    /// Finds a session.
    fn session<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<SessionRecord>>;

    /// Sessions, the newest first, from the one after `after`.
    /// [`StoreError::UnknownCursor`] when there is no session `after`.
    fn sessions<'a>(
        &'a self,
        after: Option<&'a SessionId>,
        limit: usize,
    ) -> StoreFuture<'a, Page<SessionRecord>>;

    /// Changes a session and says what it is now. [`StoreError::UnknownSession`] when it is not
    /// there.
    fn update<'a>(
        &'a self,
        id: &'a SessionId,
        change: SessionChange,
        at: SystemTime,
    ) -> StoreFuture<'a, SessionRecord>;

    /// Adds frames to the end of a session's log, in their order, and says for each what became of
    /// it. A frame whose `uuid` the log holds already (or that stands earlier in the batch) is
    /// skipped.
    fn append<'a>(
        &'a self,
        id: &'a SessionId,
        frames: Vec<NewFrame>,
        at: SystemTime,
    ) -> StoreFuture<'a, Vec<Appended>>;

    /// Frames of a session's log in their order, from the one after `after`; with `only`, those of
    /// one origin. When frames after `after` are no longer kept, the page starts with the first that
    /// is, and [`LogPage::first_kept`] tells. [`StoreError::UnknownCursor`] when `after` names a
    /// frame that was never there, [`StoreError::NotKept`] when it names one whose successors are
    /// gone.
    fn frames<'a>(
        &'a self,
        id: &'a SessionId,
        after: After<'a>,
        only: Option<Origin>,
        limit: usize,
    ) -> StoreFuture<'a, LogPage>;

    /// The last frames of a session's log before sequence number `before` (`None` is the end), the
    /// newest first.
    fn newest<'a>(
        &'a self,
        id: &'a SessionId,
        before: Option<u64>,
        limit: usize,
    ) -> StoreFuture<'a, LogPage>;

    /// Gives up the front of a session's log until the rest is within `keep`, but nothing from
    /// sequence number `floor` on. Says which sequence number is the first kept one now; in an empty
    /// log, the next one to be given.
    fn prune<'a>(
        &'a self,
        id: &'a SessionId,
        keep: &'a Retention,
        floor: u64,
        now: SystemTime,
    ) -> StoreFuture<'a, u64>;

    /// Up to which sequence number the session's agent has taken the viewers' frames; 0 at first.
    fn agent_cursor<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, u64>;

    /// Moves that cursor, if it still stands at `from`, and says whether it did.
    fn advance_agent_cursor<'a>(
        &'a self,
        id: &'a SessionId,
        from: u64,
        to: u64,
    ) -> StoreFuture<'a, bool>;

    /// Adds one to the session's epoch, which is 0 at first, and says what it is now. No two calls
    /// are told the same. `instance` is kept as the [`WorkerRecord::instance`].
    fn next_epoch<'a>(
        &'a self,
        id: &'a SessionId,
        instance: Option<&'a str>,
    ) -> StoreFuture<'a, u64>;

    /// The key that workers' tokens are signed with. When there is none yet, `fresh` is kept from
    /// now on.
    fn signing_key(&self, fresh: SigningKey) -> StoreFuture<'_, SigningKey>;

    /// Adds a share of a session. [`StoreError::UnknownSession`] when the session is not there.
    fn add_share<'a>(&'a self, share: &'a Share) -> StoreFuture<'a, ()>;

    /// A session's shares, the oldest first, expired ones too.
    fn shares<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Vec<Share>>;

    /// Takes a share of a session away, and says whether it was there.
    fn revoke_share<'a>(&'a self, id: &'a SessionId, share: &'a ShareId) -> StoreFuture<'a, bool>;

    /// The share whose token has this hash, of whatever session.
    fn share_with<'a>(&'a self, token: &'a TokenHash) -> StoreFuture<'a, Option<Share>>;

    /// What writing has cost so far; `None` when the store does not count it.
    fn commits(&self) -> Option<CommitStats> {
        None
    }
}

/// A session, its log aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session's id.
    pub id: SessionId,
    /// What people call it.
    pub title: String,
    /// What it is doing.
    pub status: SessionStatus,
    /// What else was said when it was created.
    pub details: SessionDetails,
    /// What is known of its worker.
    pub worker: WorkerRecord,
    /// When it was created.
    pub created_at: SystemTime,
    /// When a frame was last stored or a [change](SessionChange) was last made.
    pub updated_at: SystemTime,
}

/// What is said of a session when it is created, for people and for its worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionDetails {
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The folder its agent works in.
    pub cwd: Option<String>,
    /// What its worker says of itself: a JSON object.
    pub bridge: Option<ByteString>,
}

/// What a session is doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// Nothing; it waits for a person.
    Idle,
    /// The agent works.
    Running,
    /// A permission prompt waits for a person.
    RequiresAction,
    /// It is over: it can be read, nothing can be added.
    Archived,
}

impl SessionStatus {
    /// The status in the wire's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::RequiresAction => "requires_action",
            Self::Archived => "archived",
        }
    }
}

/// A change to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// Another title.
    Title(String),
    /// Another status.
    Status(SessionStatus),
    /// What its worker reports, in place of what it reported before.
    Worker(WorkerReport),
}

/// Which side a frame came from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The agent said it; it is for the viewers.
    Agent,
    /// A viewer said it; it is for the agent.
    Viewer,
    /// The relay said it, of its own accord; it is for the viewers.
    Relay,
}

/// A frame to be stored.
///
/// Its texts may share memory with other frames: a store that keeps them in memory keeps copies.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFrame {
    /// The frame's id.
    pub uuid: ByteString,
    /// The frame, byte for byte, without a line break.
    pub text: ByteString,
    /// Which side it came from.
    pub origin: Origin,
}

/// A frame of a session's log.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredFrame {
    /// Its place in the log, from 1.
    pub sequence: u64,
    /// The frame's id.
    pub uuid: ByteString,
    /// The frame, byte for byte, without a line break.
    pub text: ByteString,
    /// Which side it came from.
    pub origin: Origin,
    /// When it was stored.
    pub stored_at: SystemTime,
}

/// What became of a frame that was to be stored.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log at this sequence number.
    Stored(u64),
    /// The log held its `uuid` already; nothing changed.
    Duplicate,
}

/// Where reading starts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum After<'a> {
    /// After the frame with this sequence number; 0 is the beginning.
    Sequence(u64),
    /// After the frame with this `uuid`.
    Uuid(&'a str),
}

/// A piece of a session's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The frames.
    pub frames: Vec<StoredFrame>,
    /// Whether more follow, in the direction of reading.
    pub has_more: bool,
    /// The first sequence number that is kept; in an empty log, the next one to be given. A reader
    /// that knows less than what comes before it has missed something for good.
    pub first_kept: u64,
}

/// A piece of a longer list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow.
    pub has_more: bool,
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such session.
    #[error("there is no such session")]
    UnknownSession,
    /// The session's id is taken.
    #[error("there is a session with this id already")]
    SessionExists,
    /// The cursor names nothing that is stored.
    #[error("nothing is stored under the id to read after")]
    UnknownCursor,
    /// What came after the cursor is no longer kept.
    #[error("what came after this position is no longer kept; the log starts at {first_kept} now")]
    NotKept {
        /// The first sequence number that is kept.
        first_kept: u64,
    },
    /// The store itself failed.
    #[error("{0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl core::fmt::Debug for NewFrame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "NewFrame({:?}, {}, {} bytes)",
            self.origin,
            self.uuid,
            self.text.len()
        )
    }
}

impl core::fmt::Debug for StoredFrame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            sequence,
            uuid,
            text,
            origin,
            stored_at: _,
        } = self;
        write!(
            f,
            "StoredFrame({sequence}, {origin:?}, {uuid}, {} bytes)",
            text.len()
        )
    }
}
