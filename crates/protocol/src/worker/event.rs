//! What a worker tells the application, and the words they share.

use core::fmt;

use bytestring::ByteString;

use crate::{
    frame::{Frame, FrameError, MalformedFrame, RawJson},
    ids::SessionId,
    policy::Outcome,
};

/// Something the application should know. New kinds may come.
///
/// `Debug` shows no content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// The worker's state changed.
    Status(WorkerStatus),
    /// The session exists; this is its id.
    Registered(SessionId),
    /// A frame for the agent: a message, a request, an answer, a withdrawal. Delivered in order, and
    /// never twice.
    Inbound(Inbound),
    /// What came from the server is no frame. It was dropped, nothing else was.
    Malformed(MalformedFrame),
    /// The server does not take this frame of the agent's. It was dropped, nothing else was.
    UploadRejected {
        /// The frame's `uuid`.
        uuid: ByteString,
        /// The server's status.
        status: u16,
    },
    /// The end. Nothing comes after this.
    Closed(WorkerCloseCause),
}

/// A frame for the agent.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Under which id the server knows its delivery.
    pub event_id: EventId,
    /// The frame, byte for byte.
    pub frame: Frame,
}

/// The server's id of an event for the worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub(crate) ByteString);

impl EventId {
    /// The id as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the worker stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum WorkerStatus {
    /// Not yet asked to start.
    Idle,
    /// Getting a session.
    Registering,
    /// Getting credentials and opening the transport.
    Connecting,
    /// Connected.
    Running,
    /// The transport is being built anew; uploads wait.
    Rebuilding,
    /// The stream is down; uploads go on.
    Deaf {
        /// What went wrong.
        cause: Outcome,
    },
    /// Told to close; sending what is left.
    Closing,
    /// Over.
    Closed(WorkerCloseCause),
}

/// Why a worker is closed for good.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerCloseCause {
    /// It was told to close.
    Requested,
    /// Another worker took the session over, or it was archived.
    Superseded,
    /// The server does not accept our credential, and there is no other.
    Unauthorized,
    /// The token source says the person is signed out.
    SignedOut,
    /// The server does not know the session.
    SessionNotFound,
    /// The server refuses with this status.
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// The server's answer could not be read; the session may exist.
    Unreadable,
    /// The start failed too often; this was the last failure.
    StartFailed {
        /// What went wrong last.
        last: Outcome,
    },
}

impl fmt::Display for WorkerCloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("closed as asked"),
            Self::Superseded => {
                f.write_str("another worker took the session over, or it was archived")
            }
            Self::Unauthorized => f.write_str("the server does not accept the token"),
            Self::SignedOut => f.write_str("signed out"),
            Self::SessionNotFound => f.write_str("the server does not know this session"),
            Self::Rejected { status } => write!(f, "the server refused with status {status}"),
            Self::Unreadable => f.write_str("the server's answer could not be read"),
            Self::StartFailed { last } => write!(f, "could not start: {last}"),
        }
    }
}

/// What the agent is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// It waits for a message.
    Idle,
    /// It works.
    Running,
    /// It waits for a person. The details are a JSON object with `tool_name`, `action_description` and
    /// what else there is.
    RequiresAction(RawJson),
}

/// How far the agent is with an inbound event.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// The worker has it.
    Received,
    /// The agent works on it.
    Processing,
    /// The agent is done with it.
    Processed,
}

impl Delivery {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processing => "processing",
            Self::Processed => "processed",
        }
    }
}

/// [`start`](super::Worker::start) was refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It runs already.
    #[error("already started")]
    AlreadyStarted,
    /// The worker is closing or closed; make a new one.
    #[error("the worker is closed")]
    Closed,
}

/// [`upload`](super::Worker::upload) was refused; the text comes back.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct UploadError {
    /// Why.
    pub reason: UploadRefusal,
    /// What was to be uploaded.
    pub text: ByteString,
}

impl fmt::Debug for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadError")
            .field("reason", &self.reason)
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// Why a frame was not even queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UploadRefusal {
    /// Too many frames, or too many bytes, are waiting.
    #[error("too many frames are waiting; try again when some have been taken")]
    Full,
    /// The text is no frame.
    #[error("not a frame: {0}")]
    Malformed(FrameError),
    /// The worker is closing or closed.
    #[error("the worker is closed")]
    Closed,
}

impl UploadRefusal {
    /// Whether the same frame may be taken later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Malformed(_) | Self::Closed => false,
        }
    }
}
