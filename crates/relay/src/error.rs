//! What can go wrong between an agent or an application and the relay.

use attache_protocol::SessionId;

use crate::{Role, line::RefusedFrame, store::StoreError};

/// Why the relay did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// There is no such session.
    #[error("there is no session {0}; list the sessions to find the one you mean")]
    SessionNotFound(SessionId),
    /// The session is archived: it can be read, nothing can be added.
    #[error("the session is archived; start a new one")]
    Archived,
    /// Another agent attached to the session; this attachment is over for good.
    #[error("another agent has attached to this session; this one may no longer write")]
    Superseded,
    /// The worker was silent for too long and lost the session; nothing was stored.
    #[error("the worker was not heard of for too long and has lost the session; register it again")]
    LeaseLost,
    /// The caller's role is too low for a frame of the batch; nothing was stored.
    #[error("this takes the role {needed}, and yours is {role}; ask the session's owner for it")]
    Forbidden {
        /// What the caller may do.
        role: Role,
        /// What it takes.
        needed: Role,
    },
    /// The frame can't go through.
    #[error("{0}")]
    Refused(#[from] RefusedFrame),
    /// The worker says more of itself than is kept; nothing was changed.
    #[error("more than {0} bytes of state; keep less of it")]
    WorkerStateTooLarge(usize),
    /// The agent asks too many things at once.
    #[error("{0} requests wait for an answer already; wait for one, or cancel one")]
    TooManyOpenRequests(usize),
    /// The agent is far behind; nothing was stored.
    #[error("{0} frames wait for the agent already; try again when it has caught up")]
    AgentBehind(usize),
    /// The relay has stopped; nothing was stored, or whether it was is unknown.
    #[error("the relay has stopped; try again when it is back")]
    Stopped,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The system gave no randomness for a new id.
    #[error("no randomness for a new id; try again")]
    NoRandomness,
}

impl RelayError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::SessionNotFound(_)
            | Self::Archived
            | Self::Superseded
            | Self::LeaseLost
            | Self::Forbidden { .. }
            | Self::WorkerStateTooLarge(_) => false,
            Self::Refused(refused) => *refused == RefusedFrame::NoRandomness,
            Self::TooManyOpenRequests(_)
            | Self::AgentBehind(_)
            | Self::Stopped
            | Self::Store(_)
            | Self::NoRandomness => true,
        }
    }
}
