//! What the agent hears and what it does next, without threads, pipes or a clock.

mod order;
mod turn;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};

use crate::voice::{Prompt, Voice, answer, line, refusal};
use turn::{Step, Turn};

/// The agent: it is told what comes in with `hear`, and asked what to do with [`next`](Self::next).
#[derive(Debug)]
pub(crate) struct Script {
    voice: Voice,
    surroundings: Surroundings,
    input: Input,
    /// Done before the turn goes on.
    urgent: VecDeque<Do>,
    /// The rest of a line whose beginning is written.
    rest: Option<Vec<u8>>,
    turn: Option<Turn>,
    inbox: VecDeque<Message>,
}

/// What the process finds where it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) cwd: String,
    pub(crate) variables: BTreeMap<String, String>,
}

/// An order to the process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Do {
    /// Write to stdout and flush; whole lines, mostly.
    Write(Vec<u8>),
    /// Write a line to stderr.
    Complain(String),
    /// Wait for input, so long at most.
    Wait(Option<Duration>),
    /// Exit with this code.
    Exit(u8),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Input {
    Open,
    Ended,
}

#[derive(Debug)]
struct Message {
    uuid: Option<String>,
    text: String,
}

impl Script {
    /// An agent whose ids come from `random`.
    pub(crate) fn new(random: u128, surroundings: Surroundings) -> Self {
        let mut voice = Voice::new(random);
        let init = voice.init(&surroundings.cwd);
        Self {
            voice,
            surroundings,
            input: Input::Open,
            urgent: VecDeque::from([Do::Write(init)]),
            rest: None,
            turn: None,
            inbox: VecDeque::new(),
        }
    }

    /// A line came in.
    pub(crate) fn hear(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(frame) = serde_json::from_slice::<Value>(line) else {
            let text = format!("scripted-agent: {} bytes on stdin are not JSON", line.len());
            return self.urgent.push_back(Do::Complain(text));
        };
        match str_at(&frame, "/type") {
            Some("user") => self.inbox.push_back(Message {
                uuid: str_at(&frame, "/uuid").map(str::to_owned),
                text: said(frame.pointer("/message/content")),
            }),
            Some("control_request") => self.hear_request(&frame),
            Some("control_response") => self.hear_response(&frame),
            _ => {}
        }
    }

    /// No more input will come. What needs no waiting is still done.
    pub(crate) fn hear_the_end(&mut self) {
        self.input = Input::Ended;
    }

    /// What is to be done at `now`, a time that counts from anywhere.
    pub(crate) fn next(&mut self, now: Duration) -> Do {
        loop {
            if let Some(order) = self.urgent.pop_front() {
                if let Some(rest) = self.rest.take() {
                    self.urgent.push_front(order);
                    return Do::Write(rest);
                }
                return order;
            }
            let Some(turn) = &mut self.turn else {
                let Some(message) = self.inbox.pop_front() else {
                    return self.wait(None);
                };
                self.turn = Some(Turn::of(&message.text, &mut self.voice, &self.surroundings));
                continue;
            };
            if turn.prompt.is_some() {
                return self.wait(None);
            }
            if let Some(left) = turn.pause_left(now) {
                return self.wait(Some(left));
            }
            let Some(step) = turn.steps.pop_front() else {
                self.turn = None;
                continue;
            };
            match step {
                Step::Write(bytes) => return Do::Write(bytes),
                Step::Half { first, rest } => {
                    self.rest = Some(rest);
                    return Do::Write(first);
                }
                Step::OtherHalf => {
                    if let Some(rest) = self.rest.take() {
                        return Do::Write(rest);
                    }
                }
                Step::Words(words) => {
                    let delta = self.voice.delta(&words.current());
                    turn.go_on_with(words);
                    return Do::Write(delta);
                }
                Step::AllWords(count) => {
                    let text = turn::all_words(count);
                    return Do::Write(self.voice.says(&turn.message_id, &text));
                }
                Step::Pause(pause) => turn.pause_until = Some(now.saturating_add(pause)),
                Step::Complain(text) => return Do::Complain(text),
                Step::Ask(prompt) => {
                    let request = line(&prompt.request());
                    turn.prompt = Some(prompt);
                    return Do::Write(request);
                }
                Step::Succeed(text) => {
                    let result = self.voice.success(&text, &turn.denials);
                    if let Some(Step::Exit(code)) = turn.steps.pop_front() {
                        self.urgent.push_back(Do::Exit(code));
                    }
                    // From here on there is nothing to interrupt.
                    self.turn = None;
                    return Do::Write(result);
                }
                Step::Exit(code) => return Do::Exit(code),
            }
        }
    }

    fn wait(&self, limit: Option<Duration>) -> Do {
        match self.input {
            Input::Open => Do::Wait(limit),
            Input::Ended => Do::Exit(0),
        }
    }

    fn hear_request(&mut self, frame: &Value) {
        let Some(request_id) = str_at(frame, "/request_id") else {
            let text = "scripted-agent: a control request without request_id can't be answered";
            return self.urgent.push_back(Do::Complain(text.to_owned()));
        };
        let subtype = str_at(frame, "/request/subtype").unwrap_or_default();
        let response = match subtype {
            "initialize" => self.greeting(),
            "interrupt" => {
                let cancel_queued = frame.pointer("/request/cancel_queued") == Some(&json!(true));
                return self.interrupt(request_id, cancel_queued);
            }
            "set_model" => {
                let model = str_at(frame, "/request/model").unwrap_or("scripted");
                model.clone_into(&mut self.voice.model);
                json!({})
            }
            "set_permission_mode" | "set_max_thinking_tokens" => json!({}),
            other => {
                let error = format!("Unsupported control request subtype: {other}");
                return self.write(refusal(request_id, &error));
            }
        };
        self.write(answer(request_id, &response));
    }

    fn greeting(&self) -> Value {
        let mut greeting = json!({
            "commands": [], "output_style": "normal", "available_output_styles": ["normal"],
            "models": [], "account": {},
        });
        let prompt = self.turn.as_ref().and_then(|turn| turn.prompt.as_ref());
        if let (Some(prompt), Value::Object(fields)) = (prompt, &mut greeting) {
            let pending = json!([prompt.request()]);
            fields.insert("pending_permission_requests".to_owned(), pending);
        }
        greeting
    }

    fn interrupt(&mut self, request_id: &str, cancel_queued: bool) {
        if cancel_queued {
            self.inbox.clear();
        }
        let queued: Vec<_> = self.inbox.iter().filter_map(|it| it.uuid.clone()).collect();
        let turn = self.turn.take();
        if let Some(prompt) = turn.as_ref().and_then(|turn| turn.prompt.as_ref()) {
            self.write(line(&prompt.cancel()));
        }
        self.write(answer(request_id, &json!({"still_queued": queued})));
        if let Some(turn) = turn {
            self.break_off(&turn);
        }
    }

    fn break_off(&mut self, turn: &Turn) {
        let note = self.voice.interrupted();
        self.write(note);
        let result = self.voice.failure("interrupted", &turn.denials);
        self.write(result);
    }

    fn hear_response(&mut self, frame: &Value) {
        let answered = str_at(frame, "/response/request_id");
        let Some(turn) = &mut self.turn else {
            return;
        };
        let Some(prompt) = turn
            .prompt
            .take_if(|prompt| Some(prompt.request_id.as_str()) == answered)
        else {
            return;
        };
        let behavior = str_at(frame, "/response/response/behavior");
        if str_at(frame, "/response/subtype") == Some("success") && behavior == Some("allow") {
            let input = frame.pointer("/response/response/updatedInput");
            self.run(&prompt, input.filter(|input| input.is_object()));
            return;
        }
        let why = match behavior {
            Some("deny") => str_at(frame, "/response/response/message"),
            _ => str_at(frame, "/response/error"),
        };
        turn.denials.push(prompt.denial());
        let text = format!("{} was denied: {}", prompt.tool, why.unwrap_or_default());
        let result = self.voice.tool_result(&prompt, &text, true);
        self.urgent.push_back(Do::Write(result));
        if frame.pointer("/response/response/interrupt") == Some(&json!(true)) {
            if let Some(turn) = self.turn.take() {
                self.break_off(&turn);
            }
        } else {
            turn.conclude(&text, &mut self.voice);
        }
    }

    /// Runs the tool, with the input that was allowed.
    fn run(&mut self, prompt: &Prompt, input: Option<&Value>) {
        let tool = &prompt.tool;
        let text = match input {
            Some(input) => format!("{tool} ran with {input}"),
            None => format!("{tool} was allowed without updatedInput"),
        };
        let result = self.voice.tool_result(prompt, &text, input.is_none());
        self.urgent.push_back(Do::Write(result));
        if let Some(turn) = &mut self.turn {
            turn.conclude(&text, &mut self.voice);
        }
    }

    fn write(&mut self, bytes: Vec<u8>) {
        self.urgent.push_back(Do::Write(bytes));
    }
}

fn str_at<'a>(frame: &'a Value, pointer: &str) -> Option<&'a str> {
    frame.pointer(pointer).and_then(Value::as_str)
}

/// The text of a message: as it is, or its text blocks.
fn said(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => blocks
            .iter()
            .filter_map(|block| str_at(block, "/text"))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
