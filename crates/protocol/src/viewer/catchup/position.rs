//! How far the log has been delivered.

use bytestring::ByteString;

use crate::{
    frame::{Frame, FrameKind},
    kept_id::KeptId,
};

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
    Frame(KeptId),
}

/// The last frame that the server has stored for sure. Whether it keeps frames of a type without a name
/// here is only known once it is asked to list what follows one.
#[derive(Clone, Debug, Default)]
struct Anchor {
    id: Option<KeptId>,
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
            Last::Frame(id) => GoOn::After(Some(id.text())),
        }
    }

    /// The last stored frame delivered, if there was one.
    pub(super) fn last(&self) -> Option<&KeptId> {
        match &self.last {
            Last::Frame(id) => Some(id),
            Last::Unknown | Last::Start => None,
        }
    }

    /// A frame was delivered live. Requests do not count: an old one is asked again when a link opens.
    /// Returns whether the frame is a place to go on from.
    pub(super) fn delivered(&mut self, frame: &Frame, id: &KeptId) -> bool {
        if !frame.is_stored() || matches!(frame.kind(), FrameKind::ControlRequest { .. }) {
            return false;
        }
        self.anchor.passed += 1;
        if is_surely_stored(frame) {
            self.anchor = Anchor {
                id: Some(id.clone()),
                passed: 0,
            };
        }
        self.last = Last::Frame(id.clone());
        true
    }

    /// Everything up to the frame `id` was delivered before.
    pub(super) fn resume_after(&mut self, id: &KeptId) {
        self.last = Last::Frame(id.clone());
    }

    /// The list was read up to `last`; `None` when it was empty.
    pub(super) fn listed(&mut self, last: Option<&ByteString>) {
        let last = last.map(KeptId::from);
        self.anchor = Anchor {
            id: last.clone(),
            passed: 0,
        };
        self.last = last.map_or(Last::Start, Last::Frame);
    }

    /// Where to go back to when the server does not know `after`: `None` when that would not help, or
    /// more than `remembered` frames came since.
    pub(super) fn fall_back(&self, after: &ByteString, remembered: usize) -> Option<ByteString> {
        let anchor = self.anchor.id.as_ref()?;
        let after = KeptId::from(after);
        let helps = self.last() == Some(&after) && *anchor != after;
        (helps && self.anchor.passed < remembered).then(|| anchor.text())
    }
}

/// Whether every server stores frames of this type.
pub(super) fn is_surely_stored(frame: &Frame) -> bool {
    matches!(frame.type_name(), "user" | "assistant" | "result")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(position: &mut Position, type_name: &str, uuid: usize) {
        let text = alloc::format!(r#"{{"type":"{type_name}","uuid":"{uuid}"}}"#);
        let frame = Frame::classify(text.into()).unwrap();
        let id = KeptId::from(frame.uuid().unwrap());
        position.delivered(&frame, &id);
    }

    #[test]
    fn it_goes_back_over_no_more_frames_than_are_remembered() {
        for (passed, goes_back) in [(1, true), (9, true), (10, false), (11, false)] {
            let mut position = Position::default();
            deliver(&mut position, "assistant", 0);
            for uuid in 1..=passed {
                deliver(&mut position, "novelty", uuid);
            }
            let last = position.last().unwrap().text();
            let anchor = position.fall_back(&last, 10);
            assert_eq!(anchor.is_some(), goes_back, "{passed} passed");
        }
    }
}
