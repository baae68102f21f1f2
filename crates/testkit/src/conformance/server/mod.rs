//! A session's server on the loopback, in plain threads.

mod connection;
mod desk;
mod http;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use attache_protocol::SessionId;

use desk::{Desk, SESSION};

/// A server with one session for viewers and one for a worker: enough of every endpoint to see what is
/// delivered, how often, and in which order. Dropping it ends every connection and waits for its threads.
#[derive(Debug)]
pub struct SessionServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the server's threads share.
#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    /// What a worker is told to call.
    public_url: Mutex<String>,
    stopping: AtomicBool,
    open: AtomicUsize,
}

impl SessionServer {
    /// Starts a server.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            desk: Mutex::default(),
            public_url: Mutex::new(format!("http://{address}")),
            stopping: AtomicBool::new(false),
            open: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::Builder::new()
            .name("server".into())
            .spawn(move || accept(&accepting, &listener))?;
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The session.
    ///
    /// # Panics
    /// Never: the id is valid.
    pub fn session(&self) -> SessionId {
        session()
    }

    /// Names the URL under which a worker is to call from its next credentials on.
    pub fn name_for_workers(&self, url: &str) {
        let mut public = lock(&self.shared.public_url);
        url.clone_into(&mut public);
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// The agent says something to viewers.
    pub fn say(&self) {
        self.desk().say();
    }

    /// The agent asks viewers for permission.
    pub fn ask(&self, request_id: &str) {
        self.desk().ask(request_id);
    }

    /// What was said to viewers and by them: the uuids of the stored messages, in order.
    pub fn messages(&self) -> Vec<String> {
        self.desk().messages()
    }

    /// How many answers to this prompt counted.
    pub fn answers(&self, request_id: &str) -> usize {
        self.desk()
            .answers
            .get(request_id)
            .copied()
            .unwrap_or_default()
    }

    /// A person says something to the worker's agent.
    pub fn tell(&self) {
        self.desk().worker.say();
    }

    /// What was said to the worker's agent: uuids, in order.
    pub fn told(&self) -> Vec<String> {
        self.desk().worker.inbound().to_vec()
    }

    /// What the worker's agent said: uuids, in the order in which they came first.
    pub fn uploads(&self) -> Vec<String> {
        self.desk().worker.uploads.clone()
    }

    /// How many events the worker's agent is done with.
    pub fn processed(&self) -> usize {
        self.desk().worker.processed.len()
    }

    /// Whether the worker's session was archived.
    pub fn is_archived(&self) -> bool {
        self.desk().worker.is_archived
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.shared.desk()
    }
}

/// The session of every server.
pub(super) fn session() -> SessionId {
    SessionId::parse(&format!("session_{SESSION}")).expect("plain characters")
}

impl Drop for SessionServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_stopping() {
            break;
        }
        let serving = Arc::clone(shared);
        shared.open.fetch_add(1, Ordering::AcqRel);
        let served = thread::Builder::new().name("served".into()).spawn(move || {
            connection::serve(&serving, stream);
            serving.open.fetch_sub(1, Ordering::AcqRel);
        });
        connections.retain(|connection| !connection.is_finished());
        connections.extend(served.ok());
    }
    for connection in connections {
        let _ = connection.join();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
