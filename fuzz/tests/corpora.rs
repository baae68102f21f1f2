//! Everything that the fuzzers have found worth keeping is checked again, without a fuzzer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use attache_fuzz::{TARGETS, Target};

/// A corpus is for everybody who clones this, and so it stays small.
const MOST_FILES: usize = 200;
const MOST_BYTES: usize = 300 * 1024;
/// How long a corpus may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn frame() {
    replay("frame");
}

#[test]
fn control() {
    replay("control");
}

#[test]
fn message() {
    replay("message");
}

#[test]
fn sse() {
    replay("sse");
}

#[test]
fn relay_request() {
    replay("relay_request");
}

#[test]
fn viewer() {
    replay("viewer");
}

#[test]
fn worker() {
    replay("worker");
}

#[test]
fn both() {
    replay("both");
}

#[test]
fn every_corpus_has_a_target_and_is_small() {
    let mut folders: Vec<String> = entries(&root())
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    folders.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(folders, names);
    for name in names {
        let files = entries(&root().join(name));
        let bytes: u64 = files
            .iter()
            .map(|file| file.metadata().unwrap().len())
            .sum();
        assert!(
            (1..MOST_FILES).contains(&files.len()),
            "{name}: {} files",
            files.len()
        );
        assert!(
            usize::try_from(bytes).unwrap() < MOST_BYTES,
            "{name}: {bytes} bytes"
        );
    }
}

/// Checks a corpus, one file after the other.
fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target: Target = *target.expect("a target");
    let files = entries(&root().join(name));
    assert!(!files.is_empty());
    let (started, watch) = mpsc::channel();
    let checker = std::thread::spawn(move || {
        for file in files {
            let data = std::fs::read(&file).unwrap();
            started.send(file).unwrap();
            (target.check)(&data);
        }
    });
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut last = PathBuf::new();
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        match watch.recv_timeout(left) {
            Ok(file) => last = file,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no end of {}", last.display()),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    assert!(checker.join().is_ok(), "{} does not hold", last.display());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// What is in a folder, in a fixed order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
