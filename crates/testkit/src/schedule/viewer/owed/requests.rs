//! Our requests: each has one outcome, arrives at most once, and an interrupt stays in its turn.

use std::collections::{BTreeMap, BTreeSet};

use attache_protocol::viewer::RequestOutcome;
use serde_json::Value;

use super::{frames_of, request_id_of};
use crate::server::Received;

#[derive(Default)]
pub(super) struct Requests {
    open: BTreeMap<String, Option<u64>>,
    received: BTreeSet<String>,
    turns: u64,
    leaving: Vec<(String, u64)>,
}

impl Requests {
    /// `turn` is the turn that it is meant for, if it is meant for one.
    pub(super) fn requested(&mut self, id: &str, turn: Option<u64>) {
        self.open.insert(id.to_owned(), turn);
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    pub(super) fn turn_over(&mut self) {
        self.turns += 1;
    }

    pub(super) fn received(&mut self, received: &Received) -> Result<(), String> {
        match request_id_of(received) {
            Some(id) if !self.received.insert(id.clone()) => {
                Err(format!("request {id} arrives twice"))
            }
            _ => Ok(()),
        }
    }

    /// A text leaves the viewer.
    pub(super) fn leaves(&mut self, text: &str) {
        if !text.contains("interrupt") {
            return;
        }
        for frame in frames_of(text) {
            let id = frame.get("request_id").and_then(Value::as_str);
            let id = id.unwrap_or_default();
            if let Some(Some(turn)) = self.open.get(id) {
                self.leaving.push((id.to_owned(), *turn));
            }
        }
    }

    /// Everything that came of the last call has been seen.
    pub(super) fn next_call(&mut self) -> Result<(), String> {
        for (id, turn) in self.leaving.drain(..) {
            if turn != self.turns {
                return Err(format!(
                    "the interrupt {id} of turn {turn} leaves in turn {}",
                    self.turns
                ));
            }
        }
        Ok(())
    }

    pub(super) fn over(&mut self, id: &str, outcome: &RequestOutcome) -> Result<(), String> {
        if self.open.remove(id).is_none() {
            return Err(format!("request {id} is over, and was not open"));
        }
        if *outcome == RequestOutcome::Expired && self.received.contains(id) {
            return Err(format!("request {id} was never sent, and arrived"));
        }
        Ok(())
    }

    pub(super) fn settled(&self) -> Result<(), String> {
        match self.open.keys().next() {
            Some(id) => Err(format!("request {id} has no outcome")),
            None => Ok(()),
        }
    }
}
