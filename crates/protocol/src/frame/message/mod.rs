//! Typed views of session messages, parsed on demand.
//!
//! A [`View`] borrows from its [`Frame`]. What it has no name for (a type, a subtype, a field, a value
//! of an open set) is kept byte for byte at every level; what it has a name for must have the right
//! shape, or the whole view is a [`MalformedMessage`] that says where. Control frames are no messages:
//! a view shows their outer fields only.
//!
//! ```
//! use attache_protocol::frame::{Frame, message::{ContentBlock, View}};
//!
//! let frame = Frame::classify(
//!     r#"{"type":"assistant","message":{"content":[{"type":"text","text":"hi","novel":1}]}}"#.into(),
//! ).unwrap();
//! let View::Assistant(said) = frame.view().unwrap() else { panic!() };
//! assert_eq!(said.message.content.words().collect::<String>(), "hi");
//! assert_eq!(frame.view().unwrap().unmodelled()[0].to_string(), "message.content[0].novel");
//! ```

mod compare;
mod content;
mod fields;
mod node;
mod record;
mod stream;
mod system;
mod turn;
mod value;

use alloc::{string::String, string::ToString, vec::Vec};
use core::fmt;

use bytestring::ByteString;
use serde_json::value::RawValue;

use super::{Frame, permission::FieldTrouble};
use fields::ObjectWriter;
use node::{Fault, Node, Path};
use record::{record, tagged};

pub use compare::same_json;
pub use content::{
    Content, ContentBlock, ImageBlock, ModelMessage, RedactedThinkingBlock, TextBlock,
    ThinkingBlock, ToolResultBlock, ToolUseBlock, Usage,
};
pub use fields::Fields;
pub use stream::{
    BlockDelta, BlockStart, BlockStop, Delta, InputJsonDelta, MessageDelta, MessageStart,
    MessageStop, Piece, SignatureDelta, StreamEvent, TextDelta, ThinkingDelta,
};
pub use system::{
    ApiRetry, CompactBoundary, Init, SessionStateChanged, System, SystemStatus, TaskNotification,
    TaskProgress, TaskStarted,
};
pub use turn::{
    Assistant, AuthStatus, PermissionDenial, PromptSuggestion, RateLimitEvent, ToolProgress,
    ToolUseSummary, TurnResult, User, UserMessage,
};
pub use value::{Counter, Json, Maybe, Text};

tagged! {
    /// A frame taken apart, by its `type`.
    View by "type" {
        /// Something said to the agent.
        User(User) = "user",
        /// Something the agent said.
        Assistant(Assistant) = "assistant",
        /// A piece of an answer while it is being written.
        StreamEvent(StreamEvent) = "stream_event",
        /// The end of a turn.
        Result(TurnResult) = "result",
        /// What the agent's machinery says about itself.
        System(System) = "system",
        /// A tool is still at work.
        ToolProgress(ToolProgress) = "tool_progress",
        /// Several tool uses in a few words.
        ToolUseSummary(ToolUseSummary) = "tool_use_summary",
        /// How signing in goes.
        AuthStatus(AuthStatus) = "auth_status",
        /// How much of the allowance is left.
        RateLimitEvent(RateLimitEvent) = "rate_limit_event",
        /// Something the person might say next.
        PromptSuggestion(PromptSuggestion) = "prompt_suggestion",
        /// A control request.
        ControlRequest(ControlRequest) = "control_request",
        /// A control response.
        ControlResponse(ControlResponse) = "control_response",
        /// A withdrawn control request.
        ControlCancelRequest(ControlCancelRequest) = "control_cancel_request",
        /// A sign of life.
        KeepAlive(KeepAlive) = "keep_alive",
    }
}

impl<'a> View<'a> {
    /// Takes `frame` apart.
    ///
    /// # Errors
    /// [`MalformedMessage`] when a known field of a known type does not hold what it should.
    pub fn of(frame: &'a Frame) -> Result<Self, MalformedMessage> {
        let malformed = |fault: Fault| MalformedMessage {
            path: fault.path,
            trouble: fault.trouble,
            text: frame.text().clone(),
        };
        let raw: &'a RawValue =
            serde_json::from_str(frame.as_str()).map_err(|_| malformed(Path::ROOT.shape()))?;
        Self::decode(raw, Path::ROOT).map_err(malformed)
    }

    /// What this view has no name for, in the order of the known fields around it.
    pub fn unmodelled(&self) -> Vec<Unmodelled> {
        let mut found = Vec::new();
        Node::unmodelled(self, Path::ROOT, &mut found);
        found
    }

    /// The view as JSON again: the same value as the frame it came from, known fields first. Hold it
    /// against the frame with [`same_json`].
    pub fn encode(&self) -> String {
        let mut out = String::new();
        Node::encode(self, &mut out);
        out
    }
}

impl Frame {
    /// Takes the frame apart.
    ///
    /// # Errors
    /// [`MalformedMessage`] when a known field of a known type does not hold what it should.
    pub fn view(&self) -> Result<View<'_>, MalformedMessage> {
        View::of(self)
    }

    /// What the agent said, if this is an `assistant` frame that can be read.
    pub fn as_assistant(&self) -> Option<Assistant<'_>> {
        self.one("assistant", Assistant::decode)
    }

    /// What was said to the agent, if this is a `user` frame that can be read.
    pub fn as_user(&self) -> Option<User<'_>> {
        self.one("user", User::decode)
    }

    /// How a turn ended, if this is a `result` frame that can be read.
    pub fn as_result(&self) -> Option<TurnResult<'_>> {
        self.one("result", TurnResult::decode)
    }

    /// A piece of an answer, if this is a `stream_event` frame that can be read.
    pub fn as_stream_event(&self) -> Option<StreamEvent<'_>> {
        self.one("stream_event", StreamEvent::decode)
    }

    /// What the agent's machinery says, if this is a `system` frame that can be read.
    pub fn as_system(&self) -> Option<System<'_>> {
        self.one("system", System::decode)
    }

    fn one<'a, T>(
        &'a self,
        type_name: &str,
        decode: fn(&'a RawValue, Path<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        if self.type_name() != type_name {
            return None;
        }
        decode(serde_json::from_str(self.as_str()).ok()?, Path::ROOT).ok()
    }
}

/// A known field of a known type does not hold what it should. The frame's text comes along, so that
/// nothing disappears unseen.
///
/// `Debug` shows the place and the length, never the content.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is {trouble}")]
pub struct MalformedMessage {
    /// Where, from the frame's root: `message.content[2].text`.
    pub path: String,
    /// What is wrong there.
    pub trouble: FieldTrouble,
    /// The frame as it came.
    pub text: ByteString,
}

impl fmt::Debug for MalformedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MalformedMessage")
            .field("path", &self.path)
            .field("trouble", &self.trouble)
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// Something a view has no name for. It is kept all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmodelled {
    /// A field.
    Field {
        /// Where, from the frame's root.
        path: String,
    },
    /// A whole object, because its `type` or `subtype` is new.
    Kind {
        /// Where the type stands.
        path: String,
        /// The type.
        name: String,
    },
}

impl fmt::Display for Unmodelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { path } => f.write_str(path),
            Self::Kind { path, name } => write!(f, "{path} \"{}\"", name.escape_debug()),
        }
    }
}

/// An object whose type has no name here, with all its fields.
#[derive(Clone, Debug)]
pub struct Unknown<'a> {
    key: &'static str,
    name: Text<'a>,
    fields: Fields<'a>,
}

impl<'a> Unknown<'a> {
    /// Its `type` or `subtype`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its fields, the type included, in their original order.
    pub fn fields(&self) -> &Fields<'a> {
        &self.fields
    }

    fn read(key: &'static str, fields: Fields<'a>, path: Path<'_>) -> Result<Self, Fault> {
        let name = match fields.find(key) {
            Some(value) => Text::decode(value.raw(), path.field(key))?,
            None => return Err(path.field(key).missing()),
        };
        Ok(Self { key, name, fields })
    }

    fn into_fields(self) -> Fields<'a> {
        self.fields
    }

    fn encode(&self, out: &mut String) {
        self.fields.encode(out);
    }

    fn unmodelled(&self, path: Path<'_>, found: &mut Vec<Unmodelled>) {
        found.push(Unmodelled::Kind {
            path: path.field(self.key).to_string(),
            name: self.name.to_string(),
        });
    }
}

record! {
    /// A control request, seen from outside; [`permission`](super::permission) takes prompts apart.
    ControlRequest ["type" = "control_request"] {
        /// What its response must name.
        request_id = "request_id": Text<'a>,
        /// What is asked for.
        request = "request": Json<'a>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// A control response, seen from outside; [`control`](super::control) takes it apart.
    ControlResponse ["type" = "control_response"] {
        /// The answer.
        response = "response": Json<'a>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// A control request that is no longer asked.
    ControlCancelRequest ["type" = "control_cancel_request"] {
        /// Which request.
        request_id = "request_id": Text<'a>,
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }

    /// A sign of life.
    KeepAlive ["type" = "keep_alive"] {
        /// The frame's id.
        uuid = "uuid": Maybe<Text<'a>>,
        /// The session.
        session_id = "session_id": Maybe<Text<'a>>,
    }
}

#[cfg(test)]
mod tests;
