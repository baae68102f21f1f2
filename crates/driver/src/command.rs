//! Why a command to a session did nothing.

/// Why a command did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError<E> {
    /// The session refused it.
    #[error(transparent)]
    Refused(#[from] E),
    /// There is no session any more: its driver is done, or was dropped.
    #[error("the session has ended")]
    Ended,
}

/// The driver is gone, and nobody is left to answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's driver is done, or was dropped before the session was closed")]
pub struct Ended;
