//! What became of the agent's requests, for those who answer late.

use std::collections::{BTreeMap, HashMap};

use attache_protocol::{
    ByteString,
    frame::{RequestId, relay::AnsweredBy},
};

use crate::line::Line;

/// How many requests are remembered.
const REMEMBERED: usize = 1024;

/// How a request came to its end.
pub(super) enum Settled {
    Answered(Box<Winner>),
    /// Nobody asks it any more.
    Withdrawn,
    /// Taken back because its agent was not heard of. It may be waiting all the same, and has not been
    /// told.
    Lost(Deserter),
}

/// The worker's process that was not heard of; in its own words, if it gave itself a name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Deserter(pub(super) Option<ByteString>);

/// The answer that counted.
pub(super) struct Winner {
    /// Its `uuid`.
    pub(super) answer_id: ByteString,
    pub(super) by: Option<AnsweredBy>,
    /// What the viewers were told of it, if it answered a prompt.
    pub(super) settlement: Option<Line>,
}

/// The requests that ended last.
#[derive(Default)]
pub(super) struct SettledRequests {
    by_id: HashMap<RequestId, (u64, Settled)>,
    in_order: BTreeMap<u64, RequestId>,
    so_far: u64,
}

impl SettledRequests {
    pub(super) fn add(&mut self, request_id: &RequestId, settled: Settled) {
        self.forget(request_id);
        // A copy, because the id that came shares the memory of its frame.
        let Some(request_id) = RequestId::new(ByteString::from(request_id.as_str())) else {
            return;
        };
        self.so_far += 1;
        self.in_order.insert(self.so_far, request_id.clone());
        self.by_id.insert(request_id, (self.so_far, settled));
        while self.in_order.len() > REMEMBERED
            && let Some((_, oldest)) = self.in_order.pop_first()
        {
            self.by_id.remove(&oldest);
        }
    }

    /// It is asked again.
    pub(super) fn forget(&mut self, request_id: &RequestId) {
        if let Some((number, _)) = self.by_id.remove(request_id) {
            self.in_order.remove(&number);
        }
    }

    /// What `returned` asked and may still wait for, the oldest first.
    pub(super) fn lost_by<'a>(
        &'a self,
        returned: &'a Deserter,
    ) -> impl Iterator<Item = &'a RequestId> {
        let lost = move |id: &&RequestId| matches!(self.find(id), Some(Settled::Lost(lost)) if lost == returned);
        self.in_order.values().filter(lost)
    }

    pub(super) fn find(&self, request_id: &RequestId) -> Option<&Settled> {
        self.by_id.get(request_id).map(|(_, settled)| settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> RequestId {
        RequestId::new(number.to_string()).unwrap()
    }

    #[test]
    fn the_oldest_are_forgotten_and_one_that_is_asked_again_is_not_settled() {
        let mut settled = SettledRequests::default();
        for number in 0..=REMEMBERED {
            settled.add(&id(number), Settled::Withdrawn);
        }
        assert!(settled.find(&id(0)).is_none() && settled.find(&id(1)).is_some());
        settled.forget(&id(1));
        assert!(settled.find(&id(1)).is_none());
        settled.add(&id(1), Settled::Withdrawn);
        settled.add(&id(0), Settled::Withdrawn);
        assert!(settled.find(&id(1)).is_some() && settled.find(&id(2)).is_none());
        assert_eq!(settled.by_id.len(), settled.in_order.len());
    }
}
