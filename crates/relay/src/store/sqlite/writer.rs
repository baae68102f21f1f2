//! One thread writes; whoever waits at the same time shares a commit.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::failure::{Failure, Trouble};
use crate::store::{CommitStats, StoreError};

/// How many writes share a commit at most.
const BATCH: usize = 256;
/// How many writes may wait; the next one waits to be let in.
const QUEUE: usize = 1024;

/// Hands writes to the thread, and takes their answers back after the commit.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` only while it is dropped.
    orders: Option<mpsc::Sender<Order>>,
    stats: Arc<Mutex<CommitStats>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Write(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// A write that waits for its commit. It may have to run again, when its transaction is lost.
trait Job: Send {
    /// Says whether it did what it was to do.
    fn run(&mut self, db: &Connection) -> bool;
    /// `trouble` is why the commit failed, if it did.
    fn answer(self: Box<Self>, trouble: Option<Trouble>);
}

impl Writer {
    pub(super) fn start(db: Connection) -> io::Result<Self> {
        let (orders, incoming) = mpsc::channel(QUEUE);
        let stats = Arc::default();
        let counted = Arc::clone(&stats);
        let thread = thread::Builder::new()
            .name("attache-writer".into())
            .spawn(move || serve(db, incoming, &counted))?;
        Ok(Self {
            orders: Some(orders),
            stats,
            thread: Some(thread),
        })
    }

    /// Returns when what `act` did is on disk. `act` changes nothing when it fails. A dropped future
    /// does not take a write back that is queued.
    pub(super) async fn write<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Write {
            act,
            outcome: None,
            answer,
        });
        self.order(Order::Write(job)).await?;
        answered
            .await
            .unwrap_or_else(|_| Err(Trouble::Closed.into()))
    }

    /// Returns when everything that was queued before is on disk. What comes later is refused.
    pub(super) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.order(Order::Close(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }

    pub(super) fn stats(&self) -> CommitStats {
        self.stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn order(&self, order: Order) -> Result<(), StoreError> {
        let orders = self.orders.as_ref().ok_or(Trouble::Closed)?;
        let sent = orders.send(order).await;
        sent.map_err(|_| Trouble::Closed.into())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Write<T, F> {
    act: F,
    outcome: Option<Result<T, Failure>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, Failure> + Send,
{
    fn run(&mut self, db: &Connection) -> bool {
        self.outcome.insert((self.act)(db)).is_ok()
    }

    fn answer(self: Box<Self>, trouble: Option<Trouble>) {
        let outcome = match (self.outcome, trouble) {
            (Some(Err(failure)), _) => Err(failure.into()),
            (_, Some(trouble)) => Err(trouble.into()),
            (Some(Ok(done)), None) => Ok(done),
            (None, None) => Err(Trouble::Closed.into()),
        };
        // Whoever asked may have gone.
        let _ = self.answer.send(outcome);
    }
}

fn serve(mut db: Connection, mut orders: mpsc::Receiver<Order>, stats: &Mutex<CommitStats>) {
    let mut closed = false;
    while let Some(order) = orders.blocking_recv() {
        let (batch, closing) = gather(order, &mut orders);
        if closed {
            for job in batch {
                job.answer(Some(Trouble::Closed));
            }
        } else {
            commit(&mut db, batch, stats);
        }
        if let Some(done) = closing {
            closed = true;
            let _ = done.send(());
        }
    }
    // The connection ends here, as the last one: that tidies the log file away.
}

/// Whatever waits, up to the bound or to an order to close.
fn gather(
    first: Order,
    orders: &mut mpsc::Receiver<Order>,
) -> (Vec<Box<dyn Job>>, Option<oneshot::Sender<()>>) {
    let mut batch = Vec::new();
    let mut next = Some(first);
    while let Some(order) = next {
        match order {
            Order::Write(job) => batch.push(job),
            Order::Close(done) => return (batch, Some(done)),
        }
        next = (batch.len() < BATCH)
            .then(|| orders.try_recv().ok())
            .flatten();
    }
    (batch, None)
}

fn commit(db: &mut Connection, mut batch: Vec<Box<dyn Job>>, stats: &Mutex<CommitStats>) {
    if batch.is_empty() {
        return;
    }
    let trouble = match attempt(db, &mut batch, stats) {
        Ok(Attempt::Committed) => None,
        Ok(Attempt::Lost) if batch.len() == 1 => None,
        Ok(Attempt::Lost) => {
            for job in batch {
                commit(db, vec![job], stats);
            }
            return;
        }
        Err(error) => Some(Arc::new(error)),
    };
    for job in batch {
        job.answer(trouble.clone().map(Trouble::Commit));
    }
}

enum Attempt {
    Committed,
    /// A write failed so badly that it took the transaction with it, as a full disk does.
    Lost,
}

fn attempt(
    db: &mut Connection,
    batch: &mut [Box<dyn Job>],
    stats: &Mutex<CommitStats>,
) -> rusqlite::Result<Attempt> {
    let began = Instant::now();
    let outcome = run(db, batch);
    let writes = u64::try_from(batch.len()).unwrap_or(u64::MAX);
    let succeeded = matches!(outcome, Ok(Attempt::Committed));
    let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
    stats.count(writes, began.elapsed(), succeeded);
    outcome
}

fn run(db: &mut Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<Attempt> {
    let mut transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        let alone = transaction.savepoint()?;
        if job.run(&alone) {
            alone.commit()?;
        } else {
            drop(alone);
        }
        if transaction.is_autocommit() {
            return Ok(Attempt::Lost);
        }
    }
    transaction.commit()?;
    Ok(Attempt::Committed)
}

#[cfg(test)]
mod tests;
