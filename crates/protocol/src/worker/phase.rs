//! Where the worker is. Each phase owns what only it needs.

use alloc::vec::Vec;

use super::event::WorkerCloseCause;
use crate::{
    io::{StreamId, Token, TokenRequestId},
    policy::Outcome,
};

#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Phase {
    /// Not asked to start yet.
    Idle,
    /// The token source has been asked.
    FetchingToken(TokenRequestId),
    /// The session is being created.
    Registering,
    /// Credentials have been asked for.
    Bridging,
    /// The credentials are being put to use.
    Opening(Step),
    /// Everything is up.
    Running,
    /// A start or a rebuild waits for its next try.
    Pausing,
    /// The session is being archived before the end.
    Archiving {
        /// The tokens that have not been tried.
        untried: Vec<Token>,
        /// One more has been asked for.
        awaited: Option<TokenRequestId>,
        cause: WorkerCloseCause,
    },
    /// Over.
    Closed,
}

/// The steps of opening a transport, in their order.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The worker's stored state is read.
    Read,
    /// Our state is reported.
    Report,
    /// The stream is opened.
    Stream,
}

/// What the worker is up to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Being connected.
    Work,
    /// Leaving nothing behind.
    Leave,
}

/// Whether the worker has ever been running.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    Never,
    Once,
}

/// The stream of what viewers send.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// There is none.
    Down,
    /// It has been asked for.
    Opening(StreamId),
    /// It is open.
    Open(StreamId),
    /// It will be asked for again.
    Pausing { cause: Outcome },
}

impl Stream {
    pub(super) fn id(self) -> Option<StreamId> {
        match self {
            Self::Opening(id) | Self::Open(id) => Some(id),
            Self::Down | Self::Pausing { .. } => None,
        }
    }
}
