//! An agent that follows a script: it streams text, asks before it rolls dice, stops when it is
//! interrupted, and answers what is typed.

use std::{collections::VecDeque, time::Duration};

use attache_protocol::frame::{
    Frame, FrameKind, RequestId,
    control::{ControlOutcome, ControlResponse},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    channel::Channel,
    direction::Report,
    frames::{self, Ids},
};
use crate::exit::Failure;

const TOOL: &str = "Dice";
const GREETING: &str = "Hello. I only follow a script, but the connection is real. Type `roll` and I \
ask before I roll dice, `count` and I talk until you interrupt me with Ctrl-C, or anything else.";
/// How far it counts unless somebody stops it.
const COUNT: u32 = 200;
/// The most dice it rolls at once.
const DICE: u64 = 20;

/// The agent, apart from how it is reached.
#[derive(Debug)]
pub(super) struct Actor {
    ids: Ids,
    /// The time between two words.
    pace: Duration,
    /// Said before anything else.
    urgent: VecDeque<Line>,
    doing: Doing,
    /// Messages to turn to afterwards.
    inbox: VecDeque<String>,
    cues: mpsc::UnboundedReceiver<String>,
    record: mpsc::UnboundedSender<Report>,
}

#[derive(Debug)]
struct Line {
    text: String,
    kind: LineKind,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum LineKind {
    Ordinary,
    Cued,
}

#[derive(Debug)]
enum Doing {
    Nothing,
    /// Says these lines; then the turn is over, or waits for the prompt that is the last of them.
    Speaking {
        lines: VecDeque<String>,
        asks: Option<Asked>,
    },
    Waiting(Asked),
}

#[derive(Clone, Debug)]
struct Asked {
    request_id: String,
    tool_use_id: String,
    input: Value,
}

impl Actor {
    pub(super) fn new(
        random: u128,
        pace: Duration,
        cues: mpsc::UnboundedReceiver<String>,
        record: mpsc::UnboundedSender<Report>,
    ) -> Self {
        let mut ids = Ids::new(random);
        let greeting = Line::ordinary(frames::said(&mut ids, GREETING));
        let idle = Line::cued(frames::idle(&mut ids));
        Self {
            ids,
            pace,
            urgent: VecDeque::from([greeting, idle]),
            doing: Doing::Nothing,
            inbox: VecDeque::new(),
            cues,
            record,
        }
    }

    /// Plays until nobody talks to it any more.
    pub(super) async fn perform(mut self, mut channel: impl Channel) -> Result<(), Failure> {
        loop {
            while let Some(line) = self.urgent.pop_front() {
                self.say(&line.text, &mut channel).await?;
                if line.kind == LineKind::Cued {
                    let _ = self.record.send(Report::Spoke);
                }
            }
            self.turn_to_next_message();
            tokio::select! {
                frame = channel.hear() => match frame? {
                    Some(frame) => self.hear(&frame),
                    None => return Ok(()),
                },
                Some(text) = self.cues.recv() => {
                    self.urgent.push_back(Line::cued(frames::said(&mut self.ids, &text)));
                }
                () = tokio::time::sleep(self.pace), if self.is_speaking() => {
                    if let Some(line) = self.next_line() {
                        self.say(&line, &mut channel).await?;
                    }
                }
            }
        }
    }

    async fn say(&self, text: &str, channel: &mut impl Channel) -> Result<(), Failure> {
        channel.say(text).await?;
        if let Ok(frame) = Frame::classify(text.to_owned().into())
            && matches!(frame.kind(), FrameKind::Message { .. })
            && frame.is_stored()
        {
            let uuid = frame.uuid().map(ToString::to_string).unwrap_or_default();
            let _ = self.record.send(Report::Said(uuid));
        }
        Ok(())
    }

    fn is_speaking(&self) -> bool {
        matches!(self.doing, Doing::Speaking { .. })
    }

    fn next_line(&mut self) -> Option<String> {
        let Doing::Speaking { lines, asks } = &mut self.doing else {
            return None;
        };
        let line = lines.pop_front();
        if lines.is_empty() {
            self.doing = match asks.take() {
                Some(asked) => Doing::Waiting(asked),
                None => Doing::Nothing,
            };
        }
        line
    }

    fn hear(&mut self, frame: &Frame) {
        match frame.kind() {
            FrameKind::Message { type_name } if &**type_name == "user" => {
                let uuid = frame.uuid().map(ToString::to_string).unwrap_or_default();
                let _ = self.record.send(Report::Message(uuid));
                let words = frame
                    .as_user()
                    .map(|user| user.message.content.words().collect::<String>());
                self.inbox.push_back(words.unwrap_or_default());
            }
            FrameKind::ControlRequest {
                request_id,
                subtype,
            } => self.asked_for(request_id.as_str(), subtype),
            FrameKind::ControlResponse { request_id } => self.answered(request_id, frame),
            FrameKind::ControlCancelRequest { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. }
            | FrameKind::Message { .. } => {}
        }
    }

    fn asked_for(&mut self, request_id: &str, subtype: &str) {
        match subtype {
            "initialize" => {
                let response = json!({
                    "commands": [], "output_style": "normal", "available_output_styles": ["normal"],
                    "models": [], "account": {},
                });
                self.reply(request_id, &response);
            }
            "interrupt" => {
                let _ = self.record.send(Report::Interrupt);
                self.reply(request_id, &json!({"still_queued": []}));
                self.stop();
            }
            _ => {
                let error = "the demo agent knows `initialize` and `interrupt`";
                let error = frames::error(&mut self.ids, request_id, error);
                self.urgent.push_back(Line::ordinary(error));
            }
        }
    }

    fn reply(&mut self, request_id: &str, response: &Value) {
        let reply = frames::success(&mut self.ids, request_id, response);
        self.urgent.push_back(Line::ordinary(reply));
    }

    /// Ends the turn in the middle of it.
    fn stop(&mut self) {
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Nothing => return,
            Doing::Speaking { .. } => {}
            Doing::Waiting(asked) => {
                let cancel = frames::cancel(&mut self.ids, &asked.request_id);
                self.urgent.push_back(Line::ordinary(cancel));
            }
        }
        let result = frames::result(&mut self.ids, "error_during_execution", "interrupted");
        self.urgent.push_back(Line::ordinary(result));
    }

    fn answered(&mut self, request_id: &RequestId, frame: &Frame) {
        let _ = self.record.send(Report::Answer(request_id.to_string()));
        let Doing::Waiting(asked) = &self.doing else {
            return;
        };
        if asked.request_id != request_id.as_str() {
            return;
        }
        let asked = asked.clone();
        let answer = match ControlResponse::parse(frame).map(|response| response.outcome) {
            Ok(ControlOutcome::Success(Some(answer))) => {
                serde_json::from_str::<Value>(answer.as_str()).unwrap_or_default()
            }
            Ok(ControlOutcome::Success(None) | ControlOutcome::Error(_)) | Err(_) => Value::Null,
        };
        let text = |field| answer.get(field).and_then(Value::as_str).unwrap_or("");
        let ids = &mut self.ids;
        let mut lines = VecDeque::new();
        let last_words = if text("behavior") == "allow" {
            let input = answer.get("updatedInput").unwrap_or(&asked.input);
            let rolled = roll(input);
            lines.push_back(frames::tool_result(ids, &asked.tool_use_id, &rolled, false));
            format!("The dice say {rolled}.")
        } else {
            let reason = text("message");
            lines.push_back(frames::tool_result(ids, &asked.tool_use_id, reason, true));
            format!("As you wish, I leave the dice alone: {reason}")
        };
        lines.extend(frames::spoken(ids, &last_words));
        lines.push_back(frames::result(ids, "success", &last_words));
        self.doing = Doing::Speaking { lines, asks: None };
    }

    fn turn_to_next_message(&mut self) {
        if !matches!(self.doing, Doing::Nothing) {
            return;
        }
        let Some(message) = self.inbox.pop_front() else {
            return;
        };
        let ids = &mut self.ids;
        let mut lines = VecDeque::new();
        let mut asks = None;
        let wish = message.to_lowercase();
        if wish.contains("roll") {
            lines.extend(frames::spoken(ids, "Let me roll two dice for you."));
            let asked = Asked {
                request_id: ids.uuid(),
                tool_use_id: format!("toolu_{}", ids.uuid()),
                input: json!({"dice": 2, "sides": 6}),
            };
            let Asked {
                request_id,
                tool_use_id,
                input,
            } = &asked;
            lines.push_back(frames::tool_use(ids, tool_use_id, TOOL, input));
            lines.push_back(frames::permission(
                ids,
                request_id,
                tool_use_id,
                TOOL,
                input,
            ));
            asks = Some(asked);
        } else {
            let answer = if wish.contains("count") {
                let numbers: Vec<_> = (1..=COUNT).map(|number| number.to_string()).collect();
                format!("I count until you stop me.\n{}", numbers.join(" "))
            } else {
                format!("You said: {message}")
            };
            lines.extend(frames::spoken(ids, &answer));
            lines.push_back(frames::result(ids, "success", &answer));
        }
        self.doing = Doing::Speaking { lines, asks };
    }
}

impl Line {
    fn ordinary(text: String) -> Self {
        Self {
            text,
            kind: LineKind::Ordinary,
        }
    }

    fn cued(text: String) -> Self {
        Self {
            text,
            kind: LineKind::Cued,
        }
    }
}

/// Rolls what `input` asks for. The dice are loaded: the same question has the same answer.
fn roll(input: &Value) -> String {
    let number = |field, otherwise| {
        input
            .get(field)
            .and_then(Value::as_u64)
            .unwrap_or(otherwise)
    };
    let sides = number("sides", 6).clamp(1, 1000);
    (1..=number("dice", 2).min(DICE))
        .map(|die| (die * 7 % sides + 1).to_string())
        .collect::<Vec<_>>()
        .join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor() -> Actor {
        let (_, cues) = mpsc::unbounded_channel();
        let (record, _) = mpsc::unbounded_channel();
        let mut actor = Actor::new(1, Duration::ZERO, cues, record);
        actor.urgent.clear();
        actor
    }

    fn hear(actor: &mut Actor, text: &str) {
        actor.hear(&Frame::classify(text.to_owned().into()).unwrap());
        actor.turn_to_next_message();
    }

    const ROLL: &str = r#"{"type":"user","uuid":"u","message":{"role":"user","content":"roll!"}}"#;
    const INTERRUPT: &str =
        r#"{"type":"control_request","request_id":"q","request":{"subtype":"interrupt"}}"#;

    #[test]
    fn it_asks_before_it_rolls_and_uses_the_input_it_was_given() {
        let mut actor = actor();
        hear(&mut actor, ROLL);
        let Doing::Speaking { asks, .. } = &mut actor.doing else {
            panic!("it speaks");
        };
        let asked = asks.take().unwrap();
        let id = asked.request_id.clone();
        actor.doing = Doing::Waiting(asked);
        hear(
            &mut actor,
            &format!(
                r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{id}","response":{{"behavior":"allow","updatedInput":{{"dice":1,"sides":100}}}}}}}}"#
            ),
        );
        let Doing::Speaking { lines, .. } = &actor.doing else {
            panic!("it goes on");
        };
        assert!(lines.back().unwrap().contains("The dice say 8."));
    }

    #[test]
    fn an_interrupt_is_answered_and_ends_the_turn() {
        let mut actor = actor();
        hear(&mut actor, ROLL);
        hear(&mut actor, INTERRUPT);
        let said: Vec<_> = actor.urgent.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("still_queued") && said[1].contains("interrupted"));
        assert!(matches!(actor.doing, Doing::Nothing));
    }

    #[test]
    fn what_it_does_not_know_is_answered_with_an_error() {
        let mut actor = actor();
        hear(
            &mut actor,
            r#"{"type":"control_request","request_id":"q","request":{"subtype":"dance"}}"#,
        );
        assert!(actor.urgent[0].text.contains(r#""subtype":"error""#));
    }
}
