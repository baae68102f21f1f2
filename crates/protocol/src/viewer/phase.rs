//! Where the connection is. Each phase owns what only it needs.

use crate::{
    attention::Attention,
    io::{HttpRequestId, SocketId, StreamId, Token, TokenRequestId},
    policy::CloseCause,
    time::Timestamp,
};

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Not asked to connect yet.
    Idle,
    /// The token source has been asked.
    FetchingToken { id: TokenRequestId },
    /// Where the log ends has been asked: the stream is to begin there.
    Locating { call: HttpRequestId, token: Token },
    /// The socket or the stream has been asked for.
    Opening { line: Line, token: Token },
    /// It is open.
    Up(Link),
    /// The retry timer runs.
    Waiting { since: Timestamp },
    /// The peer ended the session while a catch-up was on: what it has stored is still loaded.
    Ending { cause: CloseCause, token: Token },
    /// Told to close; the peer may agree, a post may be answered.
    Closing { line: Option<Line> },
    /// Over.
    Closed,
}

/// What frames come over.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Socket(SocketId),
    Stream(StreamId),
}

/// An open line.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) line: Line,
    /// The token the line was opened with: the one that is meant when the server ends it for that.
    pub(super) opened_with: Token,
    /// The token HTTP calls are made with; another one once the first was refused for a call.
    pub(super) token: Token,
    pub(super) refresh: Refresh,
    pub(super) attention: Attention,
    pub(super) subscription: Subscription,
}

/// The question for another token, once a call was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    /// None is needed, or the question has had its answer. So many questions in a row brought nothing.
    Idle { failures: u32 },
    /// The token source has been asked.
    Asked { id: TokenRequestId, failures: u32 },
    /// It gave nothing; the token timer runs until it is asked again.
    Pausing { failures: u32 },
}

impl Refresh {
    /// The question that is open.
    pub(super) fn asked(self) -> Option<TokenRequestId> {
        match self {
            Self::Asked { id, .. } => Some(id),
            Self::Idle { .. } | Self::Pausing { .. } => None,
        }
    }

    pub(super) fn failures(self) -> u32 {
        match self {
            Self::Idle { failures } | Self::Asked { failures, .. } | Self::Pausing { failures } => {
                failures
            }
        }
    }
}

/// Whether the server is known to send us everything from now on. The upgrade alone does not say so: a
/// server may subscribe us a moment later, and what it stores in between is in no page asked for before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    /// It will be when the pong to this ping returns.
    AwaitsPong(u64),
    /// It is, as far as one can know.
    Made,
}
