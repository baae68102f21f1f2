//! One turn: the steps from a message to its result.

use std::{collections::VecDeque, time::Duration};

use serde_json::{Value, json};

use super::{Surroundings, order::Order};
use crate::voice::{Prompt, Voice};

/// How much of a message is repeated, in characters.
const ECHO_LIMIT: usize = 200;
const MEBIBYTE: usize = 1024 * 1024;
/// Between the halves of a line: long enough for a reader to come by.
const HALFTIME: Duration = Duration::from_millis(20);

/// What is left of a turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) message_id: String,
    pub(super) steps: VecDeque<Step>,
    pub(super) pause_until: Option<Duration>,
    /// The question that has to be answered first.
    pub(super) prompt: Option<Prompt>,
    pub(super) denials: Vec<Value>,
}

#[derive(Debug)]
pub(super) enum Step {
    Write(Vec<u8>),
    /// The beginning of a line.
    Half {
        first: Vec<u8>,
        rest: Vec<u8>,
    },
    /// The rest of that line, if it isn't written yet.
    OtherHalf,
    /// A word, and then the others.
    Words(Words),
    /// The whole message of so many words.
    AllWords(u32),
    Pause(Duration),
    Complain(String),
    Ask(Prompt),
    /// The result of the turn.
    Succeed(String),
    Exit(u8),
}

/// Words that are streamed, from the next one on.
#[derive(Copy, Clone, Debug)]
pub(super) struct Words {
    next: u32,
    last: u32,
    pause: Option<Duration>,
}

impl Words {
    pub(super) fn current(self) -> String {
        word(self.next)
    }
}

impl Turn {
    pub(super) fn of(text: &str, voice: &mut Voice, surroundings: &Surroundings) -> Self {
        let mut turn = Self {
            message_id: format!("msg_{}", voice.uuid()),
            steps: VecDeque::new(),
            pause_until: None,
            prompt: None,
            denials: Vec::new(),
        };
        match Order::of(text) {
            Order::Say { words, pause } => {
                turn.stream(words, pause, voice);
                turn.steps.push_back(Step::AllWords(words));
                turn.write(voice.stops());
                let text = format!("{words} words");
                turn.steps.push_back(Step::Succeed(text));
            }
            Order::Tool(tool) => {
                let prompt = Prompt {
                    request_id: voice.uuid(),
                    tool_use_id: format!("toolu_{}", voice.uuid()),
                    tool,
                    input: json!({"command": "echo hello"}),
                };
                turn.write(voice.uses_tool(&turn.message_id, &prompt));
                turn.steps.push_back(Step::Ask(prompt));
            }
            Order::Big { mebibytes } => {
                let text = "0123456789abcdef".repeat(mebibytes * MEBIBYTE / 16);
                turn.write(voice.says(&turn.message_id, &text));
                let text = format!("{mebibytes} MiB");
                turn.steps.push_back(Step::Succeed(text));
            }
            Order::Env(name) => match surroundings.variables.get(&name) {
                Some(value) => turn.conclude(&format!("{name}={value}"), voice),
                None => turn.conclude(&format!("{name} is not set"), voice),
            },
            Order::Garbage => turn.litter(voice),
            Order::Crash(code) => {
                turn.stream(3, None, voice);
                for line in [
                    "scripted-agent: told to crash",
                    "scripted-agent: so it does",
                ] {
                    turn.steps.push_back(Step::Complain(line.to_owned()));
                }
                turn.steps.push_back(Step::Exit(code));
            }
            Order::Exit => {
                turn.conclude("Goodbye.", voice);
                turn.steps.push_back(Step::Exit(0));
            }
            Order::Echo => {
                let heard: String = text.chars().take(ECHO_LIMIT).collect();
                turn.conclude(&format!("You said: {heard}"), voice);
            }
        }
        turn
    }

    /// How long the turn still has to pause.
    pub(super) fn pause_left(&mut self, now: Duration) -> Option<Duration> {
        let left = self
            .pause_until
            .and_then(|until| until.checked_sub(now))
            .filter(|left| !left.is_zero());
        if left.is_none() {
            self.pause_until = None;
        }
        left
    }

    /// After the current word, the others.
    pub(super) fn go_on_with(&mut self, words: Words) {
        if words.next < words.last {
            self.steps.push_front(Step::Words(Words {
                next: words.next.saturating_add(1),
                ..words
            }));
        }
        if let Some(pause) = words.pause {
            self.steps.push_front(Step::Pause(pause));
        }
    }

    /// Says `text` and ends the turn with it.
    pub(super) fn conclude(&mut self, text: &str, voice: &mut Voice) {
        let message_id = format!("msg_{}", voice.uuid());
        self.write(voice.says(&message_id, text));
        self.steps.push_back(Step::Succeed(text.to_owned()));
    }

    fn stream(&mut self, words: u32, pause: Option<Duration>, voice: &mut Voice) {
        self.write(voice.starts(&self.message_id));
        self.write(voice.opens_block());
        if words > 0 {
            self.steps.push_back(Step::Words(Words {
                next: 1,
                last: words,
                pause,
            }));
        }
        self.write(voice.closes_block());
    }

    fn litter(&mut self, voice: &mut Voice) {
        for line in [
            b"this is no JSON\n".as_slice(),
            b"{\"type\":\"assistant\",\"message\":{\"role\":\"assi\n",
            b"{\"no\":\"type\"}\n",
            b"[1,2,3]\n",
            b"\n",
            b"  \r\n",
            b"\xff\xfe no text \x00\x1b[31m\n",
        ] {
            self.write(line.to_vec());
        }
        let mut first = voice.says(&self.message_id, "in two halves");
        let rest = first.split_off(first.len() / 2);
        self.steps.push_back(Step::Half { first, rest });
        self.steps.push_back(Step::Pause(HALFTIME));
        self.steps.push_back(Step::OtherHalf);
        self.conclude("That was garbage.", voice);
    }

    fn write(&mut self, bytes: Vec<u8>) {
        self.steps.push_back(Step::Write(bytes));
    }
}

/// What all the words together say.
pub(super) fn all_words(count: u32) -> String {
    (1..=count).fold(String::new(), |mut text, number| {
        text.push_str(&word(number));
        text
    })
}

fn word(number: u32) -> String {
    format!("word{number} ")
}
