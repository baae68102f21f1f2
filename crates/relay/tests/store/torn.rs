//! What is left when the power fails in the middle of a write.
//!
//! A store writes to the end of its log file, or over an older part of it, and at times copies pages
//! from there into the main file. Each test takes the files as they were before and after such a
//! write, makes of them what a disk might hold that got to a certain byte, and opens that.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use attache_protocol::SessionId;
use attache_relay::{
    SessionStatus, SqliteStore, Store,
    store::{
        After, LogPage, NewFrame, Origin, Retention, SessionChange, SessionDetails, SessionRecord,
        WorkerRecord,
    },
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{quick_folder, soon};

/// Everything somebody can see of the one session.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    record: SessionRecord,
    log: LogPage,
    cursor: u64,
}

/// The two files that hold what was written.
#[derive(Clone)]
struct Files {
    main: Vec<u8>,
    wal: Vec<u8>,
}

struct Story {
    folder: TempDir,
    store: SqliteStore,
    /// What could be seen, and how long the log file was, after each commit.
    commits: Vec<(Option<Seen>, usize)>,
}

impl Story {
    /// A store with small pages, so that a commit is a few kilobytes.
    async fn new() -> Self {
        let folder = quick_folder();
        let db = Connection::open(folder.path().join("attache.db")).unwrap();
        db.execute_batch("PRAGMA page_size = 512; VACUUM").unwrap();
        drop(db);
        let mut story = Self {
            store: SqliteStore::open(folder.path()).unwrap(),
            folder,
            commits: Vec::new(),
        };
        soon(story.store.create(&record())).await.unwrap();
        story.acknowledged().await;
        story
    }

    /// One acknowledged write after the other, of each kind.
    async fn write(&mut self) {
        let id = record().id;
        for _ in 0..2 {
            let number = self.commits.len();
            let frames = [0, 1].map(|half| frame(number * 2 + half)).to_vec();
            let at = moment(number);
            soon(self.store.append(&id, frames, at)).await.unwrap();
            self.acknowledged().await;
        }
        let mut keep = Retention::default();
        (keep.frames, keep.remembered) = (3, 4);
        let pruned = self.store.prune(&id, &keep, u64::MAX, moment(0));
        soon(pruned).await.unwrap();
        self.acknowledged().await;
        let running = SessionChange::Status(SessionStatus::Running);
        let at = moment(self.commits.len());
        soon(self.store.update(&id, running, at)).await.unwrap();
        self.acknowledged().await;
        let cursor = soon(self.store.agent_cursor(&id)).await.unwrap();
        let moved = self.store.advance_agent_cursor(&id, cursor, cursor + 1);
        assert!(soon(moved).await.unwrap());
        self.acknowledged().await;
        soon(self.store.next_epoch(&id, Some("one"))).await.unwrap();
        self.acknowledged().await;
    }

    async fn acknowledged(&mut self) {
        let seen = look(&self.store).await;
        self.commits.push((seen, self.files().wal.len()));
    }

    fn files(&self) -> Files {
        Files {
            main: fs::read(self.folder.path().join("attache.db")).unwrap(),
            wal: fs::read(self.folder.path().join("attache.db-wal")).unwrap(),
        }
    }

    /// Copies what the log file holds into the main one, as the store does now and then.
    fn checkpoint(&self) {
        let db = Connection::open(self.folder.path().join("attache.db")).unwrap();
        let busy: i64 = db
            .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))
            .unwrap();
        assert_eq!(busy, 0);
    }

    /// What can be seen when the log file's first `length` bytes are there.
    fn at(&self, length: usize, before: Option<&Seen>) -> Option<Seen> {
        let complete = self.commits.iter().rfind(|(_, end)| *end <= length);
        complete.map_or(before, |(seen, _)| seen.as_ref()).cloned()
    }
}

#[tokio::test]
async fn a_log_file_cut_anywhere_holds_exactly_what_was_acknowledged_by_then() {
    let mut story = Story::new().await;
    story.write().await;
    let Files { main, wal } = story.files();
    assert_eq!(wal.len(), story.commits.last().unwrap().1);
    let [.., (_, early), _, _] = story.commits.as_slice() else {
        panic!("there were more commits")
    };
    let cuts = (0..*early).step_by(41).chain(*early..=wal.len());
    let cut = |length: usize| {
        let wal = wal[..length].to_vec();
        let main = main.clone();
        (Files { main, wal }, story.at(length, None))
    };
    everything_opens(cuts.map(cut)).await;
}

#[tokio::test]
async fn a_log_file_whose_end_is_garbage_holds_what_came_before() {
    let mut story = Story::new().await;
    story.write().await;
    let Files { main, wal } = story.files();
    let last_but_one = story.commits[story.commits.len() - 2].1;
    // A disk writes sectors in any order: each may be the one that is missing.
    let garbled = (last_but_one..wal.len()).step_by(64).flat_map(|start| {
        let (main, wal) = (main.clone(), wal.clone());
        let before = story.at(last_but_one, None);
        [0, 0xa5].map(|garbage| {
            let mut wal = wal.clone();
            let end = wal.len().min(start + 512);
            wal[start..end].fill(garbage);
            let main = main.clone();
            (Files { main, wal }, before.clone())
        })
    });
    everything_opens(garbled).await;

    let after = (0..600).step_by(37).map(|length| {
        let mut wal = wal.clone();
        wal.extend((0..length).map(|byte: usize| byte.to_le_bytes()[0] ^ 0x5a));
        let main = main.clone();
        (Files { main, wal }, story.at(usize::MAX, None))
    });
    everything_opens(after).await;
}

#[tokio::test]
async fn a_log_file_that_is_written_over_from_its_beginning_may_stop_anywhere() {
    let mut story = Story::new().await;
    story.write().await;
    story.checkpoint();
    let before = look(&story.store).await;
    let old = story.files();
    story.commits.clear();
    let id = record().id;
    for number in 100..102 {
        let frames = vec![frame(number)];
        soon(story.store.append(&id, frames, moment(number)))
            .await
            .unwrap();
        let new = story.files().wal;
        let written = new.iter().zip(&old.wal).rposition(|(new, old)| new != old);
        let seen = look(&story.store).await;
        story.commits.push((seen, written.unwrap() + 1));
    }
    let new = story.files();
    assert_eq!(new.wal.len(), old.wal.len(), "nothing went to the end");
    assert_eq!(new.main, old.main, "nothing went to the main file");
    let (last_but_one, end) = (story.commits[0].1, story.commits[1].1);
    let stops = (0..40)
        .chain((40..last_but_one).step_by(41))
        .chain(last_but_one..=end);
    let overwritten = stops.map(|length| {
        let mut wal = new.wal[..length].to_vec();
        wal.extend(&old.wal[length..]);
        let main = old.main.clone();
        (Files { main, wal }, story.at(length, before.as_ref()))
    });
    everything_opens(overwritten).await;
}

#[tokio::test]
async fn a_main_file_that_is_brought_up_to_date_may_stop_anywhere() {
    let mut story = Story::new().await;
    story.write().await;
    let seen = look(&story.store).await;
    let old = story.files();
    story.checkpoint();
    let new = story.files();
    assert_eq!(new.wal, old.wal);
    assert_ne!(new.main, old.main);
    let torn = (0..=new.main.len()).step_by(23).map(|length| {
        let mut main = new.main[..length].to_vec();
        main.extend(old.main.get(length..).unwrap_or_default());
        let wal = old.wal.clone();
        (Files { main, wal }, seen.clone())
    });
    everything_opens(torn).await;
}

/// Opens each pair of files as a store and compares what is seen in it.
async fn everything_opens(cases: impl Iterator<Item = (Files, Option<Seen>)>) {
    let folder = quick_folder();
    let folder = folder.path().join("torn");
    for (number, (files, expected)) in cases.enumerate() {
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("attache.db"), files.main).unwrap();
        fs::write(folder.join("attache.db-wal"), files.wal).unwrap();
        let store = SqliteStore::open(&folder).unwrap();
        let seen = look(&store).await;
        assert!(seen == expected, "{number}: {seen:#?} is not {expected:#?}");
        if let Some(Seen { log, .. }) = seen {
            let sequences = log.frames.iter().map(|frame| frame.sequence);
            assert!(sequences.eq((log.first_kept..).take(log.frames.len())));
        }
        assert_eq!(integrity(&folder), "ok", "case {number}");
        drop(store);
        fs::remove_dir_all(&folder).unwrap();
    }
}

fn integrity(folder: &Path) -> String {
    let db = Connection::open(folder.join("attache.db")).unwrap();
    db.query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap()
}

/// `None` when there is no session yet.
async fn look(store: &SqliteStore) -> Option<Seen> {
    let id = record().id;
    let record = soon(store.session(&id)).await.unwrap()?;
    let log = store.frames(&id, After::Sequence(0), None, usize::MAX);
    Some(Seen {
        record,
        log: soon(log).await.unwrap(),
        cursor: soon(store.agent_cursor(&id)).await.unwrap(),
    })
}

fn record() -> SessionRecord {
    SessionRecord {
        id: SessionId::parse("session_torn").unwrap(),
        title: "a session".into(),
        status: SessionStatus::Idle,
        details: SessionDetails::default(),
        worker: WorkerRecord::default(),
        created_at: moment(0),
        updated_at: moment(0),
    }
}

fn frame(number: usize) -> NewFrame {
    NewFrame {
        uuid: format!("frame-{number}").into(),
        text: format!("{{\"number\":{number}}}").into(),
        origin: if number.is_multiple_of(2) {
            Origin::Agent
        } else {
            Origin::Viewer
        },
    }
}

fn moment(seconds: usize) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64)
}
