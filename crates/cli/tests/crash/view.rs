//! What one viewer has been shown, over all processes that went on where the one before them was.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) is_live: bool,
    /// The stored messages, by `uuid`, in their order.
    pub(crate) messages: Vec<String>,
    /// Where the next process may go on, and how many messages come before that.
    cursor: Option<(String, usize)>,
    /// What earlier processes have said, which only they are not shown.
    pub(crate) said_before: BTreeSet<String>,
    /// What turns ended with.
    pub(crate) results: BTreeSet<String>,
    pub(crate) broken_off: usize,
    /// Prompts that are shown.
    pub(crate) open: BTreeSet<String>,
    /// Prompts that are settled, and how.
    pub(crate) settled: BTreeMap<String, String>,
    /// Messages that were typed.
    pub(crate) typed: usize,
    /// How far they are.
    pub(crate) sends: BTreeMap<String, String>,
    /// Requests that were typed.
    pub(crate) asked: usize,
    /// Requests that have an outcome.
    pub(crate) outcomes: usize,
}

/// What a viewer has to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    Answer(String),
    /// Its answer to this prompt counts.
    Won(String),
    /// This message is in the log, as far as the server says.
    Accepted(String),
}

impl View {
    /// Another process goes on from the last cursor; with none, there is nothing to go on from.
    pub(crate) fn resume(self) -> (Option<String>, Self) {
        let Some((cursor, messages)) = self.cursor.clone() else {
            return (None, Self::default());
        };
        let mut next = Self {
            messages: self.messages,
            cursor: self.cursor,
            results: self.results,
            broken_off: self.broken_off,
            said_before: self.said_before,
            ..Self::default()
        };
        // What came behind the cursor comes again.
        next.messages.truncate(messages);
        next.said_before.extend(self.sends.into_keys());
        (Some(cursor), next)
    }

    pub(crate) fn event(&mut self, event: &Value) -> Option<Reaction> {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap_or_default() {
            "status" => self.is_live = event["status"] == "live",
            "message" => self.message(&event["message"]),
            "cursor" => self.cursor = Some((text("cursor"), self.messages.len())),
            "permission_requested" => {
                let id = text("request_id");
                self.open.insert(id.clone());
                return Some(Reaction::Answer(id));
            }
            "permission_withdrawn" => drop(self.open.remove(&text("request_id"))),
            "permission_settled" => {
                let id = text("request_id");
                self.open.remove(&id);
                let again = self.settled.insert(id.clone(), text("behavior"));
                assert_eq!(again, None, "{event}");
                if event["by"] == "us" {
                    return Some(Reaction::Won(id));
                }
            }
            "send" => {
                let (id, state) = (text("id"), text("state"));
                assert_ne!(state, "rejected", "{event}");
                self.sends.insert(id.clone(), state.clone());
                if state == "accepted" {
                    return Some(Reaction::Accepted(id));
                }
            }
            "request" => self.outcomes += 1,
            "gap" | "malformed" | "unresponsive" => panic!("{event}"),
            _ => {}
        }
        None
    }

    /// A command was refused.
    pub(crate) fn note(&mut self, note: &str) {
        if note.starts_with("interrupt was refused") {
            self.outcomes += 1;
        }
    }

    fn message(&mut self, frame: &Value) {
        if frame["type"] == "stream_event" {
            return;
        }
        let id = frame["uuid"].as_str().expect("stored").to_owned();
        self.messages.push(id);
        if frame["type"] == "result" {
            match frame["result"].as_str() {
                Some(text) => drop(self.results.insert(text.to_owned())),
                None => self.broken_off += 1,
            }
        }
    }

    /// Whether everything that was typed has come to its end.
    pub(crate) fn is_done(&self) -> bool {
        let is_final = |state: &String| {
            ["accepted", "delivered", "processing", "processed"].contains(&state.as_str())
        };
        self.is_live
            && self.sends.len() == self.typed
            && self.sends.values().all(is_final)
            && self.outcomes >= self.asked
    }
}
