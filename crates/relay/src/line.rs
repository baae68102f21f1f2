//! One frame on its way through the relay: checked, with an id, on one line.

use std::sync::{Arc, OnceLock};

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameError, FrameKind, UUID_LIMIT},
};
use axum::body::Bytes;
use memchr::memchr;

use crate::{
    id,
    outgoing::{Telling, message, message::Message},
};

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

/// A frame with what goes to a viewer's socket: a message of the frame and exactly one line break.
///
/// Several lines that came together share their memory. Cloning is a reference count.
#[derive(Clone)]
pub(crate) struct Line {
    sheet: Arc<Sheet>,
    at: usize,
}

struct Sheet {
    /// The messages of all its lines, one behind the other.
    messages: Bytes,
    lines: Vec<Parts>,
}

struct Parts {
    frame: Frame,
    start: usize,
    end: usize,
    kept: bool,
    uuid_is_ours: bool,
    /// As the first stream that needed it spells it.
    event: OnceLock<Box<(Telling, Bytes)>>,
}

impl Line {
    /// Takes in a frame from outside. One that will be stored and has no `uuid` gets one.
    pub(crate) fn accept(text: &str) -> Result<Self, RefusedFrame> {
        Self::alone(&[one_line(text)?], |_| {})?.identified()
    }

    /// Takes in several frames from outside, each like [`accept`](Self::accept), for fewer allocations.
    ///
    /// Who keeps one of them for long keeps a [copy](Self::detached).
    pub(crate) fn accept_all<T: AsRef<str>>(mut texts: &[T]) -> Result<Vec<Self>, RefusedFrame> {
        let mut lines = Vec::with_capacity(texts.len());
        while !texts.is_empty() {
            let room = |text: &T| message::room(text.as_ref().len());
            let mut bytes = 0;
            let fits = |text: &&T| {
                bytes += room(text);
                bytes <= SHEET_BYTES
            };
            let together = texts.iter().take_while(fits).count().max(1);
            let (now, later) = texts.split_at_checked(together).unwrap_or((texts, &[]));
            let mut messages = Vec::with_capacity(now.iter().map(room).sum());
            let mut places = Vec::with_capacity(together);
            for text in now {
                places.push(message::write(&mut messages, &[one_line(text.as_ref())?]));
            }
            let sheet = Arc::new(Sheet::read(messages, &places)?);
            for at in 0..places.len() {
                let sheet = sheet.clone();
                lines.push(Self { sheet, at }.identified()?);
            }
            texts = later;
        }
        Ok(lines)
    }

    /// Takes in a frame that is for those who are there, and for no log. A control frame is kept
    /// anyway: nobody could answer it otherwise.
    pub(crate) fn accept_live(text: &str) -> Result<Self, RefusedFrame> {
        let live = |parts: &mut Parts| {
            parts.kept = match parts.frame.kind() {
                FrameKind::Message { .. } | FrameKind::KeepAlive | FrameKind::Auth => false,
                FrameKind::ControlRequest { .. }
                | FrameKind::ControlResponse { .. }
                | FrameKind::ControlCancelRequest { .. }
                | FrameKind::UnknownControl { .. } => parts.kept,
            };
        };
        Self::alone(&[one_line(text)?], live)?.identified()
    }

    /// Takes back a frame that went through [`accept`](Self::accept) before, or was written here.
    pub(crate) fn known(text: &str) -> Result<Self, RefusedFrame> {
        Self::alone(&[text.trim()], |_| {})
    }

    /// The same line in memory of its own.
    pub(crate) fn detached(&self) -> Self {
        let copy = Self::alone(&[self.frame().as_str()], |copy| {
            copy.kept = self.parts().kept;
            copy.uuid_is_ours = self.parts().uuid_is_ours;
        });
        copy.unwrap_or_else(|_| self.clone())
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

    /// What goes to a socket.
    pub(crate) fn message(&self) -> Message<'_> {
        let Parts { start, end, .. } = *self.parts();
        Message {
            sheet: &self.sheet.messages,
            start,
            end,
        }
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

    /// The line that the `pieces` make, on a sheet of its own.
    fn alone(pieces: &[&str], adjust: impl FnOnce(&mut Parts)) -> Result<Self, RefusedFrame> {
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        let mut messages = Vec::with_capacity(message::room(bytes));
        let place = message::write(&mut messages, pieces);
        let mut sheet = Sheet::read(messages, &[place])?;
        if let Some(parts) = sheet.lines.first_mut() {
            adjust(parts);
        }
        Ok(Self {
            sheet: Arc::new(sheet),
            at: 0,
        })
    }

    /// With a `uuid` if it is kept.
    fn identified(self) -> Result<Self, RefusedFrame> {
        // One that is too long counts as none, and is refused when a new one would stand beside it.
        if self.frame().uuid().is_some() || !self.is_stored() {
            return Ok(self);
        }
        let text = self.frame().as_str();
        let fields = text.strip_suffix('}').unwrap_or(text);
        let uuid = id::uuid().map_err(|_| RefusedFrame::NoRandomness)?;
        let pieces = [fields, ",\"uuid\":\"", &uuid, "\"}"];
        // A `uuid` that was there all along, but as something else than a text, now stands there
        // twice.
        Self::alone(&pieces, |parts| parts.uuid_is_ours = true).map_err(|_| RefusedFrame::Uuid)
    }

    fn parts(&self) -> &Parts {
        let parts = self.sheet.lines.get(self.at);
        parts.expect("a line is made from the parts on its sheet")
    }
}

impl Sheet {
    /// Finds out what the frames in the messages are.
    fn read(messages: Vec<u8>, places: &[message::Written]) -> Result<Self, RefusedFrame> {
        let messages = Bytes::from(messages);
        let read = |place: &message::Written| {
            let text = messages.slice(place.text..place.end - 1);
            let text = ByteString::try_from(text).map_err(|_| FrameError::NotUtf8)?;
            let frame = Frame::classify(text).map_err(|bad| bad.error)?;
            Ok(Parts {
                kept: frame.is_stored(),
                uuid_is_ours: false,
                start: place.start,
                end: place.end,
                event: OnceLock::new(),
                frame,
            })
        };
        let lines: Result<_, RefusedFrame> = places.iter().map(read).collect();
        Ok(Self {
            lines: lines?,
            messages,
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
        assert_eq!(line.message().text(), format!("{text}\n"));
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
            assert_eq!(
                line.message().text(),
                format!("{}\n", line.frame().as_str())
            );
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
        let memory = |line: &Line| line.message().sheet.as_ptr();
        assert_eq!(memory(&lines[0]), memory(&lines[1]));
        assert_eq!(lines[0].message().end, lines[1].message().start);
        let copy = lines[0].detached();
        assert_eq!(copy.message().text(), lines[0].message().text());
        assert_ne!(memory(&copy), memory(&lines[0]));
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
