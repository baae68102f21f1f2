//! Our messages: each has one fate, the server agrees with it, and they arrive in order.

use std::collections::BTreeMap;

use attache_protocol::viewer::{SendRejection, SendState};

use crate::server::Chronicled;

#[derive(Default)]
pub(super) struct Sends {
    ours: BTreeMap<String, Ours>,
    open: usize,
    learned: usize,
    last_stored: Option<usize>,
}

struct Ours {
    number: usize,
    fate: Fate,
    /// Whether an answer to a post of it was lost.
    unknown: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Taken,
    Refused,
    /// It can't have arrived.
    NeverSent,
}

impl Sends {
    pub(super) fn sent(&mut self, id: &str) {
        let ours = Ours {
            number: self.ours.len(),
            fate: Fate::Open,
            unknown: false,
        };
        self.ours.insert(id.to_owned(), ours);
        self.open += 1;
    }

    /// Another process knows nothing of these messages.
    pub(super) fn begin_anew(&self) -> Self {
        Self {
            learned: self.learned,
            ..Self::default()
        }
    }

    pub(super) fn is_ours(&self, id: &str) -> bool {
        self.ours.contains_key(id)
    }

    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn is_open(&self, id: &str) -> bool {
        let ours = self.ours.get(id);
        ours.is_some_and(|ours| ours.fate == Fate::Open)
    }

    /// The server stored these.
    pub(super) fn learn(&mut self, chronicle: &[Chronicled]) -> Result<(), String> {
        for entry in chronicle.get(self.learned..).unwrap_or_default() {
            let Some(ours) = self.ours.get(&entry.uuid) else {
                continue;
            };
            if self.last_stored >= Some(ours.number) {
                return Err(format!(
                    "{} arrives after what was sent after it",
                    entry.uuid
                ));
            }
            if ours.fate == Fate::NeverSent {
                return Err(format!("{} arrives, though it was never sent", entry.uuid));
            }
            self.last_stored = Some(ours.number);
        }
        self.learned = chronicle.len();
        Ok(())
    }

    pub(super) fn state(
        &mut self,
        id: &str,
        state: &SendState,
        stored: bool,
    ) -> Result<(), String> {
        let Some(ours) = self.ours.get_mut(id) else {
            return Err(format!("{id} is {state:?}, and nobody sent it"));
        };
        if *state == SendState::Unknown {
            ours.unknown = true;
        }
        let fate = match state {
            SendState::Queued | SendState::InFlight | SendState::Unknown => return Ok(()),
            SendState::Accepted
            | SendState::Delivered
            | SendState::Processing
            | SendState::Processed => Fate::Taken,
            SendState::Rejected(SendRejection::Closed) => Fate::NeverSent,
            SendState::Rejected(_) => Fate::Refused,
        };
        if ours.fate == Fate::Open {
            self.open -= 1;
        } else if ours.fate != fate {
            return Err(format!("{id} is {state:?} after it was {:?}", ours.fate));
        }
        ours.fate = fate;
        match fate {
            Fate::Taken if !stored => Err(format!("{id} is {state:?}, and did not arrive")),
            Fate::NeverSent if stored => Err(format!("{id} is {state:?}, and did arrive")),
            Fate::Open | Fate::Taken | Fate::Refused | Fate::NeverSent => Ok(()),
        }
    }

    pub(super) fn settled(&self) -> Result<(), String> {
        match self.ours.iter().find(|(_, ours)| ours.fate == Fate::Open) {
            Some((id, _)) => Err(format!("{id} has no fate")),
            None => Ok(()),
        }
    }

    pub(super) fn closed(&self, stored: impl Fn(&str) -> bool) -> Result<(), String> {
        self.settled()?;
        let arrived = |(id, ours): &(&String, &Ours)| ours.fate == Fate::NeverSent && stored(id);
        match self.ours.iter().find(arrived) {
            Some((id, _)) => Err(format!("{id} arrived, though it was never sent")),
            None => Ok(()),
        }
    }
}

pub(super) fn is_decided(state: &SendState) -> bool {
    match state {
        SendState::Queued | SendState::InFlight | SendState::Unknown => false,
        SendState::Accepted
        | SendState::Delivered
        | SendState::Processing
        | SendState::Processed
        | SendState::Rejected(_) => true,
    }
}
