//! How far the agent has got with what viewers said to it, for the viewers.

use std::collections::BTreeMap;

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameKind},
};

use super::DeliveryStatus;
use crate::outgoing::Item;

/// How many messages' states are kept for whoever subscribes, once the agent is done with them.
const REMEMBERED: usize = 256;

/// The viewers' messages, from the last ones that the agent is done with.
#[derive(Default)]
pub(super) struct Progress {
    messages: BTreeMap<u64, Message>,
    processed: usize,
}

struct Message {
    uuid: ByteString,
    state: Option<State>,
}

struct State {
    status: DeliveryStatus,
    /// What viewers are told; all of them share it.
    update: Item,
}

impl Progress {
    /// A viewer's frame has been stored; only messages count.
    pub(super) fn add(&mut self, sequence: u64, frame: &Frame) {
        let is_message = match frame.kind() {
            FrameKind::Message { type_name } => &**type_name == "user",
            FrameKind::ControlRequest { .. }
            | FrameKind::ControlResponse { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. } => false,
        };
        if let (true, Some(uuid)) = (is_message, frame.uuid()) {
            let message = Message {
                // A copy, because the id that came shares the memory of its frame.
                uuid: ByteString::from(&**uuid),
                state: None,
            };
            self.messages.insert(sequence, message);
        }
    }

    /// The agent says how far it is with one of them. It never goes backwards. Returns what viewers
    /// are to be told.
    pub(super) fn advance(&mut self, sequence: u64, status: DeliveryStatus) -> Option<Item> {
        let message = self.messages.get_mut(&sequence)?;
        let before = message.state.as_ref().map(|state| state.status);
        if before >= Some(status) {
            return None;
        }
        let update = Item::delivery(&message.uuid, status);
        message.state = Some(State {
            status,
            update: update.clone(),
        });
        if status == DeliveryStatus::Processed {
            self.processed += 1;
            self.forget_the_oldest();
        }
        Some(update)
    }

    /// The agent is done with everything up to `sequence`. Returns what viewers are to be told.
    pub(super) fn advance_all(&mut self, sequence: u64) -> Vec<Item> {
        let due: Vec<u64> = self
            .messages
            .range(..=sequence)
            .filter(|(_, message)| !message.is_processed())
            .map(|(sequence, _)| *sequence)
            .collect();
        due.into_iter()
            .filter_map(|sequence| self.advance(sequence, DeliveryStatus::Processed))
            .collect()
    }

    /// What whoever subscribes is told, the oldest message first.
    pub(super) fn updates(&self) -> impl Iterator<Item = &Item> {
        let known = self.messages.values().filter_map(|one| one.state.as_ref());
        let surplus = known.clone().count().saturating_sub(REMEMBERED);
        known.skip(surplus).map(|state| &state.update)
    }

    fn forget_the_oldest(&mut self) {
        while self.processed > REMEMBERED {
            let mut processed = self.messages.iter().filter(|(_, one)| one.is_processed());
            let Some(oldest) = processed.next().map(|(sequence, _)| *sequence) else {
                return;
            };
            self.messages.remove(&oldest);
            self.processed -= 1;
        }
    }
}

impl Message {
    fn is_processed(&self) -> bool {
        let status = self.state.as_ref().map(|state| state.status);
        status == Some(DeliveryStatus::Processed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(items: &[Item]) -> Vec<String> {
        let texts = items.iter().map(|item| item.wire().unwrap());
        texts.collect()
    }

    fn message(uuid: &str) -> Frame {
        Frame::classify(format!(r#"{{"type":"user","uuid":"{uuid}"}}"#).into()).unwrap()
    }

    #[test]
    fn a_message_never_goes_back_and_only_messages_count() {
        use DeliveryStatus::{Processed, Processing, Received};
        let mut progress = Progress::default();
        progress.add(3, &message("a"));
        progress.add(4, &message("b"));
        let other = r#"{"type":"control_cancel_request","request_id":"r","uuid":"c"}"#;
        progress.add(5, &Frame::classify(other.into()).unwrap());
        assert!(progress.advance(3, Processing).is_some());
        assert!(progress.advance(3, Received).is_none());
        assert!(progress.advance(3, Processing).is_none());
        assert!(progress.advance(5, Processed).is_none());
        assert!(progress.advance(9, Processed).is_none());
        assert_eq!(progress.updates().count(), 1);
        assert_eq!(progress.advance_all(3).len(), 1);
        let news = told(&progress.advance_all(5));
        assert!(news[0].contains("\"b\"") && news[0].contains("PROCESSED"));
        assert_eq!(news.len(), 1);
        assert!(progress.advance_all(5).is_empty());
    }

    #[test]
    fn the_last_states_are_kept_and_whatever_still_waits() {
        let mut progress = Progress::default();
        for sequence in 1..=1000 {
            progress.add(sequence, &message(&sequence.to_string()));
        }
        progress.advance(1, DeliveryStatus::Received);
        for sequence in 2..=900 {
            assert!(
                progress
                    .advance(sequence, DeliveryStatus::Processed)
                    .is_some()
            );
        }
        assert_eq!(progress.messages.len(), 1 + 256 + 100);
        let updates: Vec<_> = progress.updates().cloned().collect();
        assert_eq!(updates.len(), 256);
        assert!(told(&updates)[255].contains("\"900\""));
        let news = progress.advance(1, DeliveryStatus::Processed);
        assert!(news.is_some(), "however old it is");
        assert_eq!(progress.advance_all(1000).len(), 100);
        assert_eq!(progress.messages.len(), 256);
    }
}
