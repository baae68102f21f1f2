//! What may happen in a step: something the agent, a viewer or the world does.

mod trouble;

use std::{collections::VecDeque, time::Duration};

use attache_protocol::{
    frame::RawJson,
    io::NetworkFailure,
    worker::{AgentState, Delivery, EventId},
};

pub(in crate::schedule) use trouble::worker_trouble;
use trouble::{asleep, calls_go_wrong, mercy, others, outage};

use super::{
    life::{Life, Reading},
    machine::{Act, Noise, Said},
    owed::{Down, Promise},
    weather::{one_of, stream_fault, token_fault},
};
use crate::{
    millis,
    schedule::{Choices, Tally},
};

/// How much time passes after a step.
pub(in crate::schedule) fn pause(choices: &mut dyn Choices) -> Duration {
    match choices.below(8) {
        0 => Duration::ZERO,
        1 => millis(1),
        2 => millis(u64::from(choices.below(60))),
        3 | 4 => millis(u64::from(choices.below(1000))),
        5 => millis(1000 + u64::from(choices.below(3000))),
        6 => millis(u64::from(choices.below(12_000))),
        _ => millis(u64::from(choices.below(5_000))),
    }
}

/// What has been done so far, as far as the next deed needs to know.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    said: u64,
    asked: u64,
    /// Events the agent got and has not acknowledged.
    unacknowledged: VecDeque<EventId>,
    recent: VecDeque<u64>,
}

impl Deeds {
    /// Does the next one.
    pub(super) fn next(
        &mut self,
        life: &mut Life,
        choices: &mut dyn Choices,
        tally: &mut Tally,
    ) -> Result<(), String> {
        match choices.below(32) {
            0..=5 => agent_says(life, choices, tally),
            6 | 7 => agent_reports(life, choices),
            8 | 9 => self.agent_acknowledges(life, choices),
            10 | 11 => agent_answers(life, choices),
            12..=16 => {
                self.viewer_says(life, choices);
                Ok(())
            }
            17 => {
                let calls = 5 + choices.below(60);
                let noise = one_of(choices, &Noise::ALL, Noise::None);
                life.machine.begin_twin(noise, calls);
                Ok(())
            }
            18 => {
                let reading = [Reading::Eagerly, Reading::NotAtAll, Reading::Eagerly];
                life.read(one_of(choices, &reading, Reading::Eagerly))
            }
            19 => {
                life.weather.latency = millis(u64::from(choices.below(400)));
                Ok(())
            }
            20..=24 => {
                calls_go_wrong(life, choices);
                Ok(())
            }
            25 => {
                let mercy = mercy(choices);
                let fate = stream_fault(choices, mercy);
                life.weather.plan_stream(fate, 1 + choices.below(3));
                Ok(())
            }
            26 => {
                let mercy = mercy(choices);
                let fate = token_fault(choices, mercy);
                life.weather.plan_token(fate);
                Ok(())
            }
            27 | 28 => {
                self.stream_goes_wrong(life, choices);
                Ok(())
            }
            29 => {
                outage(life, choices);
                Ok(())
            }
            30 => asleep(life, choices),
            _ => others(life, choices),
        }
    }

    fn agent_acknowledges(
        &mut self,
        life: &mut Life,
        choices: &mut dyn Choices,
    ) -> Result<(), String> {
        let got = life.take_got().into_iter();
        self.unacknowledged
            .extend(got.map(|inbound| inbound.event_id));
        let delivery = if choices.below(3) == 0 {
            Delivery::Processing
        } else {
            Delivery::Processed
        };
        let event = if delivery == Delivery::Processed {
            self.unacknowledged.pop_front()
        } else {
            self.unacknowledged.front().cloned()
        };
        let Some(event) = event else { return Ok(()) };
        life.acknowledge(event, delivery)
    }

    fn viewer_says(&mut self, life: &mut Life, choices: &mut dyn Choices) {
        let count = if choices.below(12) == 11 { 12 } else { 1 };
        for _ in 0..count {
            let n = self.said;
            self.said += 1;
            let message = (
                format!(
                    r#"{{"type":"user","uuid":"v{n}","message":{{"role":"user","content":"{n}"}}}}"#
                ),
                Down::ForAgent,
            );
            let (frame, down) = match choices.below(12) {
                5..=7 => {
                    let id = format!("q{}", self.asked);
                    self.asked += 1;
                    let subtypes = ["initialize", "interrupt", "set_model", "novelty"];
                    let subtype = one_of(choices, &subtypes, "interrupt");
                    (
                        format!(
                            r#"{{"type":"control_request","request_id":"{id}","uuid":"v{n}","request":{{"subtype":"{subtype}"}}}}"#
                        ),
                        Down::Request { id, subtype },
                    )
                }
                8 if self.asked > 0 => {
                    let id = format!("q{}", self.asked - 1);
                    (
                        format!(
                            r#"{{"type":"control_cancel_request","request_id":"{id}","uuid":"v{n}"}}"#
                        ),
                        Down::Cancel { id },
                    )
                }
                9 => (
                    format!(
                        r#"{{"type":"control_response","uuid":"v{n}","response":{{"subtype":"success","request_id":"p{n}","response":{{"behavior":"allow"}}}}}}"#
                    ),
                    Down::ForAgent,
                ),
                10 => (r#"{"type":"keep_alive"}"#.to_owned(), Down::Noise),
                11 => (r#"{"kind":"nothing"}"#.to_owned(), Down::Broken),
                _ => message,
            };
            let number = life.viewer_says(frame, down, choices.below(4) == 3);
            self.recent.push_back(number);
            if self.recent.len() > 20 {
                self.recent.pop_front();
            }
        }
    }

    fn stream_goes_wrong(&mut self, life: &mut Life, choices: &mut dyn Choices) {
        match choices.below(8) {
            0 => {
                life.fault("the stream is reset", Duration::ZERO);
                life.break_stream(NetworkFailure::Reset);
            }
            1 => {
                life.fault("the stream ends", Duration::ZERO);
                life.end_stream(NetworkFailure::Ended);
            }
            2 => {
                life.fault("the stream falls silent", Duration::ZERO);
                life.mute_stream();
            }
            3 | 4 => {
                life.fault("an event comes again", Duration::ZERO);
                if let Some(number) =
                    self.recent.iter().copied().rev().nth(
                        usize::try_from(choices.below(20)).unwrap_or(0) % self.recent.len().max(1),
                    )
                    && life.stream_is_open()
                {
                    life.tell(number, false);
                }
            }
            5 if life.stream_is_open() => {
                life.fault("garbage on the stream", Duration::ZERO);
                life.owed.garbage();
                life.send_bytes("event: client_event\ndata: {\"event_id\":broken\n\n");
            }
            6 if life.stream_is_open() => {
                life.fault("an event too large", Duration::ZERO);
                life.owed.garbage();
                let text = "x".repeat(5000);
                life.send_bytes(&format!("event: client_event\ndata: {text}\n\n"));
            }
            _ => {
                life.fault("noise on the stream", Duration::ZERO);
                life.send_bytes(
                    "retry: 1\n\nevent: novelty\ndata: {}\n\n: \u{0}\n\ndata: x\n\nid\n\n",
                );
            }
        }
    }
}

fn agent_says(life: &mut Life, choices: &mut dyn Choices, tally: &mut Tally) -> Result<(), String> {
    let count = if choices.below(10) == 9 { 15 } else { 1 };
    for _ in 0..count {
        let n = life.owed.next_frame();
        let uuid = format!("a{n}");
        let pad = if choices.below(8) == 7 {
            "x".repeat(250)
        } else {
            String::new()
        };
        let (text, uuid, promise) = match choices.below(12) {
            0..=4 => (
                format!(r#"{{"type":"assistant","n":{n},"uuid":"{uuid}","message":"{pad}"}}"#),
                uuid,
                Promise::Kept,
            ),
            5..=8 => (
                format!(r#"{{"type":"stream_event","n":{n},"uuid":"{uuid}","event":{{}}}}"#),
                uuid,
                Promise::LiveOnly,
            ),
            9 => {
                tally.prompts += 1;
                (
                    format!(
                        r#"{{"type":"control_request","n":{n},"uuid":"{uuid}","request_id":"p{n}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{}}}}}}"#
                    ),
                    uuid,
                    Promise::Kept,
                )
            }
            10 if n > 0 => {
                let older = n - 1 - usize::try_from(choices.below(10)).unwrap_or(0) % n;
                let Some(older) = life.owed.uuid_of(older) else {
                    continue;
                };
                (
                    format!(r#"{{"type":"assistant","n":{n},"uuid":"{older}","message":""}}"#),
                    older,
                    Promise::Never,
                )
            }
            _ => {
                let broken = one_of(choices, &["", "{}", "broken", "{\"type\":1}"], "");
                let said = life.act(&Act::Upload(broken.into()))?;
                if said == Said::Nothing {
                    return Err(format!("{broken:?} was taken as a frame"));
                }
                continue;
            }
        };
        if life.upload(text.into(), uuid, promise)? {
            tally.sent += 1;
        }
    }
    Ok(())
}

fn agent_reports(life: &mut Life, choices: &mut dyn Choices) -> Result<(), String> {
    let state = match choices.below(3) {
        0 => AgentState::Idle,
        1 => AgentState::Running,
        _ => {
            let number = choices.below(1000);
            let details = format!(r#"{{"tool_name":"Bash","action_description":"{number}"}}"#);
            match RawJson::parse(details) {
                Ok(details) => AgentState::RequiresAction(details),
                Err(_) => AgentState::Running,
            }
        }
    };
    let before = life.owed.state.clone();
    life.owed.state = state.clone();
    life.act(&Act::Report(state))?;
    if choices.below(3) == 2 {
        // It was only for a moment.
        life.owed.state = before.clone();
        life.act(&Act::Report(before))?;
    }
    Ok(())
}

fn agent_answers(life: &mut Life, choices: &mut dyn Choices) -> Result<(), String> {
    let open = life.owed.request_ids();
    let id = if open.is_empty() || choices.below(8) == 7 {
        "unknown".to_owned()
    } else {
        let index = usize::try_from(choices.below(64)).unwrap_or(0) % open.len();
        open.get(index).cloned().unwrap_or_default()
    };
    let n = life.owed.next_frame();
    let uuid = format!("a{n}");
    let text = format!(
        r#"{{"type":"control_response","n":{n},"uuid":"{uuid}","response":{{"subtype":"success","request_id":"{id}","response":{{}}}}}}"#
    );
    life.upload(text.into(), uuid, Promise::MayBe).map(drop)
}
