//! Why a command was refused. A refused command changes nothing.

use core::time::Duration;

use super::event::Content;

/// [`connect`](super::Viewer::connect) was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A connection is already up or being made.
    #[error("already connecting or connected")]
    AlreadyConnected,
    /// The viewer is closing or closed; make a new one.
    #[error("the session is closed")]
    Closed,
}

/// [`send`](super::Viewer::send) was refused; the content comes back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    /// Why.
    pub reason: SendRefusal,
    /// What was to be sent.
    pub content: Content,
}

/// Why a message was not even queued.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendRefusal {
    /// Too many messages, or too many bytes, are waiting.
    #[error("too many messages are waiting; try again when some have been accepted")]
    Full,
    /// This single message is larger than the whole outbox may hold.
    #[error("the message is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A watching viewer does not send.
    #[error("watching only")]
    ViewerOnly,
    /// The viewer is closing or closed.
    #[error("the session is closed")]
    Closed,
}

impl SendRefusal {
    /// Whether the same message may be taken later.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Full => true,
            Self::TooLarge { .. } | Self::ViewerOnly | Self::Closed => false,
        }
    }
}

/// [`decide`](super::Viewer::decide) was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// No open prompt has this id: never asked, withdrawn, or settled.
    #[error("no such prompt is open")]
    UnknownPrompt,
    /// It already has an answer.
    #[error("already answered")]
    AlreadyAnswered,
    /// Whether it is still asked is not known; approving it needs
    /// [`Standing::EvenIfUnverified`](super::Standing::EvenIfUnverified).
    #[error("the prompt may no longer be asked; approve it explicitly or wait")]
    Unverified,
    /// The changed input is not a JSON object, or the permissions are not a JSON array.
    #[error("`updatedInput` is an object and `updatedPermissions` an array")]
    InvalidUpdate,
    /// A watching viewer does not answer.
    #[error("watching only")]
    ViewerOnly,
    /// The viewer is closing or closed.
    #[error("the session is closed")]
    Closed,
}

/// [`request`](super::Viewer::request) or [`interrupt`](super::Viewer::interrupt) was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Too many requests are open.
    #[error("too many requests are open; try again when some are over")]
    Full,
    /// A watching viewer does not ask the agent for anything.
    #[error("watching only")]
    ViewerOnly,
    /// The viewer is closing or closed.
    #[error("the session is closed")]
    Closed,
}

impl RequestError {
    /// Whether the same request may be taken later.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Full => true,
            Self::ViewerOnly | Self::Closed => false,
        }
    }
}

/// [`reconnect`](super::Viewer::reconnect) was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconnectError {
    /// The last forced reconnect is too fresh.
    #[error("reconnected moments ago; possible again in {retry_after:?}")]
    TooSoon {
        /// When it is possible again.
        retry_after: Duration,
    },
    /// Never connected.
    #[error("not connected yet")]
    NotConnected,
    /// The viewer is closing or closed.
    #[error("the session is closed")]
    Closed,
}

impl ReconnectError {
    /// Whether the same command may be taken later.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::TooSoon { .. } | Self::NotConnected => true,
            Self::Closed => false,
        }
    }
}
