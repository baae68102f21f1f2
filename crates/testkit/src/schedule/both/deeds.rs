//! What may happen in a step.

use std::time::Duration;

use attache_protocol::{
    frame::control::Fields,
    io::{NetworkFailure, Refusal, TokenRefusal},
    viewer::{Content, Decision},
    worker::Delivery,
};

use super::Pair;
use crate::{
    HttpPlan, TokenPlan, Upgrade, millis,
    schedule::{
        Choices,
        worker::{Noise, Promise, one_of, worker_trouble},
    },
};

impl Pair {
    /// Does the next one.
    pub(super) fn next(&mut self, choices: &mut dyn Choices) -> Result<(), String> {
        match choices.below(32) {
            0..=4 => self.agent_says(choices),
            5 | 6 => self.agent_asks(),
            7 => self.agent_withdraws(choices),
            8 | 9 => self.agent_answers(choices),
            10..=13 => {
                self.viewer_sends();
                Ok(())
            }
            14..=17 => {
                self.viewer_decides(choices);
                Ok(())
            }
            18 => {
                self.viewer_asks(choices);
                Ok(())
            }
            19 => {
                self.watch_twins(choices);
                Ok(())
            }
            20..=24 => worker_trouble(&mut self.life, choices),
            _ => {
                self.viewers_link_goes_wrong(choices);
                Ok(())
            }
        }
    }

    /// From now on twins go along, to whom more is done, none of which may matter.
    fn watch_twins(&mut self, choices: &mut dyn Choices) {
        let seed = u64::from(choices.below(u32::MAX));
        self.world.watch_a_twin(seed);
        let noise = one_of(choices, &Noise::ALL, Noise::None);
        self.life.machine.begin_twin(noise, 40);
    }

    fn agent_says(&mut self, choices: &mut dyn Choices) -> Result<(), String> {
        for _ in 0..=choices.below(4) {
            let n = self.life.owed.next_frame();
            let uuid = format!("a{n}");
            let (text, promise) = if choices.below(4) == 3 {
                (
                    format!(r#"{{"type":"stream_event","n":{n},"uuid":"{uuid}","event":{{}}}}"#),
                    Promise::LiveOnly,
                )
            } else {
                (
                    format!(r#"{{"type":"assistant","n":{n},"uuid":"{uuid}","message":{{}}}}"#),
                    Promise::Kept,
                )
            };
            self.life.upload(text.into(), uuid, promise)?;
        }
        Ok(())
    }

    fn agent_asks(&mut self) -> Result<(), String> {
        let n = self.life.owed.next_frame();
        let (uuid, id, command) = (format!("a{n}"), format!("p{n}"), format!("command-{n}."));
        let text = format!(
            r#"{{"type":"control_request","n":{n},"uuid":"{uuid}","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"{command}"}}}}}}"#
        );
        if self.life.upload(text.into(), uuid, Promise::Kept)? {
            self.ledger.ask(id, command);
        }
        Ok(())
    }

    fn agent_withdraws(&mut self, choices: &mut dyn Choices) -> Result<(), String> {
        let standing = self.ledger.standing();
        let Some(id) = some(choices, &standing) else {
            return Ok(());
        };
        let n = self.life.owed.next_frame();
        let uuid = format!("a{n}");
        let text = format!(
            r#"{{"type":"control_cancel_request","n":{n},"uuid":"{uuid}","request_id":"{id}"}}"#
        );
        if self.life.upload(text.into(), uuid, Promise::Kept)? {
            self.ledger.withdraw(&id);
        }
        Ok(())
    }

    /// The agent answers a request of the viewer's, and is done with what it got.
    fn agent_answers(&mut self, choices: &mut dyn Choices) -> Result<(), String> {
        let open = self.life.owed.request_ids();
        if let Some(id) = some(choices, &open) {
            let n = self.life.owed.next_frame();
            let uuid = format!("a{n}");
            let text = format!(
                r#"{{"type":"control_response","n":{n},"uuid":"{uuid}","response":{{"subtype":"success","request_id":"{id}","response":{{}}}}}}"#
            );
            self.life.upload(text.into(), uuid, Promise::MayBe)?;
        }
        for event in std::mem::take(&mut self.unacknowledged) {
            self.life.acknowledge(event, Delivery::Processed)?;
        }
        Ok(())
    }

    fn viewer_sends(&mut self) {
        if let Ok(id) = self.world.try_send(Content::text("hello")) {
            self.ledger.sent_by_viewer(id.as_str());
        }
    }

    fn viewer_decides(&mut self, choices: &mut dyn Choices) {
        let standing = self.ledger.standing();
        let Some(id) = some(choices, &standing) else {
            return;
        };
        let (decision, behavior) = if choices.below(2) == 0 {
            (Decision::allow(), "allow")
        } else {
            (Decision::deny("no"), "deny")
        };
        if self.world.decide(&id, &decision).is_ok() {
            self.ledger.decided(&id, behavior);
        }
    }

    fn viewer_asks(&mut self, choices: &mut dyn Choices) {
        // Refused when too many are open, which is no matter here.
        if choices.below(2) == 0 {
            drop(self.world.interrupt());
        } else {
            drop(self.world.request("set_model", &Fields::NONE));
        }
    }

    fn viewers_link_goes_wrong(&mut self, choices: &mut dyn Choices) {
        self.life.counts.faults += 1;
        let refused = Refusal::Network(NetworkFailure::Refused);
        let unavailable = Refusal::Http {
            status: 503,
            retry_after: None,
        };
        let posts = [
            HttpPlan::LoseAnswer,
            HttpPlan::Fail(NetworkFailure::Reset),
            HttpPlan::Status(500, None),
            HttpPlan::Never,
        ];
        let some_post = |choices: &mut dyn Choices| {
            let index = usize::try_from(choices.below(4)).unwrap_or(0);
            posts.get(index).cloned().unwrap_or(HttpPlan::LoseAnswer)
        };
        match choices.below(12) {
            0 | 1 => self.world.cut(),
            2 => self.world.server().freeze(),
            3 => self.world.server().close(1011, "trouble"),
            4 | 5 => {
                let plan = some_post(choices);
                self.world.server().next_post(plan);
            }
            6 => {
                let plan = some_post(choices);
                self.world.server().next_list(plan);
            }
            7 => {
                self.world.cut();
                let upgrades = [
                    Upgrade::AcceptThenReset,
                    Upgrade::Never,
                    Upgrade::Refuse(refused),
                    Upgrade::Refuse(unavailable),
                ];
                let index = usize::try_from(choices.below(4)).unwrap_or(0);
                let plan = upgrades.get(index).cloned().unwrap_or(Upgrade::Never);
                self.world.server().next_upgrade(plan);
            }
            8 => {
                let plans = [
                    TokenPlan::Never,
                    TokenPlan::Refuse(TokenRefusal::Unavailable),
                ];
                let index = usize::try_from(choices.below(2)).unwrap_or(0);
                let plan = plans.get(index).cloned().unwrap_or(TokenPlan::Never);
                self.world.tokens().next(plan);
            }
            9 => {
                let latency = millis(u64::from(choices.below(300)));
                self.world.set_latency(latency);
            }
            10 => {
                let delay: Duration = millis(u64::from(choices.below(3000)));
                self.world.server().http_delay = delay;
            }
            _ => self.world.wake(),
        }
    }
}

fn some(choices: &mut dyn Choices, from: &[String]) -> Option<String> {
    let bound = u32::try_from(from.len()).ok().filter(|bound| *bound > 0)?;
    let indexes: Vec<u32> = (0..bound).collect();
    let index = usize::try_from(one_of(choices, &indexes, 0)).ok()?;
    from.get(index).cloned()
}
