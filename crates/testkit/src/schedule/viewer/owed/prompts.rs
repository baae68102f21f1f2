//! Prompts: answered once, as shown, and approved only while they may still be asked.

use std::collections::{BTreeMap, BTreeSet};

use attache_protocol::{
    frame::permission::PermissionRequest,
    time::Timestamp,
    viewer::{DecideError, Decision, Standing},
};
use serde_json::{Value, json};

use super::frames_of;
use crate::{World, server::LineId};

#[derive(Default)]
pub(super) struct Prompts {
    asked: BTreeMap<String, Prompt>,
    open: BTreeSet<String>,
    link: Option<(Timestamp, LineId)>,
}

#[derive(Default)]
struct Prompt {
    /// Since when it is no longer asked.
    over: Option<Timestamp>,
    decision: Option<Decision>,
    /// The link it was answered on.
    answered_on: Option<LineId>,
}

/// How an answer leaves.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// It arrives if the link holds.
    Link,
    /// It goes under an id that the server recognises.
    Call,
}

impl Prompts {
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn shows(&self, id: &str) -> bool {
        self.open.contains(id)
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.asked.len()).unwrap_or_default()
    }

    /// A link is asked for; the server sends what is asked from now on.
    pub(super) fn link(&mut self, at: Timestamp, line: LineId) {
        self.link = Some((at, line));
    }

    pub(super) fn shown(&mut self, prompt: &PermissionRequest) -> Result<(), String> {
        let id = prompt.request_id().as_str();
        let input: Value = serde_json::from_str(prompt.input().as_str()).unwrap_or_default();
        if input != asked_input(id) {
            return Err(format!("{id} is shown with {input}"));
        }
        self.asked.entry(id.to_owned()).or_default();
        self.open.insert(id.to_owned());
        Ok(())
    }

    pub(super) fn closed(&mut self, id: &str) {
        self.open.remove(id);
    }

    pub(super) fn over(&mut self, id: &str, now: Timestamp) {
        let prompt = self.asked.entry(id.to_owned()).or_default();
        prompt.over.get_or_insert(now);
    }

    pub(super) fn decided(&mut self, id: &str, decision: &Decision) {
        let prompt = self.asked.entry(id.to_owned()).or_default();
        prompt.decision = Some(decision.clone());
    }

    pub(super) fn begin_anew(&mut self) {
        self.open.clear();
        self.link = None;
        for prompt in self.asked.values_mut() {
            prompt.decision = None;
            prompt.answered_on = None;
        }
    }

    /// A text leaves the viewer.
    pub(super) fn leaves(&mut self, text: &str, by: By) -> Result<(), String> {
        if !text.contains("control_response") {
            return Ok(());
        }
        for frame in frames_of(text) {
            let response = |field: &str| frame.get("response")?.get(field);
            if response("subtype").and_then(Value::as_str) != Some("success") {
                continue;
            }
            let id = response("request_id").and_then(Value::as_str);
            let answer = response("response").unwrap_or(&Value::Null);
            self.answer(id.unwrap_or_default(), answer, by)?;
        }
        Ok(())
    }

    fn answer(&mut self, id: &str, answer: &Value, by: By) -> Result<(), String> {
        let link = self.link;
        let Some(prompt) = self.asked.get_mut(id) else {
            return Err(format!("{id} is answered, and was never shown"));
        };
        let Some(decision) = &prompt.decision else {
            return Err(format!("{id} is answered, and nobody decided"));
        };
        if !says(answer, decision, id) {
            return Err(format!(
                "{id} is answered with {answer}, against {decision:?}"
            ));
        }
        let Some((opened, over_line)) = link else {
            return Err(format!("{id} is answered without a link"));
        };
        if by == By::Link && prompt.answered_on.replace(over_line) == Some(over_line) {
            return Err(format!("{id} is answered twice on one link"));
        }
        let needs_open = matches!(decision, Decision::Allow(allow)
            if allow.standing == Standing::VerifiedOnly);
        if needs_open && prompt.over.is_some_and(|over| over < opened) {
            return Err(format!(
                "{id} is approved on a link that was opened after it was no longer asked"
            ));
        }
        Ok(())
    }

    /// What the agent still asks can be answered; nothing else can.
    pub(super) fn settled(
        &mut self,
        world: &mut World,
        overflowed: bool,
        had_gap: bool,
    ) -> Result<(), String> {
        let forgotten = world.server().forgotten();
        let open: BTreeSet<String> = world
            .server()
            .open_prompts()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let ids: BTreeSet<String> = self.asked.keys().chain(&open).cloned().collect();
        for id in ids {
            if !open.contains(&id) && world.decide(&id, &Decision::allow()).is_ok() {
                return Err(format!("{id} is not asked any more, and can be approved"));
            }
            let decision = Decision::deny("at the end");
            let decided = world.decide(&id, &decision);
            if decided.is_ok() {
                self.decided(&id, &decision);
            }
            let kept = match (open.contains(&id), decided) {
                (true, Ok(())) | (false, Err(DecideError::UnknownPrompt)) => true,
                // One too many is not kept.
                (true, Err(DecideError::UnknownPrompt)) => overflowed,
                // After a gap, or where its end is no longer retained, whether it is still asked can't be known.
                (false, _) => had_gap || forgotten > 0,
                (true, Err(_)) => false,
            };
            if !kept {
                let state = if open.contains(&id) { "is" } else { "is not" };
                return Err(format!(
                    "{id} {state} asked any more, and deciding on it gives {decided:?}"
                ));
            }
        }
        Ok(())
    }
}

/// What `World` asks under this id.
fn asked_input(id: &str) -> Value {
    let number = id.strip_prefix('r').unwrap_or_default();
    json!({"command": format!("ls {number}")})
}

fn says(answer: &Value, decision: &Decision, id: &str) -> bool {
    let field = |name: &str| answer.get(name).unwrap_or(&Value::Null);
    match decision {
        Decision::Deny(deny) => {
            field("behavior") == "deny" && field("message") == deny.message.as_str()
        }
        Decision::Allow(allow) => {
            let input = match &allow.updated_input {
                Some(changed) => serde_json::from_str(changed.as_str()).unwrap_or_default(),
                None => asked_input(id),
            };
            field("behavior") == "allow" && *field("updatedInput") == input
        }
    }
}
