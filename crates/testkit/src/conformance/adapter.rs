//! What the suite asks of an adapter.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use attache_protocol::{
    ByteString,
    frame::RequestId,
    io::{Token, TokenReason},
    policy::CloseCause,
    viewer::{Content, Decision, Event, MessageId, ViewerConfig},
    worker::{Delivery, EventId, WorkerCloseCause, WorkerConfig, WorkerEvent},
};

use super::{fault::Way, proxy::Names};

/// Something that carries the machines' orders out over real sockets.
///
/// All methods block, so that adapters with and without a runtime implement them alike: an async one
/// owns a runtime and waits in it. The suite calls them from many threads at once.
pub trait Adapter: Sync {
    /// The adapter's name in the table.
    fn name(&self) -> &str;

    /// Opens a viewer, which connects at once.
    ///
    /// # Errors
    /// What the adapter says of a place it can't use at all; the trial then fails with it.
    fn open_viewer(
        &self,
        config: ViewerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenViewer>, String>;

    /// Opens a worker, which starts at once.
    ///
    /// # Errors
    /// What the adapter says of a place it can't use at all; the trial then fails with it.
    fn open_worker(
        &self,
        config: WorkerConfig,
        place: Place,
    ) -> Result<Box<dyn OpenWorker>, String>;

    /// What it can connect through, besides plain HTTP: the suite tries these as well.
    fn ways(&self) -> &[Way] {
        &[]
    }

    /// How many tasks of the adapter are alive, where there is such a thing and it can be counted.
    fn tasks(&self) -> Option<usize> {
        None
    }
}

/// A viewer at work. Dropping it after its end must release everything it holds.
pub trait OpenViewer {
    /// Queues a message; `None` if that is refused.
    fn send(&mut self, content: Content) -> Option<MessageId>;

    /// Answers a prompt; whether that is taken.
    fn decide(&mut self, request: RequestId, decision: Decision) -> bool;

    /// Interrupts the agent; `None` if that is refused.
    fn interrupt(&mut self) -> Option<RequestId>;

    /// The next event, waited for no longer than `timeout`.
    fn next_event(&mut self, timeout: Duration) -> Next<Event>;

    /// Closes and waits until it is closed. Events that came before can still be taken.
    fn close(&mut self) -> Option<CloseCause>;
}

/// A worker at work. Dropping it after its end must release everything it holds.
pub trait OpenWorker {
    /// Puts a frame in line; whether it is taken.
    fn upload(&mut self, frame: ByteString) -> bool;

    /// Says how far the agent is with an event.
    fn acknowledge(&mut self, event: EventId, delivery: Delivery);

    /// The next event, waited for no longer than `timeout`.
    fn next_event(&mut self, timeout: Duration) -> Next<WorkerEvent>;

    /// Closes and waits until it is closed. Events that came before can still be taken.
    fn close(&mut self) -> Option<WorkerCloseCause>;
}

/// What came of waiting for an event.
#[derive(Clone, Debug)]
pub enum Next<E> {
    /// This one.
    Event(E),
    /// There was none in time.
    Nothing,
    /// There will be none any more.
    Over,
}

/// Where to connect to, and with what.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Place {
    /// The server's URL.
    pub base_url: String,
    /// The source of tokens.
    pub tokens: Tokens,
    /// What names resolve to.
    pub names: Names,
    /// A PEM file with the authority to trust, if the server speaks TLS.
    pub authority_file: Option<PathBuf>,
    /// The URL of the proxy to go through, if there is to be one.
    pub proxy: Option<String>,
}

impl Place {
    pub(super) fn new(base_url: String) -> Self {
        Self {
            base_url,
            tokens: Tokens::default(),
            names: Names::default(),
            authority_file: None,
            proxy: None,
        }
    }
}

/// A source of tokens: the same one until it is rejected, then another one.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    rejected: Arc<AtomicUsize>,
}

impl Tokens {
    /// A token. Answers at once.
    pub fn fetch(&self, reason: TokenReason) -> Token {
        let rejected = match reason {
            TokenReason::Attempt => self.rejected.load(Ordering::Relaxed),
            TokenReason::Rejected => self.rejected.fetch_add(1, Ordering::Relaxed) + 1,
        };
        Token::new(format!("token-{rejected}"))
    }
}
