//! What a viewer tells the application, and the words they share.

use alloc::string::String;
use core::{fmt, time::Duration};

use bytestring::ByteString;

use crate::{
    frame::{
        Frame, FrameError, JsonShape, MalformedJson, RawJson, RequestId,
        permission::{MalformedPermission, PermissionRequest},
        relay::Behavior,
    },
    policy::{CloseCause, Outcome},
    time::Timestamp,
};

/// Something the application should know. New kinds may come.
///
/// `Debug` shows no message, no prompt text and no input.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection's state changed.
    Status(Status),
    /// The agent, or another viewer, said something: delivered in order, and never twice.
    Message(Message),
    /// The agent asks for permission.
    PermissionRequested(PermissionRequest),
    /// An open prompt's state changed.
    PermissionChanged {
        /// Which prompt.
        request_id: RequestId,
        /// Its state from now on.
        state: PromptState,
    },
    /// A prompt is no longer asked. Also reported for ids that were never shown.
    PermissionWithdrawn {
        /// Which prompt.
        request_id: RequestId,
    },
    /// A prompt has its answer.
    PermissionSettled {
        /// Which prompt.
        request_id: RequestId,
        /// Whose answer.
        by: SettledBy,
        /// What it said, as far as that is known.
        behavior: Option<Behavior>,
    },
    /// Our answer to a prompt did not count, and the prompt is still asked. (When another answer came
    /// first, or the agent no longer asks, the events for that come instead.)
    AnswerRefused {
        /// Which prompt.
        request_id: RequestId,
        /// Why, in the server's words: not fit for a terminal as they are.
        why: String,
    },
    /// One of our messages got further. Every message is taken or not, which is told by exactly one of
    /// [`SendState::Accepted`] and [`SendState::Rejected`]; after the former it may get further still.
    Send {
        /// Which message.
        id: MessageId,
        /// How far it is.
        state: SendState,
    },
    /// One of our requests is over; there is exactly one such event for each.
    Request {
        /// Which request.
        request_id: RequestId,
        /// How it ended.
        outcome: RequestOutcome,
    },
    /// Part of the conversation could not be loaded: what was said between the last message delivered
    /// and the next one is missing here.
    Gap {
        /// The last stored frame before the hole, if there was one.
        after: Option<ByteString>,
        /// Why it could not be filled.
        cause: GapCause,
    },
    /// History and whatever was missed have been delivered; what follows is live.
    CaughtUp,
    /// A text that is no usable frame. It was dropped, nothing else was.
    Malformed(Malformed),
    /// The agent has been silent for too long after a send. The link is being replaced.
    Unresponsive {
        /// How long.
        waited: Duration,
    },
    /// The end. Nothing comes after this.
    Closed(CloseCause),
}

/// Where the connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not yet asked to connect.
    Idle,
    /// Fetching a token or opening the socket.
    Connecting {
        /// Failures in a row before this attempt.
        attempt: u32,
    },
    /// Connected; loading what was missed.
    CatchingUp,
    /// Connected, and everything has been delivered.
    Live,
    /// Waiting to try again.
    Waiting {
        /// Failures in a row so far.
        attempt: u32,
        /// When the next attempt starts.
        next_attempt_at: Timestamp,
        /// What went wrong last.
        cause: Outcome,
    },
    /// Told to close; waiting for the peer to agree.
    Closing,
    /// Over.
    Closed {
        /// Why.
        cause: CloseCause,
    },
}

/// A session message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The frame, byte for byte.
    pub frame: Frame,
    /// How it got here.
    pub source: Source,
}

/// How a message got here.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Over the socket, as it happened.
    Live,
    /// Loaded at the first open.
    History,
    /// Loaded after a drop.
    Backfill,
}

/// The id of one of our messages: the `uuid` under which it is posted, however often it is tried.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(crate) ByteString);

impl MessageId {
    /// The `uuid`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({})", self.0)
    }
}

/// The content of a message to send: a text, or an array of content blocks. `Debug` shows its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(RawJson);

impl Content {
    /// A plain text.
    pub fn text(text: &str) -> Self {
        Self(RawJson::string(text))
    }

    /// A JSON string or an array of content blocks, taken as it is.
    ///
    /// # Errors
    /// [`InvalidContent`] for any other JSON value.
    pub fn from_json(json: RawJson) -> Result<Self, InvalidContent> {
        match json.shape() {
            JsonShape::String | JsonShape::Array => Ok(Self(json)),
            JsonShape::Object | JsonShape::Number | JsonShape::Boolean | JsonShape::Null => {
                Err(InvalidContent)
            }
        }
    }

    /// The content as it goes over the wire.
    pub fn as_json(&self) -> &RawJson {
        &self.0
    }
}

/// Message content is neither a string nor an array.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content of a message is a string or an array of content blocks")]
pub struct InvalidContent;

/// How far one of our messages is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendState {
    /// Waiting for its turn.
    Queued,
    /// Posted; no answer yet.
    InFlight,
    /// Posted, and the answer was lost: it may have arrived. It is tried again under the same id, which
    /// the server recognises.
    Unknown,
    /// The server has it, for good. Some servers tell no more than that.
    Accepted,
    /// The agent's side has it.
    Delivered,
    /// The agent is at it.
    Processing,
    /// The agent is done with it. Final.
    Processed,
    /// The server does not take it, or the session closed first. Final.
    Rejected(SendRejection),
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendRejection {
    /// The server refused it with this HTTP status.
    #[error("the server answered {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The credential does not allow it.
    #[error("the server does not accept this credential for sending")]
    Unauthorized,
    /// Closed before it was posted: it did not arrive.
    #[error("closed before it was sent")]
    Closed,
    /// Closed while its fate was open: it may have arrived.
    #[error("closed before the server confirmed it; it may have arrived")]
    ClosedUnconfirmed,
}

/// Where an open prompt stands. It leaves this table as withdrawn or settled.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PromptState {
    /// It is asked and has no answer.
    Pending,
    /// It was asked before the link dropped; whether it still is, is not known yet.
    Unverified,
    /// It has an answer that is not on its way yet.
    Answered,
    /// The answer is on its way.
    Sent,
}

/// Whose answer settled a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettledBy {
    /// Ours.
    Us,
    /// Another viewer's.
    AnotherViewer {
        /// Its credential's name, where the server tells: not fit for a terminal as it is.
        name: Option<String>,
    },
}

/// How a request of ours ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The agent did it.
    Succeeded(Option<RawJson>),
    /// The agent refused or failed, in its own words.
    Failed(String),
    /// It was sent and no answer came in time.
    Unanswered,
    /// It was never sent: the link was down for too long, or the turn it was meant for is over.
    Expired,
    /// The session closed first.
    Closed,
}

/// Why a hole could not be filled.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// The server has no such list.
    NoHistory,
    /// The server no longer has that part.
    NotRetained,
    /// The server refused with this status.
    Refused {
        /// The status.
        status: u16,
    },
    /// The server could not be reached in time.
    Unreachable,
    /// The server's answer could not be read, or was too large.
    Unreadable,
    /// Nothing had been received yet that one could resume after.
    NoPosition,
}

/// A text that was dropped, and why. `Debug` shows its length, never its content.
#[derive(Clone)]
pub struct Malformed {
    /// What is wrong with it.
    pub error: MalformedCause,
    /// The text as it came; for invalid UTF-8 with the bad bytes replaced.
    pub text: ByteString,
}

impl fmt::Debug for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Malformed")
            .field("error", &self.error)
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// What can be wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedCause {
    /// It is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It is a prompt that can't be shown.
    #[error(transparent)]
    Permission(#[from] MalformedPermission),
    /// It is a response that can't be read.
    #[error("control response: {0}")]
    Response(MalformedJson),
    /// It asks something else under an id that is already in use.
    #[error("request id {0} asks for something else than before")]
    RequestIdReused(RequestId),
    /// It is a control frame of a type this version does not know.
    #[error("unknown control frame")]
    UnknownControl,
    /// It is one prompt too many.
    #[error("too many open prompts")]
    TooManyPrompts(RequestId),
}
