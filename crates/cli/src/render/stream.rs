//! Text that is printed as it is spoken, and recognised when it comes again as a whole.

use std::collections::VecDeque;

use serde_json::Value;

/// How many messages are remembered; several agents may speak at once.
const REMEMBERED: usize = 16;

/// What has been printed of messages whose whole has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    messages: VecDeque<Spoken>,
    last: Option<(Lane, u64)>,
}

/// A message in the middle of being spoken.
#[derive(Debug)]
struct Spoken {
    lane: Lane,
    /// Unknown when its beginning was not seen.
    id: Option<String>,
    blocks: Vec<(u64, String)>,
}

/// Which of several agents speaks: the tool use that started it, if any.
type Lane = Option<String>;

/// A piece of text to print now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// It belongs to the very text printed last.
    pub(crate) continues: bool,
}

/// What is still to be printed of a whole text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest<'t> {
    Nothing,
    Tail(&'t str),
    All,
}

impl Streams {
    /// Takes one `stream_event`; text in it is to be printed.
    pub(crate) fn event(&mut self, frame: &Value) -> Option<Piece> {
        let lane = lane(frame);
        let event = frame.get("event")?;
        match event.get("type")?.as_str()? {
            "message_start" => {
                let id = event.pointer("/message/id").and_then(Value::as_str);
                self.begin(lane, id.map(str::to_owned));
                None
            }
            "content_block_delta" => {
                let delta = event.get("delta")?;
                if delta.get("type")?.as_str()? != "text_delta" {
                    return None;
                }
                let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
                let text = delta.get("text")?.as_str()?.to_owned();
                self.append(&lane, index, &text);
                let here = (lane, index);
                let continues = self.last.as_ref() == Some(&here);
                self.last = Some(here);
                Some(Piece { text, continues })
            }
            _ => None,
        }
    }

    /// Takes a whole text block of message `id`: what has not been printed of it yet.
    pub(crate) fn whole<'t>(&mut self, id: Option<&str>, text: &'t str) -> Rest<'t> {
        let spoken = self
            .messages
            .iter_mut()
            .filter(|spoken| spoken.id.is_none() || spoken.id.as_deref() == id);
        for message in spoken {
            let found = message
                .blocks
                .iter()
                .position(|(_, said)| !said.is_empty() && text.starts_with(said.as_str()));
            let Some(found) = found else { continue };
            let (index, said) = message.blocks.remove(found);
            let here = (message.lane.clone(), index);
            return match text.get(said.len()..) {
                None | Some("") => Rest::Nothing,
                Some(tail) if self.last.as_ref() == Some(&here) => Rest::Tail(tail),
                Some(_) => Rest::All,
            };
        }
        Rest::All
    }

    /// Something else was printed: the next piece starts a new line.
    pub(crate) fn interrupted(&mut self) {
        self.last = None;
    }

    /// The turn is over; nothing of it will come again.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.last = None;
    }

    fn begin(&mut self, lane: Lane, id: Option<String>) {
        if self.messages.len() >= REMEMBERED {
            self.messages.pop_front();
        }
        self.last = None;
        self.messages.push_back(Spoken {
            lane,
            id,
            blocks: Vec::new(),
        });
    }

    fn append(&mut self, lane: &Lane, index: u64, text: &str) {
        if !self.messages.iter().any(|message| message.lane == *lane) {
            self.begin(lane.clone(), None);
        }
        let Some(message) = self.messages.iter_mut().rev().find(|m| m.lane == *lane) else {
            return;
        };
        match message.blocks.iter_mut().find(|(known, _)| *known == index) {
            Some((_, said)) => said.push_str(text),
            None => message.blocks.push((index, text.to_owned())),
        }
    }
}

fn lane(frame: &Value) -> Lane {
    frame
        .get("parent_tool_use_id")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn start(id: &str) -> Value {
        json!({"event": {"type": "message_start", "message": {"id": id}}})
    }

    fn delta(index: u64, text: &str) -> Value {
        json!({"event": {"type": "content_block_delta", "index": index,
            "delta": {"type": "text_delta", "text": text}}})
    }

    #[test]
    fn a_whole_text_that_was_spoken_is_not_repeated() {
        let mut streams = Streams::default();
        assert_eq!(streams.event(&start("m1")), None);
        assert!(!streams.event(&delta(0, "Hel")).unwrap().continues);
        assert!(streams.event(&delta(0, "lo")).unwrap().continues);
        assert_eq!(streams.whole(Some("m1"), "Hello"), Rest::Nothing);
        assert_eq!(streams.whole(Some("m1"), "Hello"), Rest::All);
    }

    #[test]
    fn a_text_that_broke_off_is_finished() {
        let mut streams = Streams::default();
        streams.event(&start("m1"));
        streams.event(&delta(0, "Hel"));
        assert_eq!(streams.whole(Some("m1"), "Hello"), Rest::Tail("lo"));
    }

    #[test]
    fn a_text_with_a_hole_is_printed_again() {
        let mut streams = Streams::default();
        streams.event(&start("m1"));
        streams.event(&delta(0, "He"));
        streams.event(&delta(0, "o"));
        assert_eq!(streams.whole(Some("m1"), "Hello"), Rest::All);
        assert_eq!(streams.whole(Some("m2"), "He"), Rest::All);
    }

    #[test]
    fn a_beginning_that_was_missed_does_not_matter() {
        let mut streams = Streams::default();
        streams.event(&delta(0, "all of it"));
        assert_eq!(streams.whole(Some("m9"), "all of it"), Rest::Nothing);
    }

    #[test]
    fn blocks_of_one_message_are_told_apart() {
        let mut streams = Streams::default();
        streams.event(&start("m1"));
        streams.event(&delta(0, "one"));
        assert!(!streams.event(&delta(2, "two")).unwrap().continues);
        assert_eq!(streams.whole(Some("m1"), "one"), Rest::Nothing);
        assert_eq!(streams.whole(Some("m1"), "two"), Rest::Nothing);
    }
}
