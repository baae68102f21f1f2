//! What has to hold for a log, and for what everybody was shown of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::view::View;

/// A session's log as `attache log` prints it.
pub(crate) struct Record {
    pub(crate) lines: Vec<String>,
    frames: Vec<Value>,
}

impl Record {
    pub(crate) fn new(stdout: &str) -> Self {
        let lines: Vec<_> = stdout.lines().map(str::to_owned).collect();
        let frames = lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("a frame"))
            .collect();
        Self { lines, frames }
    }

    /// What is wrong with `view`, if anything.
    pub(crate) fn against(&self, view: &View) -> Result<(), String> {
        let shown: BTreeSet<_> = view.messages.iter().map(String::as_str).collect();
        let messages: Vec<_> = self
            .frames
            .iter()
            .filter(|frame| is_message(frame))
            .map(|frame| str_at(frame, "/uuid"))
            .filter(|uuid| !view.sends.contains_key(*uuid))
            .filter(|uuid| !view.said_before.contains(*uuid) || shown.contains(uuid))
            .collect();
        let seen = view.messages.iter().map(String::as_str);
        if seen.clone().eq(messages.iter().copied()) {
            return Ok(());
        }
        let at = seen
            .clone()
            .zip(messages.iter().copied())
            .take_while(|(seen, logged)| seen == logged)
            .count();
        Err(format!(
            "shown {} messages, logged {}; at {at} shown {:?}, logged {:?}",
            view.messages.len(),
            messages.len(),
            view.messages.get(at),
            messages.get(at),
        ))
    }

    /// Every frame once, and everything accepted.
    pub(crate) fn holds(&self, accepted: &BTreeSet<String>) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        for frame in &self.frames {
            let id = str_at(frame, "/uuid");
            if !ids.insert(id) {
                return Err(format!("twice in the log: {frame}"));
            }
        }
        match accepted.iter().find(|id| !ids.contains(id.as_str())) {
            Some(lost) => Err(format!("accepted and not in the log: {lost}")),
            None => Ok(()),
        }
    }

    /// Each text that was said only once stands in the log at most once, and nothing else does.
    pub(crate) fn says_only(&self, said: &BTreeSet<String>) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for frame in self.said_by_viewers() {
            let text = str_at(frame, "/message/content");
            if is_unique(text) && !seen.insert(text) {
                return Err(format!("said once and twice in the log: {text}"));
            }
            if !said.contains(text) {
                return Err(format!("never said: {frame}"));
            }
        }
        Ok(())
    }

    /// Each message was heeded: a turn ended with it, or was broken off.
    pub(crate) fn is_heeded(&self) -> Result<(), String> {
        let results: BTreeSet<_> = self
            .frames
            .iter()
            .filter(|frame| frame["type"] == "result")
            .map(|frame| str_at(frame, "/result"))
            .collect();
        let broken_off = self
            .frames
            .iter()
            .filter(|frame| frame["type"] == "result" && frame["is_error"] == true)
            .count();
        let unheeded: Vec<_> = self
            .said_by_viewers()
            .map(|frame| str_at(frame, "/message/content"))
            .filter(|text| is_unique(text))
            .filter(|text| !results.contains(format!("You said: {text}").as_str()))
            .collect();
        if unheeded.len() > broken_off {
            return Err(format!("the agent never heeded {unheeded:?}"));
        }
        Ok(())
    }

    /// Each prompt was answered or withdrawn, the former once; and who answered stands right behind it.
    pub(crate) fn prompts(&self) -> Result<(), String> {
        let mut prompts: BTreeMap<&str, Prompt> = BTreeMap::new();
        for (at, frame) in self.frames.iter().enumerate() {
            match str_at(frame, "/type") {
                "control_request" if str_at(frame, "/request/subtype") == "can_use_tool" => {
                    prompts.entry(str_at(frame, "/request_id")).or_default();
                }
                "control_cancel_request" => {
                    if let Some(prompt) = prompts.get_mut(str_at(frame, "/request_id")) {
                        prompt.withdrawn += 1;
                    }
                }
                "control_response" => {
                    if let Some(prompt) = prompts.get_mut(str_at(frame, "/response/request_id")) {
                        prompt.answered += 1;
                        if prompt.withdrawn > 0 {
                            return Err(format!("answered after it was withdrawn: {frame}"));
                        }
                        let settled = self.frames.get(at + 1).unwrap_or(&Value::Null);
                        if str_at(settled, "/answer_id") != str_at(frame, "/uuid") {
                            return Err(format!("nobody is told who gave {frame}"));
                        }
                    }
                }
                "system" => {
                    if let Some(prompt) = prompts.get_mut(str_at(frame, "/request_id")) {
                        prompt.settled += 1;
                    }
                }
                _ => {}
            }
        }
        for (id, prompt) in prompts {
            let Prompt {
                answered,
                settled,
                withdrawn,
            } = prompt;
            if answered > 1 || settled != answered || withdrawn > 1 || answered + withdrawn == 0 {
                return Err(format!("prompt {id} is {prompt:?}"));
            }
        }
        Ok(())
    }

    /// What `view` was told of prompts that are settled is what became of them.
    pub(crate) fn settled_as(&self, view: &View) -> Result<(), String> {
        let settled: BTreeMap<_, _> = self
            .settlements()
            .map(|frame| (str_at(frame, "/request_id"), str_at(frame, "/behavior")))
            .collect();
        for (prompt, behavior) in &view.settled {
            let logged = settled.get(prompt.as_str()).copied();
            // Whoever learns it from a refusal is not told what the other answer said.
            if logged.is_none() || !behavior.is_empty() && logged != Some(behavior) {
                return Err(format!(
                    "prompt {prompt}: told {behavior}, logged {logged:?}"
                ));
            }
        }
        Ok(())
    }

    /// What one process of the agent was told: each message once, and to a prompt at most one answer,
    /// the one that counts.
    pub(crate) fn told_once(&self, stdin: &str) -> Result<(), String> {
        let counting: BTreeMap<_, _> = self
            .settlements()
            .map(|frame| (str_at(frame, "/request_id"), str_at(frame, "/answer_id")))
            .collect();
        let mut seen = BTreeSet::new();
        for line in stdin.lines() {
            // The last line may be cut off.
            let Ok(frame) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let uuid = str_at(&frame, "/uuid");
            let id = match str_at(&frame, "/type") {
                "control_response" => {
                    let prompt = str_at(&frame, "/response/request_id");
                    if counting.get(prompt).is_some_and(|answer| *answer != uuid) {
                        return Err(format!("this answer does not count: {line}"));
                    }
                    prompt
                }
                _ => uuid,
            };
            if !id.is_empty() && !seen.insert(id.to_owned()) {
                return Err(format!("the agent was told twice: {line}"));
            }
        }
        Ok(())
    }

    /// How much there is of everything.
    pub(crate) fn tally(&self) -> Tally {
        let count = |is_one: fn(&Value) -> bool| self.frames.iter().filter(|f| is_one(f)).count();
        Tally {
            messages: self.said_by_viewers().count(),
            asked: count(|frame| frame["request"]["subtype"] == "can_use_tool"),
            answered: self.settlements().count(),
            withdrawn: count(|frame| frame["type"] == "control_cancel_request"),
            broken_off: count(|frame| frame["type"] == "result" && frame["is_error"] == true),
        }
    }

    fn settlements(&self) -> impl Iterator<Item = &Value> {
        let settled = |frame: &&Value| frame["subtype"] == "permission_settled";
        self.frames.iter().filter(settled)
    }

    fn said_by_viewers(&self) -> impl Iterator<Item = &Value> {
        self.frames
            .iter()
            .filter(|frame| frame["type"] == "user" && frame["message"]["content"].is_string())
    }
}

#[derive(Debug, Default)]
struct Prompt {
    answered: usize,
    settled: usize,
    withdrawn: usize,
}

/// What happened in a log.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Tally {
    messages: usize,
    asked: usize,
    answered: usize,
    withdrawn: usize,
    broken_off: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.asked += other.asked;
        self.answered += other.answered;
        self.withdrawn += other.withdrawn;
        self.broken_off += other.broken_off;
    }

    /// Whether everything happened that is to be tried.
    pub(crate) fn is_all(&self) -> bool {
        ![
            self.messages,
            self.asked,
            self.answered,
            self.withdrawn,
            self.broken_off,
        ]
        .contains(&0)
    }
}

/// Whether a text is said only once, unlike an order to the agent.
fn is_unique(text: &str) -> bool {
    text.starts_with("no. ")
}

/// Whether viewers are shown the frame as a message.
fn is_message(frame: &Value) -> bool {
    !str_at(frame, "/type").starts_with("control_")
}

fn str_at<'a>(frame: &'a Value, pointer: &str) -> &'a str {
    frame
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
