//! What is on the wire: one JSON object a frame, one line a frame.
//!
//! [`split`] cuts a WebSocket message or a stdio line into frames' texts, [`Frame::classify`] finds out
//! what a frame is for. Nothing is rebuilt: a frame's bytes travel on as they came, and what this crate has
//! no name for is kept untouched.
//!
//! Classifying is one pass over the whole text, which allocates nothing. It takes less time than
//! `serde_json` needs to read a struct of the same fields, between three quarters of it for a text delta and a quarter for
//! an image (`benches/README.md` has the figures, and how to measure them again). What is unusual, such as an
//! escape in one of the fields, and what is malformed is read by `serde_json`: the two accept the same texts.
//!
//! ```
//! use attache_protocol::frame::{Frame, FrameKind, split};
//!
//! let message = "{\"type\":\"keep_alive\"}\n{\"type\":\"assistant\",\"uuid\":\"u1\",\"novel\":1}\n".into();
//! let frames: Vec<Frame> = split(&message).map(|text| Frame::classify(text).unwrap()).collect();
//!
//! assert_eq!(*frames[0].kind(), FrameKind::KeepAlive);
//! assert_eq!(frames[1].uuid().unwrap(), "u1");
//! assert_eq!(frames[1].as_str(), "{\"type\":\"assistant\",\"uuid\":\"u1\",\"novel\":1}");
//! ```

pub mod control;
pub mod decision;
mod envelope;
mod json;
pub mod message;
pub mod permission;
pub mod relay;
mod scan;
pub mod sse;

use alloc::{format, string::String};
use core::fmt;

use bytestring::ByteString;

use envelope::{Envelope, around_uuid};
use json::shared;
pub use json::{JsonShape, MalformedJson, MalformedReason, RawJson};
pub(crate) use json::{detached, push_line};

/// The longest `request_id` that is understood, in bytes; a longer one makes its frame malformed.
pub const REQUEST_ID_LIMIT: usize = 1024;

/// The longest `uuid` that is remembered, in bytes; a frame with a longer one counts as one without.
pub const UUID_LIMIT: usize = 256;

/// Cuts a WebSocket text message (or a stdio line) into the texts of its frames.
///
/// Frames are separated by `\n`; blank ones are skipped and the last needs no newline (wire format:
/// newline-delimited JSON). The texts share the message's memory.
pub fn split(message: &ByteString) -> impl Iterator<Item = ByteString> + '_ {
    message
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| message.slice_ref(line))
}

/// The id of a control request, as its asker minted it: any text of 1 to [`REQUEST_ID_LIMIT`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(ByteString);

impl RequestId {
    /// Takes `text` as an id, unless it is empty or longer than [`REQUEST_ID_LIMIT`].
    pub fn new(text: impl Into<ByteString>) -> Option<Self> {
        let text = text.into();
        (1..=REQUEST_ID_LIMIT)
            .contains(&text.len())
            .then_some(Self(text))
    }

    /// An id of our own, of fixed length.
    pub(crate) fn minted(uuid: String) -> Self {
        Self(uuid.into())
    }

    /// The id on its own, without the frame whose memory it may share.
    pub(crate) fn detached(&self) -> Self {
        Self(ByteString::from(&*self.0))
    }

    /// The id as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({:?})", self.as_str())
    }
}

/// What a frame is for: its bucket, with the fields that route it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// `control_request`: the peer asks for something and waits for exactly one response.
    ControlRequest {
        /// What the response must name.
        request_id: RequestId,
        /// `can_use_tool`, `interrupt`, `initialize`, … : an open set.
        subtype: ByteString,
    },
    /// `control_response`: the answer to a request.
    ControlResponse {
        /// The request that is answered.
        request_id: RequestId,
    },
    /// `control_cancel_request`: the asker no longer wants an answer.
    ControlCancelRequest {
        /// The request that is withdrawn.
        request_id: RequestId,
    },
    /// `keep_alive`: proves life, says nothing.
    KeepAlive,
    /// `auth`: a client's credential, for those that cannot set headers.
    Auth,
    /// Any other `control_…` type. It belongs to the conversation between machines and is never shown
    /// as something the agent said.
    UnknownControl {
        /// The type as it stands in the frame.
        type_name: ByteString,
    },
    /// Everything else: a session message for the application.
    Message {
        /// `assistant`, `user`, `result`, … : an open set.
        type_name: ByteString,
    },
}

/// One classified frame: its kind, its `uuid`, and its bytes exactly as they came.
///
/// Cloning is cheap (a reference count). `Debug` shows the kind and the length, never the content.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    text: ByteString,
    kind: FrameKind,
    uuid: Option<ByteString>,
}

impl Frame {
    /// Finds out what one frame is.
    ///
    /// The whole text is checked to be JSON; nesting depth does not matter. Trailing text after the
    /// object is malformed, so a frame never hides another.
    ///
    /// # Errors
    /// The text comes back in [`MalformedFrame`] when it is not a JSON object with a string `type`, or
    /// is a control frame without what its kind needs.
    pub fn classify(text: ByteString) -> Result<Self, MalformedFrame> {
        match classify(&text) {
            Ok((kind, uuid)) => Ok(Self { text, kind, uuid }),
            Err(error) => Err(MalformedFrame { error, text }),
        }
    }

    /// What the frame is for.
    pub fn kind(&self) -> &FrameKind {
        &self.kind
    }

    /// The frame's `type`.
    pub fn type_name(&self) -> &str {
        match &self.kind {
            FrameKind::ControlRequest { .. } => "control_request",
            FrameKind::ControlResponse { .. } => "control_response",
            FrameKind::ControlCancelRequest { .. } => "control_cancel_request",
            FrameKind::KeepAlive => "keep_alive",
            FrameKind::Auth => "auth",
            FrameKind::UnknownControl { type_name } | FrameKind::Message { type_name } => type_name,
        }
    }

    /// The frame's `uuid`: the id under which a relay stores it.
    pub fn uuid(&self) -> Option<&ByteString> {
        self.uuid.as_ref()
    }

    /// Whether a relay keeps this frame for later readers. Keep-alives, credentials and
    /// `stream_event` deltas are live only.
    pub fn is_stored(&self) -> bool {
        match &self.kind {
            FrameKind::KeepAlive | FrameKind::Auth => false,
            FrameKind::Message { type_name } => !matches!(
                &**type_name,
                "stream_event" | relay::ANSWER_REFUSED | relay::DELIVERY_UPDATE
            ),
            FrameKind::ControlRequest { .. }
            | FrameKind::ControlResponse { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::UnknownControl { .. } => true,
        }
    }

    /// The frame's `uuid` and its text; one without a `uuid` gets a minted one, as its last field or in the
    /// place of what can't be one.
    pub(crate) fn identified(&self, mint: impl FnOnce() -> String) -> (ByteString, ByteString) {
        if let Some(uuid) = &self.uuid {
            return (uuid.clone(), self.text.clone());
        }
        let uuid = mint();
        let text = if let Some((before, after)) = around_uuid(&self.text) {
            format!("{before}\"{uuid}\"{after}")
        } else {
            let open = self.text.trim_end();
            let open = open.strip_suffix('}').unwrap_or(open);
            format!("{open},\"uuid\":\"{uuid}\"}}")
        };
        (uuid.into(), text.into())
    }

    /// The frame's text, byte for byte.
    pub fn text(&self) -> &ByteString {
        &self.text
    }

    /// The frame's text, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("kind", &self.kind)
            .field("uuid", &self.uuid)
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// Why a text is not a frame that can be routed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The text is not JSON, or more than one value.
    #[error("not JSON: {0}")]
    NotJson(MalformedJson),
    /// A JSON value that is not an object, or whose routing fields stand there twice.
    #[error("not an object that can be routed: {0}")]
    NotAnObject(MalformedJson),
    /// `type` is missing or not a string.
    #[error("no string in `type`")]
    NoType,
    /// A control frame without a usable `request_id`.
    #[error("`{type_name}` without a usable `request_id`")]
    NoRequestId {
        /// Which control frame it is.
        type_name: &'static str,
    },
    /// A `control_request` whose `request` has no string `subtype`; its asker waits for an answer.
    #[error("`control_request` without a string in `request.subtype`")]
    NoSubtype {
        /// The request that wants an answer.
        request_id: RequestId,
    },
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
}

/// A text that is no frame, with the reason. The text is kept so that nothing disappears unseen.
///
/// `Debug` shows the reason and the length, never the content.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed frame of {} bytes: {error}", text.len())]
pub struct MalformedFrame {
    /// What is wrong with it.
    pub error: FrameError,
    /// The text as it came.
    pub text: ByteString,
}

impl fmt::Debug for MalformedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MalformedFrame")
            .field("error", &self.error)
            .field("bytes", &self.text.len())
            .finish()
    }
}

fn classify(text: &ByteString) -> Result<(FrameKind, Option<ByteString>), FrameError> {
    if let Some(found) = scan::envelope(text) {
        return route(found, |part| text.slice_ref(part));
    }
    let parsed = Envelope::parse(text).map_err(|malformed| match malformed.reason {
        MalformedReason::Shape => FrameError::NotAnObject(malformed),
        MalformedReason::Syntax | MalformedReason::UnexpectedEnd => FrameError::NotJson(malformed),
    })?;
    route(parsed, |part| shared(text, part))
}

/// What the fields of an envelope mean. `share` makes text of them that shares the frame's memory.
fn route<T: AsRef<str>>(
    envelope: Envelope<T>,
    share: impl Fn(T) -> ByteString,
) -> Result<(FrameKind, Option<ByteString>), FrameError> {
    let request_id = |found: Option<T>, type_name: &'static str| {
        found
            .and_then(|id| RequestId::new(share(id)))
            .ok_or(FrameError::NoRequestId { type_name })
    };
    let type_name = envelope.type_name.ok_or(FrameError::NoType)?;
    let kind = match type_name.as_ref() {
        "control_request" => {
            let request_id = request_id(envelope.request_id, "control_request")?;
            match envelope.request.subtype {
                Some(subtype) => FrameKind::ControlRequest {
                    request_id,
                    subtype: share(subtype),
                },
                None => return Err(FrameError::NoSubtype { request_id }),
            }
        }
        "control_response" => FrameKind::ControlResponse {
            request_id: request_id(envelope.response.request_id, "control_response")?,
        },
        "control_cancel_request" => FrameKind::ControlCancelRequest {
            request_id: request_id(envelope.request_id, "control_cancel_request")?,
        },
        "keep_alive" => FrameKind::KeepAlive,
        "auth" => FrameKind::Auth,
        other if other.starts_with("control_") => FrameKind::UnknownControl {
            type_name: share(type_name),
        },
        other => FrameKind::Message {
            type_name: match well_known(other) {
                Some(name) => ByteString::from_static(name),
                None => share(type_name),
            },
        },
    };
    let uuid = envelope
        .uuid
        .filter(|uuid| (1..=UUID_LIMIT).contains(&uuid.as_ref().len()))
        .map(&share);
    Ok((kind, uuid))
}

/// A type that most frames have, as text that needs no counting of who shares it.
fn well_known(type_name: &str) -> Option<&'static str> {
    const WELL_KNOWN: [&str; 5] = ["stream_event", "assistant", "user", "system", "result"];
    WELL_KNOWN.into_iter().find(|name| *name == type_name)
}

#[cfg(test)]
mod tests;
