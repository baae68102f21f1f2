//! What can be opened as a store, and what can't.

use std::fs;

use attache_relay::{SqliteStore, Store, store::OpenError};
use rusqlite::Connection;

use crate::soon;

#[test]
fn a_second_relay_is_kept_out_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(folder.path()).unwrap();
    let refused = SqliteStore::open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains("another relay uses the store"));
    drop(first);
    SqliteStore::open(folder.path()).unwrap();
}

#[test]
fn a_newer_schema_is_refused_with_both_versions_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let path = folder.path().join("attache.db");
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 9).unwrap();
    drop(db);
    let refused = SqliteStore::open(folder.path()).unwrap_err();
    let told = format!("{refused}");
    assert!(
        matches!(
            refused,
            OpenError::Newer {
                found: 9,
                known: 1,
                ..
            }
        ),
        "{told}"
    );
    assert!(told.contains("schema version 9") && told.contains("up to 1"));
    let db = Connection::open(&path).unwrap();
    let version: i32 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 9);
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let text = b"Dear diary, this is no database. ".repeat(99);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attache.db");
    fs::write(&path, &text).unwrap();
    let refused = SqliteStore::open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::NotAStore { .. }), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), text);

    fs::remove_file(&path).unwrap();
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE diary (page TEXT)").unwrap();
    drop(db);
    let refused = SqliteStore::open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::NotAStore { .. }), "{refused}");
}

#[test]
fn a_file_where_the_folder_should_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    fs::write(&path, "").unwrap();
    let refused = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::Folder { .. }), "{refused}");
    assert!(refused.to_string().contains("data"), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_new_store_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("a").join("b");
    let _store = SqliteStore::open(&folder).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_store_that_is_not_open_is_one_file_and_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let files = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(names().len(), 4);
    drop(store);
    assert_eq!(names(), ["attache.db", "attache.lock"]);

    let store = SqliteStore::open(folder.path()).unwrap();
    soon(store.sessions(None, 1)).await.unwrap();
    soon(store.close()).await;
    drop(store);
    assert_eq!(names(), ["attache.db", "attache.lock"]);
}

#[tokio::test]
async fn a_copy_that_is_made_while_the_store_is_open_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store")).unwrap();
    let key = |byte| attache_relay::store::SigningKey::new([byte; 32]);
    soon(store.signing_key(key(7))).await.unwrap();

    let backup = folder.path().join("backup");
    fs::create_dir(&backup).unwrap();
    let db = Connection::open(folder.path().join("store/attache.db")).unwrap();
    let copy = backup.join("attache.db");
    db.execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();

    let copy = SqliteStore::open(backup).unwrap();
    let kept = soon(copy.signing_key(key(8))).await.unwrap();
    assert!(kept.expose() == &[7; 32], "the copy lacks the key");
    soon(store.signing_key(key(9))).await.unwrap();
}

#[tokio::test]
async fn after_close_writes_are_refused_and_reads_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let key = || attache_relay::store::SigningKey::new([1; 32]);
    soon(store.signing_key(key())).await.unwrap();
    soon(store.close()).await;
    soon(store.close()).await;
    let refused = soon(store.signing_key(key())).await.unwrap_err();
    assert_eq!(refused.to_string(), "the store is closed");
    assert!(
        soon(store.sessions(None, 1))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
