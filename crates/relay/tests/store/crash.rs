//! A process that is killed, or that can't write, in the middle of its work.
//!
//! The process is this test program once more, told by its environment to be the writer.

#![cfg(unix)]

use std::{
    collections::HashMap,
    env,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::SystemTime,
};

use attache_protocol::SessionId;
use attache_relay::{
    SessionStatus, SqliteStore, Store, StoreError,
    store::{After, NewFrame, Origin, SessionDetails, SessionRecord, StoredFrame, WorkerRecord},
};
use rusqlite::Connection;

use crate::{quick_folder, soon};

const SESSIONS: usize = 3;
const FOLDER: &str = "ATTACHE_TEST_STORE";
const ROUND: &str = "ATTACHE_TEST_ROUND";
/// What the writer's lines begin with; the others are the test program's.
const STORED: &str = "stored ";
const FAILED: &str = "failed ";

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut acknowledged = Vec::new();
    for round in 0..30 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let mut writer = writer(
            Command::new(env::current_exe().unwrap()),
            folder.path(),
            round,
        );
        let mut lines = BufReader::new(writer.stdout.take().unwrap());
        for _ in 0..=seed % 40 {
            acknowledged.extend(next_stored(&mut lines));
        }
        // Somewhere in the next commits.
        for _ in 0..(seed >> 32) % 300_000 {
            std::hint::spin_loop();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
        acknowledged.extend(whole.lines().filter_map(stored));
        everything_is_there_once(folder.path(), &acknowledged).await;
    }
    assert!(acknowledged.len() > 500, "{}", acknowledged.len());
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_disk_that_takes_no_more() {
    // So many half kilobytes may a file have. First the log file meets the limit, last the main one,
    // when the log file is copied to it.
    for limit in [300, 517, 1_024, 9_000] {
        let folder = quick_folder();
        let mut limited = Command::new("sh");
        limited
            .arg("-c")
            .arg(format!(
                "ulimit -f {limit}; trap '' XFSZ; exec \"$0\" \"$@\""
            ))
            .arg(env::current_exe().unwrap());
        let mut writer = writer(limited, folder.path(), 0);
        let mut output = String::new();
        let mut lines = BufReader::new(writer.stdout.take().unwrap());
        lines.read_to_string(&mut output).unwrap();
        assert!(writer.wait().unwrap().success(), "{output}");
        let acknowledged: Vec<_> = output.lines().filter_map(stored).collect();
        assert!(!acknowledged.is_empty(), "{output}");
        let why: Vec<_> = output
            .lines()
            .filter_map(|line| line.strip_prefix(FAILED))
            .collect();
        assert_eq!(why.len(), SESSIONS, "{output}");
        for why in why {
            assert!(why.contains("written"), "{why}");
        }
        everything_is_there_once(folder.path(), &acknowledged).await;

        let store = SqliteStore::open(folder.path()).unwrap();
        let id = session(0);
        let again = store.append(&id, batch(0, 99_999, 0), SystemTime::UNIX_EPOCH);
        soon(again).await.unwrap();
    }
}

/// Not a test of its own but when it is told a folder: then it appends to the store there until it
/// is killed or can't go on. Without one it does so in a folder of its own, for a while.
#[tokio::test]
async fn a_writer_appends_to_all_its_sessions() {
    let Some(folder) = env::var_os(FOLDER) else {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        create_sessions(&store).await;
        write(&store, 0, 20).await;
        drop(store);
        everything_is_there_once(folder.path(), &[]).await;
        return;
    };
    let round = env::var(ROUND).unwrap().parse().unwrap();
    let store = SqliteStore::open(Path::new(&folder)).unwrap();
    create_sessions(&store).await;
    write(&store, round, usize::MAX).await;
    // Whatever can't be written, what is there can be read.
    for number in 0..SESSIONS {
        let id = session(number);
        let log = store.frames(&id, After::Sequence(0), None, 9);
        assert!(!soon(log).await.unwrap().frames.is_empty());
    }
}

async fn create_sessions(store: &SqliteStore) {
    for number in 0..SESSIONS {
        let record = SessionRecord {
            id: session(number),
            title: String::new(),
            status: SessionStatus::Idle,
            details: SessionDetails::default(),
            worker: WorkerRecord::default(),
            created_at: SystemTime::UNIX_EPOCH,
            updated_at: SystemTime::UNIX_EPOCH,
        };
        match soon(store.create(&record)).await {
            Ok(()) | Err(StoreError::SessionExists) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Appends to all sessions at once, and says what is stored, until the store fails.
async fn write(store: &SqliteStore, round: usize, batches: usize) {
    let writing = (0..SESSIONS).map(async |number| {
        let id = session(number);
        for place in 0..batches {
            let frames = batch(round, number, place);
            let uuids: Vec<_> = frames.iter().map(|frame| frame.uuid.clone()).collect();
            let stored = store.append(&id, frames, SystemTime::now());
            match soon(stored).await {
                Ok(_) => uuids
                    .iter()
                    .for_each(|uuid| println!("{STORED}{number} {uuid}")),
                Err(error) => {
                    println!("{FAILED}{error}");
                    return;
                }
            }
        }
    });
    futures_util::future::join_all(writing).await;
}

/// One to three frames, some of them long, so that the log file is soon copied to the main one.
fn batch(round: usize, session: usize, place: usize) -> Vec<NewFrame> {
    let frames = (0..=place % 3).map(|part| {
        let uuid = format!("{round}-{session}-{place}-{part}");
        NewFrame {
            text: text(&uuid).into(),
            uuid: uuid.into(),
            origin: Origin::Agent,
        }
    });
    frames.collect()
}

fn text(uuid: &str) -> String {
    let times = if uuid.ends_with("-1") { 2_000 } else { 2 };
    uuid.repeat(times)
}

fn session(number: usize) -> SessionId {
    SessionId::parse(&format!("session_{number}")).unwrap()
}

fn writer(mut program: Command, folder: &Path, round: usize) -> Child {
    program
        .args(["--exact", "crash::a_writer_appends_to_all_its_sessions"])
        .args(["--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A session's number and the id of a frame in it.
type Stored = (usize, String);

fn stored(line: &str) -> Option<Stored> {
    let (session, uuid) = line.strip_prefix(STORED)?.split_once(' ')?;
    Some((session.parse().unwrap(), uuid.to_owned()))
}

fn next_stored(lines: &mut BufReader<ChildStdout>) -> Option<Stored> {
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the writer ended");
        if let Some(stored) = stored(line.trim_end()) {
            return Some(stored);
        }
    }
}

async fn everything_is_there_once(folder: &Path, acknowledged: &[Stored]) {
    let db = Connection::open(folder.join("attache.db")).unwrap();
    let intact: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(intact, "ok");
    drop(db);
    let store = SqliteStore::open(folder).unwrap();
    let mut counts: HashMap<Stored, usize> = HashMap::new();
    for number in 0..SESSIONS {
        let id = session(number);
        let log = store.frames(&id, After::Sequence(0), None, usize::MAX);
        let log: Vec<StoredFrame> = soon(log).await.unwrap().frames;
        for (frame, sequence) in log.iter().zip(1..) {
            assert_eq!(frame.sequence, sequence);
            assert!(frame.text == *text(&frame.uuid), "{frame:?} has changed");
            *counts.entry((number, frame.uuid.to_string())).or_default() += 1;
        }
        // A batch is there whole or not at all.
        for frame in &log {
            let (batch, _) = frame.uuid.rsplit_once('-').unwrap();
            let (_, place) = batch.rsplit_once('-').unwrap();
            for part in 0..=place.parse::<usize>().unwrap() % 3 {
                let neighbour = (number, format!("{batch}-{part}"));
                assert!(counts.contains_key(&neighbour), "half of {batch}");
            }
        }
    }
    assert!(counts.values().all(|count| *count == 1));
    for stored in acknowledged {
        assert!(counts.contains_key(stored), "{stored:?} is lost");
    }
}
