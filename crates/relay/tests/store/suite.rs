//! Both stores do what every store has to do.

use attache_relay::{
    MemoryStore, SqliteStore, Store,
    store::{CommitStats, suite},
};

use crate::soon;

#[tokio::test]
async fn memory_does_what_a_store_does() {
    soon(suite::check(async || MemoryStore::new())).await;
}

#[tokio::test]
async fn sqlite_does_what_a_store_does() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let fresh = async || {
        count.set(count.get() + 1);
        SqliteStore::open(folder.path().join(count.get().to_string())).unwrap()
    };
    soon(suite::check(fresh)).await;
}

#[tokio::test]
async fn sqlite_keeps_what_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || SqliteStore::open(folder.path().join("store")).unwrap();
    soon(suite::check_reopened(open)).await;
}

#[tokio::test]
async fn sqlite_counts_its_commits_and_memory_does_not() {
    assert_eq!(MemoryStore::new().commits(), None);
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(store.commits(), Some(CommitStats::default()));
    let key = attache_relay::store::SigningKey::new([1; 32]);
    soon(store.signing_key(key)).await.unwrap();
    let stats = store.commits().unwrap();
    assert_eq!((stats.commits, stats.failed, stats.writes), (1, 0, 1));
    assert!(!stats.took.is_zero());
}
