//! Requests of viewers: each gets exactly one response in time, the agent's or ours.

use alloc::collections::BTreeMap;
use core::time::Duration;

use bytestring::ByteString;

use super::config::WorkerPatience;
use crate::{
    frame::{RawJson, RequestId, control},
    time::Timestamp,
};

/// The requests the agent has not answered.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Requests {
    open: BTreeMap<RequestId, Open>,
}

#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
struct Open {
    deadline: Option<Timestamp>,
    fallback: Fallback,
}

/// What is said when the agent says nothing.
#[derive(Copy, Clone)]
#[cfg_attr(test, derive(Debug))]
enum Fallback {
    LeastAnswer,
    Error,
}

impl Requests {
    /// A viewer asks. Refused when too many are open, or one has the id.
    pub(super) fn asked(
        &mut self,
        id: &RequestId,
        subtype: &str,
        now: Timestamp,
        patience: &WorkerPatience,
        limit: usize,
    ) -> Result<(), ByteString> {
        if self.open.contains_key(id) {
            return Ok(());
        }
        if self.open.len() >= limit {
            return Err(control::error(id, "Too many open requests"));
        }
        let (delay, fallback): (Duration, Fallback) = match subtype {
            "initialize" => (patience.initialize, Fallback::LeastAnswer),
            _ => (patience.request, Fallback::Error),
        };
        let deadline = now.checked_add(delay.max(Duration::from_nanos(1)));
        self.open.insert(id.detached(), Open { deadline, fallback });
        Ok(())
    }

    /// The agent answers `id`; whether anybody still waits for that.
    pub(super) fn answered(&mut self, id: &RequestId) -> bool {
        self.open.remove(id).is_some()
    }

    /// The viewer no longer wants an answer.
    pub(super) fn withdrawn(&mut self, id: &RequestId) {
        self.open.remove(id);
    }

    /// The answer to the oldest request that is due.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Option<ByteString> {
        let (id, fallback) = self
            .open
            .iter()
            .filter(|(_, open)| open.deadline.is_some_and(|deadline| deadline <= now))
            .min_by_key(|(_, open)| open.deadline)
            .map(|(id, open)| (id.clone(), open.fallback))?;
        self.open.remove(&id);
        Some(
            match (fallback, RawJson::parse(control::LEAST_INTRODUCTION)) {
                (Fallback::LeastAnswer, Ok(answer)) => control::success(&id, &answer),
                (Fallback::LeastAnswer | Fallback::Error, _) => {
                    control::error(&id, "The agent did not answer in time")
                }
            },
        )
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.open.values().filter_map(|open| open.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &'static str) -> RequestId {
        RequestId::new(text).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_origin(Duration::from_secs(seconds))
    }

    fn asked(subtype: &str) -> Requests {
        let mut requests = Requests::default();
        let patience = WorkerPatience::default();
        requests
            .asked(&id("r"), subtype, at(0), &patience, 8)
            .unwrap();
        requests
    }

    #[test]
    fn initialize_is_answered_before_viewers_give_up() {
        let mut requests = asked("initialize");
        assert!(requests.deadline().unwrap() < at(10));
        assert!(requests.overdue(at(7)).is_none());
        let answer = requests.overdue(at(8)).unwrap();
        assert!(answer.contains("\"success\"") && answer.contains("available_output_styles"));
        assert!(!requests.answered(&id("r")));
    }

    #[test]
    fn the_agents_answer_counts_once() {
        let mut requests = asked("set_model");
        assert!(requests.answered(&id("r")));
        assert!(!requests.answered(&id("r")));
        assert!(requests.overdue(at(99)).is_none());
    }

    #[test]
    fn a_request_nobody_answers_fails() {
        let mut requests = asked("set_model");
        assert!(requests.overdue(at(60)).unwrap().contains("\"error\""));
    }
}
