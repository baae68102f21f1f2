//! How far the log has been delivered.

use bytestring::ByteString;

use crate::frame::{Frame, FrameKind};

/// The place to go on from, and a place to go back to when the server does not know that one.
#[derive(Clone, Debug, Default)]
pub(super) struct Position {
    last: Last,
    anchor: Anchor,
}

/// The last stored frame delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Last {
    /// Nothing is known of the log.
    #[default]
    Unknown,
    /// The log was empty.
    Start,
    /// This one.
    Frame(ByteString),
}

/// The last frame that the server has stored for sure. Whether it keeps frames of a type without a name
/// here is only known once it is asked to list what follows one.
#[derive(Clone, Debug, Default)]
struct Anchor {
    id: Option<ByteString>,
    /// How many frames have been delivered since.
    passed: usize,
}

/// Where to go on from.
pub(super) enum GoOn {
    /// There is no such place.
    Nowhere,
    /// After this frame, or from the beginning.
    After(Option<ByteString>),
}

impl Position {
    pub(super) fn go_on(&self) -> GoOn {
        match &self.last {
            Last::Unknown => GoOn::Nowhere,
            Last::Start => GoOn::After(None),
            Last::Frame(id) => GoOn::After(Some(id.clone())),
        }
    }

    /// The last stored frame delivered, if there was one.
    pub(super) fn last(&self) -> Option<&ByteString> {
        match &self.last {
            Last::Frame(id) => Some(id),
            Last::Unknown | Last::Start => None,
        }
    }

    /// A frame was delivered live. Requests do not count: an old one is asked again when a link opens.
    /// Returns whether the frame is a place to go on from.
    pub(super) fn delivered(&mut self, frame: &Frame) -> bool {
        let Some(uuid) = frame.uuid() else {
            return false;
        };
        if !frame.is_stored() || matches!(frame.kind(), FrameKind::ControlRequest { .. }) {
            return false;
        }
        let id = ByteString::from(&**uuid);
        self.anchor.passed += 1;
        if is_surely_stored(frame) {
            self.anchor = Anchor {
                id: Some(id.clone()),
                passed: 0,
            };
        }
        self.last = Last::Frame(id);
        true
    }

    /// Everything up to the frame `id` was delivered before.
    pub(super) fn resume_after(&mut self, id: &ByteString) {
        self.last = Last::Frame(id.clone());
    }

    /// The list was read up to `last`; `None` when it was empty.
    pub(super) fn listed(&mut self, last: Option<ByteString>) {
        self.anchor = Anchor {
            id: last.clone(),
            passed: 0,
        };
        self.last = last.map_or(Last::Start, Last::Frame);
    }

    /// Where to go back to when the server does not know `after`: `None` when that would not help, or
    /// more than `remembered` frames came since.
    pub(super) fn fall_back(&self, after: &ByteString, remembered: usize) -> Option<&ByteString> {
        let anchor = self.anchor.id.as_ref()?;
        let helps = self.last() == Some(after) && anchor != after;
        (helps && self.anchor.passed < remembered).then_some(anchor)
    }
}

/// Whether every server stores frames of this type.
pub(super) fn is_surely_stored(frame: &Frame) -> bool {
    matches!(frame.type_name(), "user" | "assistant" | "result")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(type_name: &str, uuid: usize) -> Frame {
        let text = alloc::format!(r#"{{"type":"{type_name}","uuid":"{uuid}"}}"#);
        Frame::classify(text.into()).unwrap()
    }

    #[test]
    fn it_goes_back_over_no_more_frames_than_are_remembered() {
        for (passed, goes_back) in [(1, true), (9, true), (10, false), (11, false)] {
            let mut position = Position::default();
            position.delivered(&frame("assistant", 0));
            for uuid in 1..=passed {
                position.delivered(&frame("novelty", uuid));
            }
            let last = position.last().unwrap();
            let anchor = position.fall_back(last, 10);
            assert_eq!(anchor.is_some(), goes_back, "{passed} passed");
        }
    }
}
