//! The frames that are served, and how many come at once.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tungstenite::protocol::frame::{
    Frame,
    coding::{Data, OpCode},
};

/// Frames that are written at once when there is no pause.
const BATCH: u64 = 64;

/// Longer than any client takes for one frame.
const PAUSE: Duration = Duration::from_micros(100);

/// What comes after the number in a frame that has one.
const ID_END: &str = "\"}\n";

/// What the text of a long frame is made of. The line breaks are escaped on the wire.
const PROSE: &str = "The queue is drained before the flush, so a slow reader costs one write and not \
                     sixty-four.\nThat is what `write_all` would have hidden, and what the \"fast\" path is for.\n";

/// A kind of frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A `stream_event` with a text delta, without a `uuid`, as they are never stored: 200 bytes.
    Delta,
    /// An `assistant` message with some prose and a fresh `uuid`: 4096 bytes.
    Assistant,
    /// Like `Delta`, and nothing comes with it: the next one comes after a pause.
    Alone,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Delta, Self::Assistant, Self::Alone];

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Delta => "200 bytes",
            Self::Assistant => "4096 bytes",
            Self::Alone => "200 bytes, each alone",
        }
    }

    /// How many are read in a round, for some seconds in all.
    pub(crate) fn messages(self) -> f64 {
        match self {
            Self::Delta => 1_500_000.0,
            Self::Assistant => 400_000.0,
            Self::Alone => 20_000.0,
        }
    }

    /// What comes before the next write, if anything does.
    pub(crate) fn pause(self) -> Option<Duration> {
        match self {
            Self::Delta | Self::Assistant => None,
            Self::Alone => Some(PAUSE),
        }
    }

    /// How long one is, in bytes.
    fn bytes(self) -> usize {
        match self {
            Self::Delta | Self::Alone => 200,
            Self::Assistant => 4096,
        }
    }

    /// The `number`th frame, with the newline that ends it.
    pub(crate) fn frame(self, number: u64) -> String {
        let (head, tail) = match self {
            Self::Delta | Self::Alone => (
                r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#.to_owned(),
                r#""}},"parent_tool_use_id":null,"session_id":"cse_1"}"#.to_owned(),
            ),
            Self::Assistant => (
                r#"{"type":"assistant","message":{"id":"msg_01","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":""#.to_owned(),
                format!(
                    r#""}}],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":12,"output_tokens":845}}}},"parent_tool_use_id":null,"session_id":"cse_1","uuid":"b5c1f2d0-0000-4000-8000-{number:012x}"}}"#
                ),
            ),
        };
        let room = self.bytes() - head.len() - tail.len() - 1;
        format!("{head}{}{tail}\n", escaped_prose(room))
    }

    /// Whether each frame is another one.
    fn has_id(self) -> bool {
        match self {
            Self::Delta | Self::Alone => false,
            Self::Assistant => true,
        }
    }

    /// How many are written at once.
    pub(crate) fn at_once(self) -> u64 {
        match self {
            Self::Delta | Self::Assistant => BATCH,
            Self::Alone => 1,
        }
    }
}

/// A batch of frames as they go over the socket. It is made once and then only numbered anew, so that the server
/// is not what everybody waits for.
pub(crate) struct Batch {
    kind: Kind,
    wire: Vec<u8>,
    /// How long one frame is there, in bytes.
    one: usize,
}

impl Batch {
    /// The first frames of `kind`.
    pub(crate) fn new(kind: Kind) -> Self {
        let mut wire = Vec::new();
        for number in 0..kind.at_once() {
            let text = kind.frame(number).into_bytes();
            // Writing to memory does not fail.
            let _ = Frame::message(text, OpCode::Data(Data::Text), true).format(&mut wire);
        }
        let one = usize::try_from(kind.at_once()).map_or(0, |frames| wire.len() / frames);
        Self { kind, wire, one }
    }

    /// What goes over the socket for the frames from `first` on that come before `end`, as many as a batch holds.
    pub(crate) fn wire(&mut self, first: u64, end: u64) -> &[u8] {
        let frames = self.kind.at_once().min(end.saturating_sub(first));
        if self.kind.has_id() {
            for (number, frame) in (first..).zip(self.wire.chunks_exact_mut(self.one)) {
                let digits = format!("{number:012x}");
                let end = frame.len() - ID_END.len();
                if let Some(place) = frame.get_mut(end - digits.len()..end) {
                    place.copy_from_slice(digits.as_bytes());
                }
            }
        }
        let length = usize::try_from(frames).map_or(0, |frames| frames * self.one);
        self.wire.get(..length).unwrap_or_default()
    }
}

/// Exactly `length` bytes of prose as they stand in a JSON string.
fn escaped_prose(length: usize) -> String {
    let mut text = String::with_capacity(length);
    for character in PROSE.chars().cycle() {
        let escaped = match character {
            '\n' => "\\n",
            '"' => "\\\"",
            other => {
                text.push(other);
                ""
            }
        };
        text.push_str(escaped);
        if text.len() >= length {
            break;
        }
    }
    if text.len() > length {
        // The last one was an escape of two characters.
        text.truncate(length - 1);
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_long_as_it_says_and_has_an_id_if_it_is_stored() {
        for (kind, has_id) in Kind::ALL.map(|kind| (kind, kind == Kind::Assistant)) {
            let text = kind.frame(7);
            assert_eq!(text.len(), kind.bytes());
            let frame = attache_protocol::frame::Frame::classify(text.trim().into()).unwrap();
            assert_eq!(frame.uuid().is_some(), has_id, "{kind:?}");
        }
    }

    #[test]
    fn a_batch_is_its_frames_one_after_the_other() {
        for kind in Kind::ALL {
            let mut batch = Batch::new(kind);
            for (first, end) in [(0, 1000), (64, 1000), (960, 1000)] {
                let mut expected = Vec::new();
                for number in first..end.min(first + kind.at_once()) {
                    let text = kind.frame(number).into_bytes();
                    let frame = Frame::message(text, OpCode::Data(Data::Text), true);
                    frame.format(&mut expected).unwrap();
                }
                assert!(batch.wire(first, end) == expected, "{kind:?} {first}");
            }
        }
    }

    #[test]
    fn text_of_any_length_is_made() {
        for length in 1..300 {
            let text = escaped_prose(length);
            assert_eq!(text.len(), length);
            let json = format!("\"{text}\"");
            serde_json::from_str::<String>(&json).expect(&json);
        }
    }
}
