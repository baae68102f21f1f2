//! How a thread that waits for a server is set free.

use std::{
    io,
    net::{Shutdown, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use attache_protocol::io::NetworkFailure;
use mio::Waker;

/// Breaks off whatever the thread that holds the other clone does with its connection. A name lookup
/// can't be broken off; what comes after it can.
#[derive(Clone, Default)]
pub(crate) struct Abort(Arc<Mutex<Stage>>);

/// Breaks off when it is dropped, which is harmless when the thread is done.
pub(crate) struct AbortOnDrop(pub(crate) Abort);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Default)]
enum Stage {
    /// Nothing that could be broken off.
    #[default]
    Idle,
    /// Waiting for TCP connections, by a poll that this wakes.
    Connecting(Waker),
    /// Reading and writing.
    Connected(TcpStream),
    /// Holds what wakes the poll: dropped before the poll has noticed, it would wake nobody.
    Aborted(Option<Waker>),
}

impl Abort {
    /// Breaks off, now and for good.
    pub(crate) fn abort(&self) {
        let mut stage = self.lock();
        *stage = Stage::Aborted(match std::mem::take(&mut *stage) {
            Stage::Idle => None,
            Stage::Connecting(waker) => {
                if let Err(error) = waker.wake() {
                    tracing::error!(%error, "a connection attempt can't be broken off");
                }
                Some(waker)
            }
            Stage::Connected(stream) => {
                // An error means that it is broken already.
                let _ = stream.shutdown(Shutdown::Both);
                None
            }
            Stage::Aborted(waker) => waker,
        });
    }

    pub(crate) fn check(&self) -> Result<(), NetworkFailure> {
        match &*self.lock() {
            Stage::Aborted(_) => Err(NetworkFailure::Ended),
            Stage::Idle | Stage::Connecting(_) | Stage::Connected(_) => Ok(()),
        }
    }

    /// From now on, [`abort`](Self::abort) wakes this.
    pub(crate) fn connecting(&self, waker: Waker) -> Result<(), NetworkFailure> {
        self.enter(Stage::Connecting(waker))
    }

    /// From now on, [`abort`](Self::abort) shuts this down.
    pub(crate) fn connected(&self, stream: TcpStream) -> Result<(), NetworkFailure> {
        self.enter(Stage::Connected(stream))
    }

    /// Leaves the connection to whoever reads it without waiting.
    pub(crate) fn release(&self) -> io::Result<()> {
        let mut stage = self.lock();
        if let Stage::Connected(stream) = &*stage {
            stream.set_nonblocking(true)?;
            *stage = Stage::Idle;
        }
        Ok(())
    }

    fn enter(&self, next: Stage) -> Result<(), NetworkFailure> {
        let mut stage = self.lock();
        if matches!(*stage, Stage::Aborted(_)) {
            return Err(NetworkFailure::Ended);
        }
        *stage = next;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
