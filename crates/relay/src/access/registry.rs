//! The tokens of a token file, as they are now.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::{Instant, SystemTime},
};

use tokio::sync::{Mutex, watch};

use super::{TokenEntry, TokenFile, TokenFileError};
use crate::store::TokenHash;

/// The tokens of a [`TokenFile`], read again when the file changes. Cloning is cheap, and clones
/// share what they know.
///
/// A file that can't be read any more, or has a broken line, changes nothing: the tokens that were
/// last read stay good, and the log says so at every change.
#[derive(Clone)]
pub struct TokenRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    file: TokenFile,
    known: RwLock<Known>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
    /// When the file was last looked at. Held while it is.
    looked: Mutex<Option<Instant>>,
}

struct Known {
    tokens: HashMap<TokenHash, Arc<TokenEntry>>,
    stamp: Option<Stamp>,
}

/// What a file can't keep when it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl TokenRegistry {
    /// Reads the file at `path`. Blocks on the file system.
    ///
    /// # Errors
    /// [`TokenFileError::Unusable`], also when it is not there, and [`TokenFileError::Line`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TokenFileError> {
        let file = TokenFile::at(path);
        // Taken first: a change during the reading is seen as one.
        let stamp = stamp(&file);
        let known = RwLock::new(Known {
            tokens: by_hash(file.read()?),
            stamp,
        });
        let (changes, _) = watch::channel(0);
        Ok(Self {
            inner: Arc::new(Inner {
                file,
                known,
                changes,
                looked: Mutex::default(),
            }),
        })
    }

    /// The token with this hash.
    pub(crate) fn find(&self, hash: &TokenHash) -> Option<Arc<TokenEntry>> {
        let known = self.inner.known.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.tokens.get(hash).cloned()
    }

    /// Wakes when the file has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Looks whether the file has changed, and reads it if so. Those who ask at the same time share
    /// a look.
    pub(crate) async fn look_again(&self) {
        let asked = Instant::now();
        let mut looked = self.inner.looked.lock().await;
        if looked.is_some_and(|looked| looked > asked) {
            return;
        }
        *looked = Some(Instant::now());
        let this = self.clone();
        // When the runtime ends, nobody asks any more.
        let _ = tokio::task::spawn_blocking(move || this.reload()).await;
    }

    fn reload(&self) {
        let stamp = stamp(&self.inner.file);
        let lock = &self.inner.known;
        let is_known = |known: &Known| known.stamp == stamp;
        if is_known(&lock.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let tokens = self.inner.file.read();
        let mut known = lock.write().unwrap_or_else(PoisonError::into_inner);
        known.stamp = stamp;
        match tokens {
            Ok(tokens) => known.tokens = by_hash(tokens),
            Err(error) => {
                tracing::error!(%error, "the token file can't be read; the tokens read before stay good");
                return;
            }
        }
        drop(known);
        self.inner.changes.send_modify(|changes| *changes += 1);
        tracing::info!("the token file has changed");
    }
}

impl core::fmt::Debug for TokenRegistry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("TokenRegistry")
            .field(&self.inner.file.path())
            .finish()
    }
}

fn by_hash(entries: Vec<TokenEntry>) -> HashMap<TokenHash, Arc<TokenEntry>> {
    let entries = entries.into_iter().map(Arc::new);
    entries.map(|entry| (entry.hash, entry)).collect()
}

fn stamp(file: &TokenFile) -> Option<Stamp> {
    let metadata = fs::metadata(file.path()).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok(),
        length: metadata.len(),
        inode: inode(&metadata),
    })
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    #[tokio::test]
    async fn a_change_is_seen_and_a_broken_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        assert!(TokenRegistry::open(&path).is_err());
        let file = TokenFile::at(&path);
        let ann = TokenHash::of(file.add("ann", Role::View, None).unwrap().expose());
        let registry = TokenRegistry::open(&path).unwrap();
        let changes = registry.changes();

        let bob = TokenHash::of(file.add("bob", Role::Own, None).unwrap().expose());
        assert!(registry.find(&bob).is_none());
        registry.look_again().await;
        assert_eq!(registry.find(&bob).unwrap().role, Role::Own);
        assert!(changes.has_changed().unwrap());

        fs::write(&path, "nonsense").unwrap();
        registry.look_again().await;
        assert!(registry.find(&ann).is_some());
        fs::write(&path, "").unwrap();
        registry.look_again().await;
        assert!(registry.find(&ann).is_none());
    }
}
