//! A few threads read, each on a connection of its own, beside the one that writes.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::{Failure, Trouble};
use crate::store::StoreError;

/// How many reads may wait; the next one waits to be let in.
const QUEUE: usize = 256;

type Read = Box<dyn FnOnce(&mut Connection) + Send>;

#[derive(Debug)]
pub(super) struct Readers {
    /// `None` only while it is dropped.
    reads: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts a thread for each connection.
    pub(super) fn start(connections: Vec<Connection>) -> io::Result<Self> {
        let (reads, incoming) = mpsc::channel(QUEUE);
        let incoming = Arc::new(Mutex::new(incoming));
        let mut readers = Self {
            reads: Some(reads),
            threads: Vec::new(),
        };
        for db in connections {
            let incoming = Arc::clone(&incoming);
            let thread = thread::Builder::new()
                .name("attache-reader".into())
                .spawn(move || serve(db, &incoming))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Everything `act` reads is of one moment, after every write that was answered before.
    pub(super) async fn read<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |db| {
            let outcome = db
                .transaction()
                .map_err(Failure::from)
                .and_then(|moment| act(&moment));
            // Whoever asked may have gone.
            let _ = answer.send(outcome);
        });
        let reads = self.reads.as_ref().ok_or(Trouble::Closed)?;
        reads.send(read).await.map_err(|_| Trouble::Closed)?;
        Ok(answered.await.map_err(|_| Trouble::Closed)??)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.reads = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(mut db: Connection, incoming: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        // Whoever holds the lock is the one that waits for the next read.
        let next = incoming
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(read) = next else { return };
        read(&mut db);
    }
}
