//! One frame on its way through the relay: checked, with an id, on one line.

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameError, FrameKind, UUID_LIMIT},
};
use axum::extract::ws::Utf8Bytes;
use memchr::memchr;

use crate::id;

/// Why a text can't go through the relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedFrame {
    /// It is not a frame.
    #[error("not a frame: {0}")]
    Malformed(#[from] FrameError),
    /// It holds a line break between its fields; on the wire a line break ends a frame.
    #[error("a frame has to stand on one line; take the line breaks out")]
    SeveralLines,
    /// Its `uuid` can't be an id.
    #[error("`uuid` has to be a string of 1 to {UUID_LIMIT} bytes, or absent")]
    Uuid,
    /// The system gave no randomness for a new id.
    #[error("no randomness for a new id; try again")]
    NoRandomness,
}

/// A frame with the bytes that go to a viewer's socket: its own, and exactly one line break.
///
/// Both share one allocation. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Line {
    frame: Frame,
    wire: Utf8Bytes,
    kept: bool,
    uuid_is_ours: bool,
}

impl Line {
    /// Takes in a frame from outside. One that will be stored and has no `uuid` gets one.
    pub(crate) fn accept(text: &str) -> Result<Self, RefusedFrame> {
        let text = text.trim();
        if memchr(b'\n', text.as_bytes()).is_some() {
            return Err(RefusedFrame::SeveralLines);
        }
        let line = Self::build(&[text])?;
        // One that is too long counts as none, and is refused when a new one would stand beside it.
        if line.frame.uuid().is_none() && line.frame.is_stored() {
            return Self::with_new_uuid(text);
        }
        Ok(line)
    }

    /// Takes in a frame that is for those who are there, and for no log. A control frame is kept
    /// anyway: nobody could answer it otherwise.
    pub(crate) fn accept_live(text: &str) -> Result<Self, RefusedFrame> {
        let text = text.trim();
        if memchr(b'\n', text.as_bytes()).is_some() {
            return Err(RefusedFrame::SeveralLines);
        }
        let line = Self::build(&[text])?;
        match line.frame.kind() {
            FrameKind::Message { .. } | FrameKind::KeepAlive | FrameKind::Auth => Ok(Self {
                kept: false,
                ..line
            }),
            FrameKind::ControlRequest { .. }
            | FrameKind::ControlResponse { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::UnknownControl { .. } => Self::accept(text),
        }
    }

    /// Takes back a frame that went through [`accept`](Self::accept) before, or was written here.
    pub(crate) fn known(text: &str) -> Result<Self, RefusedFrame> {
        Self::build(&[text.trim()])
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Whether it belongs into the log.
    pub(crate) fn is_stored(&self) -> bool {
        self.kept
    }

    /// The `uuid` that its sender gave it.
    pub(crate) fn stated_uuid(&self) -> Option<&ByteString> {
        self.frame.uuid().filter(|_| !self.uuid_is_ours)
    }

    pub(crate) fn wire(&self) -> &Utf8Bytes {
        &self.wire
    }

    fn with_new_uuid(text: &str) -> Result<Self, RefusedFrame> {
        let fields = text.strip_suffix('}').unwrap_or(text);
        let uuid = id::uuid().map_err(|_| RefusedFrame::NoRandomness)?;
        // A `uuid` that was there all along, but as something else than a text, now stands there
        // twice.
        let line = Self::build(&[fields, ",\"uuid\":\"", &uuid, "\"}"]);
        let line = line.map_err(|_| RefusedFrame::Uuid)?;
        Ok(Self {
            uuid_is_ours: true,
            ..line
        })
    }

    fn build(pieces: &[&str]) -> Result<Self, RefusedFrame> {
        let mut text =
            String::with_capacity(pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1);
        text.extend(pieces.iter().copied());
        text.push('\n');
        let text = ByteString::from(text);
        let frame = Frame::classify(text.slice_ref(text.trim_end())).map_err(|bad| bad.error)?;
        let wire = Utf8Bytes::try_from(text.into_bytes()).map_err(|_| FrameError::NotUtf8)?;
        let kept = frame.is_stored();
        Ok(Self {
            frame,
            wire,
            kept,
            uuid_is_ours: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_with_a_uuid_keeps_every_byte() {
        let text = r#"{ "type" : "user","uuid":"u1", "x":1.0e2, "y":"\u00e4" }"#;
        let line = Line::accept(text).unwrap();
        assert_eq!(line.frame().as_str(), text);
        assert_eq!(line.wire().as_str(), format!("{text}\n"));
    }

    #[test]
    fn a_frame_without_a_uuid_gets_one_as_its_last_field() {
        let line = Line::accept("{\"type\":\"user\" }\r\n").unwrap();
        let uuid = line.frame().uuid().unwrap();
        assert_eq!(uuid.len(), 36);
        let expected = format!("{{\"type\":\"user\" ,\"uuid\":\"{uuid}\"}}");
        assert_eq!(line.frame().as_str(), expected);
    }

    #[test]
    fn a_live_frame_is_left_alone() {
        let text = r#"{"type":"stream_event","event":{}}"#;
        assert_eq!(Line::accept(text).unwrap().frame().as_str(), text);
    }

    #[test]
    fn a_message_for_those_who_are_there_is_left_alone_and_a_prompt_is_kept() {
        let live = Line::accept_live(r#"{"type":"progress"}"#).unwrap();
        assert_eq!(live.frame().as_str(), r#"{"type":"progress"}"#);
        assert!(!live.is_stored());
        let prompt = r#"{"type":"control_request","request_id":"r","request":{"subtype":"x"}}"#;
        let prompt = Line::accept_live(prompt).unwrap();
        assert!(prompt.is_stored() && prompt.frame().uuid().is_some());
    }

    #[test]
    fn what_can_not_be_stored_is_refused() {
        let long = format!(
            r#"{{"type":"user","uuid":"{}"}}"#,
            "x".repeat(UUID_LIMIT + 1)
        );
        for (text, refused) in [
            (r#"{"type":"user","uuid":null}"#, RefusedFrame::Uuid),
            (r#"{"type":"user","uuid":7}"#, RefusedFrame::Uuid),
            (r#"{"type":"user","uuid":""}"#, RefusedFrame::Uuid),
            (&long, RefusedFrame::Uuid),
            ("{\"type\":\n\"user\"}", RefusedFrame::SeveralLines),
            (
                r#"{"uuid":"u"}"#,
                RefusedFrame::Malformed(FrameError::NoType),
            ),
        ] {
            assert_eq!(Line::accept(text).err(), Some(refused), "{text}");
        }
        assert!(Line::accept("").is_err());
    }
}
