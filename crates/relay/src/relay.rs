//! The relay as a whole.

use core::time::Duration;
use std::{
    sync::{Arc, Once},
    time::SystemTime,
};

use attache_protocol::SessionId;
use tokio::sync::OnceCell;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    Agent, Endpoint, RelayError, RelayOptions,
    access::Gate,
    http,
    metrics::Metrics,
    session::SessionHandle,
    sessions::Sessions,
    store::{SessionDetails, SessionRecord, SessionStatus, SigningKey, Store, WorkerRecord},
    sweep::sweep,
    worker_token::WorkerTokens,
};

/// Logs are looked through no more often than this.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

/// Orders, stores and hands on what agents and viewers say to each other.
///
/// All state that matters is in the [`Store`]: a new relay over the same store goes on with the
/// same sessions, logs and open prompts. Two relays must not use one store at the same time.
/// Cloning is cheap; when the last clone and the last router are gone, the relay is
/// [killed](Self::kill).
#[derive(Clone)]
pub struct Relay {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    options: Arc<RelayOptions>,
    sessions: Arc<Sessions>,
    sweeping: Once,
    closing: CancellationToken,
    killed: CancellationToken,
    _kill_on_drop: DropGuard,
    tasks: TaskTracker,
    worker_tokens: OnceCell<WorkerTokens>,
    gate: Gate,
    metrics: Arc<Metrics>,
}

impl Relay {
    /// A relay over `store`. It does nothing until it is asked to.
    pub fn new(store: Arc<dyn Store>, options: RelayOptions) -> Self {
        let killed = CancellationToken::new();
        let inner = Inner {
            gate: Gate::new(&options),
            metrics: Arc::new(Metrics::new(store.clone())),
            store,
            options: Arc::new(options),
            sessions: Arc::default(),
            sweeping: Once::new(),
            closing: CancellationToken::new(),
            _kill_on_drop: killed.clone().drop_guard(),
            killed,
            tasks: TaskTracker::new(),
            worker_tokens: OnceCell::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Starts a session.
    ///
    /// # Errors
    /// [`RelayError::Store`] and [`RelayError::NoRandomness`].
    pub async fn create_session(&self, title: &str) -> Result<SessionId, RelayError> {
        let session = self.create(None, title, SessionDetails::default());
        Ok(session.await?.id)
    }

    /// Starts a session under an id of the caller's choice.
    ///
    /// # Errors
    /// [`RelayError::Store`], also when the id is taken.
    pub async fn create_session_as(&self, id: SessionId, title: &str) -> Result<(), RelayError> {
        let session = self.create(Some(id), title, SessionDetails::default());
        session.await.map(drop)
    }

    /// Attaches an agent of this process to a session, which it gets to itself: an agent attached
    /// before is detached.
    ///
    /// # Errors
    /// [`RelayError::SessionNotFound`], [`RelayError::Archived`], [`RelayError::Store`],
    /// [`RelayError::Stopped`].
    pub async fn attach_agent(&self, id: &SessionId) -> Result<Agent, RelayError> {
        let session = self.session(id).await?;
        Agent::attach(id.clone(), session, self.inner.store.clone()).await
    }

    /// Ends a session: it can still be read, but its sockets are closed once they have got
    /// everything.
    ///
    /// # Errors
    /// [`RelayError::SessionNotFound`], [`RelayError::Archived`] when it was so already,
    /// [`RelayError::Store`], [`RelayError::Stopped`].
    pub async fn archive(&self, id: &SessionId) -> Result<(), RelayError> {
        self.session(id).await?.archive(None).await
    }

    /// The relay as an axum router, to be served on its own or merged into another. Connections
    /// that another server accepts are that server's to close; sockets follow
    /// [`shutdown`](Self::shutdown) and [`kill`](Self::kill) anyway.
    pub fn router(&self) -> axum::Router {
        http::router(self.clone())
    }

    /// What the [router](Self::router) serves, and to whom.
    pub fn endpoints() -> Vec<Endpoint> {
        http::endpoints()
    }

    /// Closes every socket with 1012 after what is queued for it, refuses new ones and new events,
    /// and returns when sockets and requests are gone or
    /// [`shutdown_timeout`](RelayOptions::shutdown_timeout) has passed. Afterwards everything that
    /// is left is killed.
    ///
    /// Cancel safe: a dropped call leaves the relay closing.
    pub async fn shutdown(&self) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        let gone = self.inner.tasks.wait();
        let _ = tokio::time::timeout(self.inner.options.shutdown_timeout, gone).await;
        self.kill();
    }

    /// Stops at once, as a crash would: sockets break without a close frame, calls under way end
    /// with [`RelayError::Stopped`], agents are detached. Only what is stored remains.
    pub fn kill(&self) {
        self.inner.killed.cancel();
    }

    pub(crate) async fn create(
        &self,
        id: Option<SessionId>,
        title: &str,
        details: SessionDetails,
    ) -> Result<SessionRecord, RelayError> {
        let id = match id {
            Some(id) => id,
            None => crate::id::session().map_err(|_| RelayError::NoRandomness)?,
        };
        let now = SystemTime::now();
        let record = SessionRecord {
            id,
            title: title.to_owned(),
            status: SessionStatus::Idle,
            details,
            worker: WorkerRecord::default(),
            created_at: now,
            updated_at: now,
        };
        self.inner.store.create(&record).await?;
        Ok(record)
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.inner.metrics
    }

    /// How many sessions are in memory, and how many of them have an agent that is there.
    pub(crate) fn census(&self) -> (usize, usize) {
        self.inner.sessions.census()
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.inner.gate
    }

    pub(crate) fn options(&self) -> &Arc<RelayOptions> {
        &self.inner.options
    }

    /// The tasks of connections and sockets.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// Cancelled when sockets are to be closed in order. A kill does not cancel it: who is killed says
    /// nothing any more.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.inner.closing
    }

    /// Cancelled when everything is to stop at once.
    pub(crate) fn killed(&self) -> &CancellationToken {
        &self.inner.killed
    }

    /// What reads and writes workers' tokens, with the store's key.
    pub(crate) async fn worker_tokens(&self) -> Result<&WorkerTokens, RelayError> {
        let load = async || {
            let fresh = crate::id::random().map_err(|_| RelayError::NoRandomness)?;
            let key = self.inner.store.signing_key(SigningKey::new(fresh)).await?;
            Ok(WorkerTokens::new(key))
        };
        self.inner.worker_tokens.get_or_try_init(load).await
    }

    /// Whether somebody speaks for the session's agent right now.
    pub(crate) fn is_connected(&self, id: &SessionId) -> bool {
        let running = self.inner.sessions.running(id);
        running.is_some_and(|session| session.is_connected())
    }

    /// Whether the session is in memory.
    pub(crate) fn is_running(&self, id: &SessionId) -> bool {
        self.inner.sessions.running(id).is_some()
    }

    /// The session's task, which is started when it does not run yet.
    pub(crate) async fn session(&self, id: &SessionId) -> Result<SessionHandle, RelayError> {
        if self.inner.closing.is_cancelled() || self.inner.killed.is_cancelled() {
            return Err(RelayError::Stopped);
        }
        self.keep_sweeping();
        if let Some(running) = self.inner.sessions.running(id) {
            return Ok(running);
        }
        if self.inner.store.session(id).await?.is_none() {
            return Err(RelayError::SessionNotFound(id.clone()));
        }
        let inner = &self.inner;
        Ok(inner.sessions.running_or(id, || {
            let (store, options) = (inner.store.clone(), inner.options.clone());
            let (metrics, killed) = (inner.metrics.clone(), inner.killed.clone());
            let others = Arc::downgrade(&inner.sessions);
            SessionHandle::start(id.clone(), store, options, metrics, killed, others)
        }))
    }

    /// Looks after the sessions that nobody uses, now and then, from the first call on.
    pub(crate) fn keep_sweeping(&self) {
        self.inner.sweeping.call_once(|| {
            let weak = Arc::downgrade(&self.inner);
            let (store, options) = (self.inner.store.clone(), self.inner.options.clone());
            let killed = self.inner.killed.clone();
            let sweeping = async move {
                loop {
                    let relay = || weak.upgrade().map(|inner| Relay { inner });
                    sweep(store.clone(), options.clone(), relay).await;
                    tokio::time::sleep(options.retention_sweep.max(LEAST_PAUSE)).await;
                }
            };
            tokio::spawn(async move { killed.run_until_cancelled(sweeping).await });
        });
    }
}

impl core::fmt::Debug for Relay {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Relay")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}
