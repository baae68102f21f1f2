//! What goes wrong inside, before it is told to a caller.

use std::sync::Arc;

use crate::store::StoreError;

/// Why a read or a write was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was asked can't be.
    Refused(StoreError),
    /// The database failed.
    Database(rusqlite::Error),
}

/// What the store's own machinery can't do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the store's file can't be read or written: {0}; check the disk and its permissions")]
    Database(#[source] rusqlite::Error),
    #[error("the store's file can't be written: {0}; check the disk and its permissions")]
    Commit(#[source] Arc<rusqlite::Error>),
    #[error("the store is closed")]
    Closed,
    #[error("the store's file holds {0}, which this version does not know; use the newer one")]
    Unreadable(&'static str),
}

impl Failure {
    pub(super) fn unreadable(what: &'static str) -> Self {
        Self::Refused(Trouble::Unreadable(what).into())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::Database(error) => Trouble::Database(error).into(),
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self::Backend(Box::new(trouble))
    }
}
