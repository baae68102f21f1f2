//! Writes that wait for each other.

use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc as blocking,
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::join_all};

use super::*;

/// A writer over a table of numbers, which are all of `parent`.
fn writer() -> Writer {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE parent (number INTEGER PRIMARY KEY);
         CREATE TABLE child (number INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE text (text TEXT)",
    )
    .unwrap();
    Writer::start(db).unwrap()
}

fn insert(number: i64) -> impl FnMut(&Connection) -> Result<i64, Failure> + Send + 'static {
    move |db| {
        db.execute("INSERT INTO parent VALUES (?1)", [number])?;
        Ok(number)
    }
}

async fn count(writer: &Writer, table: &'static str) -> i64 {
    let count = move |db: &Connection| {
        let query = format!("SELECT count(*) FROM {table}");
        Ok(db.query_row(&query, [], |row| row.get(0))?)
    };
    soon(writer.write(count)).await.unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, future).await.unwrap()
}

/// Queues all of `queued` while the writer is held up, then says what became of them.
async fn together<T>(
    writer: &Writer,
    queued: Vec<impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static>,
) -> Vec<Result<T, StoreError>>
where
    T: Send + 'static,
{
    let (go_on, wait) = blocking::channel::<()>();
    let (there, arrived) = oneshot::channel();
    let mut there = Some(there);
    let hold = writer.write(move |_| {
        if let Some(there) = there.take() {
            there.send(()).unwrap();
        }
        wait.recv().unwrap();
        Ok(())
    });
    let mut hold = Box::pin(hold);
    assert!(hold.as_mut().now_or_never().is_none());
    soon(arrived).await.unwrap();
    let all = join_all(queued.into_iter().map(|act| writer.write(act)));
    let mut all = Box::pin(tokio::task::unconstrained(all));
    assert!(all.as_mut().now_or_never().is_none());
    go_on.send(()).unwrap();
    soon(hold).await.unwrap();
    soon(all).await
}

#[tokio::test]
async fn what_waits_together_is_committed_together_up_to_a_bound() {
    let writer = writer();
    let many = i64::try_from(BATCH).unwrap() + 10;
    let answers = together(&writer, (0..many).map(insert).collect()).await;
    for (number, answer) in (0..many).zip(answers) {
        assert_eq!(answer.unwrap(), number);
    }
    let stats = writer.stats();
    // The one that held up the others, a full batch, the rest.
    assert_eq!((stats.commits, stats.failed), (3, 0));
    assert_eq!(stats.largest, u64::try_from(BATCH).unwrap());
    assert_eq!(stats.writes, u64::try_from(BATCH).unwrap() + 11);
    assert_eq!(count(&writer, "parent").await, many);
}

#[tokio::test]
async fn a_failed_write_is_undone_alone() {
    let writer = writer();
    let times = |times: usize, number| {
        let mut insert = insert(number);
        move |db: &Connection| (0..times).try_for_each(|_| insert(db).map(drop))
    };
    let queued = vec![times(1, 1), times(2, 2), times(1, 3)];
    let answers = together(&writer, queued).await;
    let done: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, false, true]);
    assert_eq!(count(&writer, "parent").await, 2);
    soon(writer.write(insert(2))).await.unwrap();
}

#[tokio::test]
async fn a_write_that_no_longer_fits_fails_alone() {
    let writer = writer();
    let limit = |pages: i64| {
        move |db: &Connection| {
            db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            Ok(())
        }
    };
    soon(writer.write(limit(20))).await.unwrap();
    let add = |size: usize| {
        let text = "x".repeat(size);
        move |db: &Connection| Ok(db.execute("INSERT INTO text VALUES (?1)", [&text])?)
    };
    let answers = together(&writer, vec![add(9), add(1 << 20), add(9)]).await;
    let done: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, false, true]);
    let told = answers[1].as_ref().unwrap_err().to_string();
    assert!(told.contains("full"), "{told}");
    assert!(matches!(answers[1], Err(StoreError::Backend(_))));
    assert_eq!(count(&writer, "text").await, 2);

    soon(writer.write(limit(1 << 20))).await.unwrap();
    soon(writer.write(add(1 << 20))).await.unwrap();
    assert_eq!(count(&writer, "text").await, 3);
}

#[tokio::test]
async fn when_the_commit_fails_everybody_is_told_and_nothing_is_stored() {
    let writer = writer();
    let orphan = |number: i64| {
        let mut insert = insert(number);
        move |db: &Connection| {
            // The reference is looked at when the transaction is committed.
            db.execute("INSERT INTO child VALUES (?1)", [number * 1_000])?;
            insert(db)
        }
    };
    let answers = together(&writer, vec![orphan(1), orphan(2)]).await;
    for answer in &answers {
        assert!(matches!(answer, Err(StoreError::Backend(_))), "{answer:?}");
    }
    assert_eq!(writer.stats().failed, 1);
    assert_eq!(count(&writer, "parent").await, 0);
    assert_eq!(count(&writer, "child").await, 0);
    soon(writer.write(insert(1))).await.unwrap();
}

#[tokio::test]
async fn dropping_the_writer_finishes_what_is_queued() {
    let writer = writer();
    let done = Arc::new(AtomicU64::new(0));
    for _ in 0..100 {
        let done = Arc::clone(&done);
        let write = writer.write(move |_| Ok(done.fetch_add(1, Ordering::SeqCst)));
        // Nobody waits for the answer.
        drop(write.now_or_never());
    }
    drop(writer);
    assert_eq!(done.load(Ordering::SeqCst), 100);
}

#[tokio::test]
async fn what_comes_after_close_is_refused() {
    let writer = writer();
    soon(writer.write(insert(1))).await.unwrap();
    soon(writer.close()).await;
    let refused = soon(writer.write(insert(2))).await.unwrap_err();
    assert_eq!(refused.to_string(), "the store is closed");
}
