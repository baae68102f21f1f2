//! One frame on its way through the relay: checked, with an id, on one line.

use std::sync::{Arc, OnceLock};

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameError, FrameKind, UUID_LIMIT},
};
use axum::{body::Bytes, extract::ws::Utf8Bytes};
use memchr::memchr;

use crate::{id, outgoing::Telling};

/// Up to how many bytes of frames that come together share their memory.
const SHEET_BYTES: usize = 32 << 10;

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
/// Several lines that came together share their memory. Cloning is a reference count.
#[derive(Clone)]
pub(crate) struct Line {
    sheet: Arc<Vec<Parts>>,
    at: usize,
}

struct Parts {
    frame: Frame,
    wire: Utf8Bytes,
    kept: bool,
    uuid_is_ours: bool,
    /// As the first stream that needed it spells it.
    event: OnceLock<Box<(Telling, Bytes)>>,
}

impl Line {
    /// Takes in a frame from outside. One that will be stored and has no `uuid` gets one.
    pub(crate) fn accept(text: &str) -> Result<Self, RefusedFrame> {
        Ok(Parts::build(&[one_line(text)?])?.identified()?.into())
    }

    /// Takes in several frames from outside, each like [`accept`](Self::accept), for fewer allocations.
    ///
    /// Who keeps one of them for long keeps a [copy](Self::detached).
    pub(crate) fn accept_all<T: AsRef<str>>(mut texts: &[T]) -> Result<Vec<Self>, RefusedFrame> {
        let mut lines = Vec::with_capacity(texts.len());
        while !texts.is_empty() {
            let size = |text: &T| text.as_ref().len() + 1;
            let mut bytes = 0;
            let fits = |text: &&T| {
                bytes += size(text);
                bytes <= SHEET_BYTES
            };
            let together = texts.iter().take_while(fits).count().max(1);
            let (now, later) = texts.split_at_checked(together).unwrap_or((texts, &[]));
            let mut sheet = String::with_capacity(now.iter().map(size).sum());
            let mut ends = Vec::with_capacity(together);
            for text in now {
                sheet.push_str(one_line(text.as_ref())?);
                sheet.push('\n');
                ends.push(sheet.len());
            }
            let sheet = ByteString::from(sheet);
            let starts = core::iter::once(0).chain(ends.iter().copied());
            let mut all_parts = Vec::with_capacity(together);
            for wire in starts
                .zip(&ends)
                .filter_map(|(start, end)| sheet.get(start..*end))
            {
                all_parts.push(Parts::of_wire(sheet.slice_ref(wire))?.identified()?);
            }
            let sheet = Arc::new(all_parts);
            lines.extend((0..sheet.len()).map(|at| Self {
                sheet: sheet.clone(),
                at,
            }));
            texts = later;
        }
        Ok(lines)
    }

    /// Takes in a frame that is for those who are there, and for no log. A control frame is kept
    /// anyway: nobody could answer it otherwise.
    pub(crate) fn accept_live(text: &str) -> Result<Self, RefusedFrame> {
        let mut parts = Parts::build(&[one_line(text)?])?;
        parts.kept = match parts.frame.kind() {
            FrameKind::Message { .. } | FrameKind::KeepAlive | FrameKind::Auth => false,
            FrameKind::ControlRequest { .. }
            | FrameKind::ControlResponse { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::UnknownControl { .. } => parts.kept,
        };
        Ok(parts.identified()?.into())
    }

    /// Takes back a frame that went through [`accept`](Self::accept) before, or was written here.
    pub(crate) fn known(text: &str) -> Result<Self, RefusedFrame> {
        Parts::build(&[text.trim()]).map(Self::from)
    }

    /// The same line in memory of its own.
    pub(crate) fn detached(&self) -> Self {
        let Ok(copy) = Parts::build(&[self.frame().as_str()]) else {
            return self.clone();
        };
        Self::from(Parts {
            kept: self.parts().kept,
            uuid_is_ours: self.parts().uuid_is_ours,
            ..copy
        })
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.parts().frame
    }

    /// Whether it belongs into the log.
    pub(crate) fn is_stored(&self) -> bool {
        self.parts().kept
    }

    /// Its `uuid`, which whatever is stored has.
    pub(crate) fn uuid(&self) -> ByteString {
        self.frame().uuid().cloned().unwrap_or_default()
    }

    /// The `uuid` that its sender gave it.
    pub(crate) fn stated_uuid(&self) -> Option<&ByteString> {
        self.frame().uuid().filter(|_| !self.parts().uuid_is_ours)
    }

    pub(crate) fn wire(&self) -> &Utf8Bytes {
        &self.parts().wire
    }

    /// The event that tells this line like that. Those that tell it in the same way share what `make` made.
    pub(crate) fn event(&self, telling: Telling, make: impl Fn() -> Bytes) -> Bytes {
        let told = &self.parts().event;
        let (first, event) = &**told.get_or_init(|| Box::new((telling, make())));
        if *first == telling {
            event.clone()
        } else {
            make()
        }
    }

    fn parts(&self) -> &Parts {
        let parts = self.sheet.get(self.at);
        parts.expect("a line is made from the parts on its sheet")
    }
}

impl From<Parts> for Line {
    fn from(parts: Parts) -> Self {
        Self {
            sheet: Arc::new(vec![parts]),
            at: 0,
        }
    }
}

impl Parts {
    /// With a `uuid` if it is kept.
    fn identified(self) -> Result<Self, RefusedFrame> {
        // One that is too long counts as none, and is refused when a new one would stand beside it.
        if self.frame.uuid().is_some() || !self.kept {
            return Ok(self);
        }
        let text = self.frame.as_str();
        let fields = text.strip_suffix('}').unwrap_or(text);
        let uuid = id::uuid().map_err(|_| RefusedFrame::NoRandomness)?;
        // A `uuid` that was there all along, but as something else than a text, now stands there
        // twice.
        let parts = Self::build(&[fields, ",\"uuid\":\"", &uuid, "\"}"]);
        let parts = parts.map_err(|_| RefusedFrame::Uuid)?;
        Ok(Self {
            uuid_is_ours: true,
            ..parts
        })
    }

    fn build(pieces: &[&str]) -> Result<Self, RefusedFrame> {
        let mut text =
            String::with_capacity(pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1);
        text.extend(pieces.iter().copied());
        text.push('\n');
        Self::of_wire(ByteString::from(text))
    }

    /// Of a frame and the line break behind it.
    fn of_wire(wire: ByteString) -> Result<Self, RefusedFrame> {
        let text = wire.strip_suffix('\n').unwrap_or(&wire);
        let frame = Frame::classify(wire.slice_ref(text)).map_err(|bad| bad.error)?;
        let wire = Utf8Bytes::try_from(wire.into_bytes()).map_err(|_| FrameError::NotUtf8)?;
        let kept = frame.is_stored();
        Ok(Self {
            frame,
            wire,
            kept,
            uuid_is_ours: false,
            event: OnceLock::new(),
        })
    }
}

/// What stands in `text` without the white space around it.
fn one_line(text: &str) -> Result<&str, RefusedFrame> {
    let text = text.trim();
    if memchr(b'\n', text.as_bytes()).is_some() {
        return Err(RefusedFrame::SeveralLines);
    }
    Ok(text)
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
    fn frames_that_come_together_are_lines_of_their_own_in_their_order() {
        let frame = |number: usize| {
            let text = "x".repeat(number * 37 % 3000);
            format!(r#"{{"type":"user","uuid":"{number}","text":"{text}"}}"#)
        };
        let mut texts: Vec<_> = (0..100).map(frame).collect();
        texts.push(format!(" {}\r\n", frame(SHEET_BYTES)));
        texts.push(r#"{"type":"user","text":"no uuid"}"#.to_owned());
        texts.push(r#"{"type":"stream_event","text":"ü"}"#.to_owned());
        let lines = Line::accept_all(&texts).unwrap();
        assert_eq!(lines.len(), texts.len());
        for (line, text) in lines.iter().zip(&texts) {
            let alone = Line::accept(text).unwrap();
            let has_uuid = text.contains("\"uuid\"") || !line.is_stored();
            assert_eq!(line.is_stored(), alone.is_stored());
            assert_eq!(line.stated_uuid(), alone.stated_uuid());
            assert_eq!(line.wire().as_str(), format!("{}\n", line.frame().as_str()));
            assert_eq!(*line.frame() == *alone.frame(), has_uuid, "{text}");
        }
        assert!(lines[101].frame().uuid().is_some());
        assert!(Line::accept_all::<&str>(&[]).unwrap().is_empty());
    }

    #[test]
    fn one_bad_frame_of_several_refuses_them_all() {
        let good = r#"{"type":"user","uuid":"u1"}"#;
        for (bad, refused) in [
            ("{\"type\":\n\"user\"}", RefusedFrame::SeveralLines),
            (r#"{"type":"user","uuid":7}"#, RefusedFrame::Uuid),
            (
                r#"{"uuid":"u"}"#,
                RefusedFrame::Malformed(FrameError::NoType),
            ),
        ] {
            assert_eq!(Line::accept_all(&[good, bad]).err(), Some(refused), "{bad}");
        }
        assert!(Line::accept_all(&[good, "", good]).is_err());
    }

    #[test]
    fn a_line_that_is_kept_for_long_has_memory_of_its_own() {
        let text = r#"{"type":"user","uuid":"u1"}"#;
        let lines = Line::accept_all(&[text, text]).unwrap();
        let together = |one: &Line, other: &Line| {
            let start = other.wire().as_str().as_ptr().addr();
            start - one.wire().as_str().as_ptr().addr() == text.len() + 1
        };
        assert!(together(&lines[0], &lines[1]));
        let copy = lines[0].detached();
        assert_eq!(copy.wire(), lines[0].wire());
        assert_ne!(
            copy.wire().as_str().as_ptr(),
            lines[0].wire().as_str().as_ptr()
        );
        let live = Line::accept_live(r#"{"type":"progress"}"#).unwrap();
        assert!(!live.detached().is_stored());
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
