//! Permission prompts as state: open until answered, withdrawn, or settled by somebody else.

mod answer;
mod kept;
mod posted;
mod verdict;

use alloc::{collections::BTreeMap, vec::Vec};

use bytestring::ByteString;

use super::{DecideError, Decision, Limits, PromptState, SettledBy, Standing, memory::Memory};
use crate::frame::{
    JsonShape, RawJson, RequestId, control, permission::PermissionRequest, relay::Behavior,
};
use answer::{Answer, Goes, Needs};
use kept::{Kept, OtherQuestion};
use verdict::Verdicts;
pub(super) use verdict::{Refusal, Settled};

/// The prompt table.
#[derive(Clone, Debug)]
pub(super) struct Prompts {
    open: BTreeMap<RequestId, Prompt>,
    asked: u64,
    limit: usize,
    limit_bytes: usize,
    verdicts: Verdicts,
    withdrawn: Memory,
    /// Whose answer was seen: what was asked before it may be looked at after it.
    answered: Memory,
    /// The same, on this link. On a later one the server may ask again, and then it knows better.
    answered_here: Memory,
    /// Answers of ours that went more than once, by their own ids: nobody knows with which of its times one was
    /// stored.
    gone_again: Memory,
    kept: Kept,
}

#[derive(Clone, Debug)]
struct Prompt {
    request: PermissionRequest,
    order: u64,
    asked: Asked,
    shown: Shown,
    reply: Reply,
    /// An answer was seen; the server's word on whose it was is still to come.
    seen_answered: Option<(SettledBy, Option<Behavior>)>,
}

/// Whether the prompt is known to be asked at this moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Asked {
    Surely,
    /// There was a drop; a catch-up without a hole will tell.
    Perhaps,
    /// Its end may be in a hole: only being asked again tells.
    NobodyKnows,
}

/// Whether the application knows of the prompt.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Shown {
    Yes,
    /// It will be told if the prompt is still open after the catch-up.
    AfterCatchUp,
    /// It has been told everything; only the server needs the answer again.
    Over,
}

#[derive(Clone, Debug)]
enum Reply {
    None,
    Ready(Answer),
    Sent {
        answer: Answer,
        /// Delivered when the pong to this ping, or a later one, returns.
        ping: u64,
    },
}

/// Where a prompt was seen.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// On the socket, now.
    Live,
    /// In what is being caught up with.
    Past,
}

/// What a prompt request means.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// A new prompt, to be shown.
    New,
    /// Nothing to tell.
    Silently,
    /// An open prompt turned out to be still asked.
    Verified(PromptState),
    /// Another question under the id of this one.
    Conflict,
    /// One too many.
    Full,
}

/// What a catch-up found out about a prompt.
#[derive(Clone, Debug)]
pub(super) enum CaughtUp {
    /// Show it, in this state.
    Show(PermissionRequest, PromptState),
    /// Its state changed.
    Changed(RequestId, PromptState),
    /// It was answered.
    Settled(Settled),
}

impl Prompts {
    pub(super) fn new(limits: &Limits, key: u64) -> Self {
        Self {
            open: BTreeMap::new(),
            asked: 0,
            limit: limits.prompts,
            limit_bytes: limits.prompt_bytes,
            verdicts: Verdicts::ByPong,
            withdrawn: Memory::new(limits.prompts.saturating_mul(4), key),
            answered: Memory::new(limits.prompts.saturating_mul(4), key),
            answered_here: Memory::new(limits.prompts.saturating_mul(4), key),
            gone_again: Memory::new(limits.prompts.saturating_mul(4), key),
            kept: Kept::default(),
        }
    }

    /// The agent asks, or somebody repeats what it asks.
    pub(super) fn asked(&mut self, request: PermissionRequest, seen: Seen) -> Noted {
        let id = request.request_id().clone();
        let answered = match seen {
            Seen::Live => &self.answered_here,
            Seen::Past => &self.answered,
        };
        if self.withdrawn.contains(id.as_str()) || answered.contains(id.as_str()) {
            return Noted::Silently;
        }
        if let Some(prompt) = self.open.get_mut(&id) {
            if !prompt.request.asks_the_same(&request) {
                return Noted::Conflict;
            }
            if seen == Seen::Past || prompt.asked == Asked::Surely {
                return Noted::Silently;
            }
            prompt.asked = Asked::Surely;
            return match prompt.shown {
                Shown::Yes => Noted::Verified(prompt.state()),
                Shown::AfterCatchUp => {
                    prompt.shown = Shown::Yes;
                    Noted::New
                }
                Shown::Over => Noted::Silently,
            };
        }
        let (shown, reply) = match self.kept.answer_to(&request) {
            Some(Ok(_)) if seen == Seen::Past => return Noted::Silently,
            Some(Ok(answer)) => (Shown::Over, Reply::Ready(answer)),
            Some(Err(OtherQuestion)) => return Noted::Conflict,
            None if seen == Seen::Past => (Shown::AfterCatchUp, Reply::None),
            None => (Shown::Yes, Reply::None),
        };
        if self.is_full_for(&request) {
            return Noted::Full;
        }
        self.asked += 1;
        self.open.insert(
            id,
            Prompt {
                request,
                order: self.asked,
                asked: match seen {
                    Seen::Live => Asked::Surely,
                    Seen::Past => Asked::Perhaps,
                },
                shown,
                reply,
                seen_answered: None,
            },
        );
        match shown {
            Shown::Yes => Noted::New,
            Shown::AfterCatchUp | Shown::Over => Noted::Silently,
        }
    }

    /// Whether there is no room for one more; the first one always has it.
    fn is_full_for(&self, request: &PermissionRequest) -> bool {
        let length = |request: &PermissionRequest| request.frame().as_str().len();
        let held: usize = self
            .open
            .values()
            .map(|prompt| length(&prompt.request))
            .sum();
        self.open.len() >= self.limit
            || (held > 0 && held.saturating_add(length(request)) > self.limit_bytes)
    }

    /// A person decides. The answer goes by the id `uuid`, however often it is sent.
    pub(super) fn decide(
        &mut self,
        request_id: &RequestId,
        decision: &Decision,
        uuid: &str,
    ) -> Result<(), DecideError> {
        let prompt = self
            .open
            .get_mut(request_id)
            .filter(|prompt| prompt.shown == Shown::Yes)
            .ok_or(DecideError::UnknownPrompt)?;
        if !matches!(prompt.reply, Reply::None) {
            return Err(DecideError::AlreadyAnswered);
        }
        let needs = match decision {
            Decision::Deny(_) => Needs::Nothing,
            Decision::Allow(allow) => {
                let shape = |json: &Option<RawJson>, shape: JsonShape| {
                    json.as_ref().is_none_or(|json| json.shape() == shape)
                };
                if !shape(&allow.updated_input, JsonShape::Object)
                    || !shape(&allow.updated_permissions, JsonShape::Array)
                {
                    return Err(DecideError::InvalidUpdate);
                }
                match (allow.standing, prompt.asked) {
                    (Standing::EvenIfUnverified, _) => Needs::Nothing,
                    (Standing::VerifiedOnly, Asked::Surely) => Needs::OpenPrompt,
                    (Standing::VerifiedOnly, Asked::Perhaps | Asked::NobodyKnows) => {
                        return Err(DecideError::Unverified);
                    }
                }
            }
        };
        prompt.reply = Reply::Ready(Answer {
            text: control::decision(request_id, decision, prompt.request.input(), uuid),
            uuid: uuid.into(),
            behavior: match decision {
                Decision::Allow(_) => Behavior::Allow,
                Decision::Deny(_) => Behavior::Deny,
            },
            needs,
            goes: Goes::Once,
        });
        Ok(())
    }

    /// The answers that may go out now, oldest prompt first. They count as delivered once the pong to
    /// `ping` returns.
    pub(super) fn send(&mut self, ping: u64) -> Vec<(RequestId, ByteString)> {
        let mut ready: Vec<(u64, RequestId, ByteString)> = Vec::new();
        for (id, prompt) in &mut self.open {
            let Reply::Ready(answer) = &prompt.reply else {
                continue;
            };
            if !prompt.may_be_answered() {
                continue;
            }
            ready.push((prompt.order, id.clone(), answer.text.clone()));
            if answer.goes == Goes::Again {
                self.gone_again.insert(&answer.uuid);
            }
            prompt.reply = Reply::Sent {
                answer: answer.clone(),
                ping,
            };
        }
        ready.sort_by_key(|(order, ..)| *order);
        ready.into_iter().map(|(_, id, text)| (id, text)).collect()
    }

    /// Whether `uuid` is an answer of ours that went more than once: then its place in the log is not where it
    /// is seen.
    pub(super) fn went_again(&self, uuid: &str) -> bool {
        self.gone_again.contains(uuid)
    }

    /// The agent no longer asks. Returns whether the application should hear of it; for ids never
    /// seen it should when that happens live.
    pub(super) fn withdraw(&mut self, request_id: &RequestId, seen: Seen) -> bool {
        let first = self.withdrawn.insert(request_id.as_str());
        match self.open.remove(request_id) {
            Some(prompt) => prompt.shown == Shown::Yes,
            None => first && seen == Seen::Live,
        }
    }

    /// The link is gone: nothing is known to be asked any more, nothing sent is known to be delivered.
    pub(super) fn link_lost(&mut self) -> Vec<(RequestId, PromptState)> {
        self.answered_here.clear();
        self.verdicts = Verdicts::ByPong;
        let mut changed = Vec::new();
        for prompt in self.in_order() {
            let before = prompt.state();
            if prompt.asked == Asked::Surely {
                prompt.asked = Asked::Perhaps;
            }
            if let Reply::Sent { answer, .. } = &prompt.reply {
                prompt.reply = Reply::Ready(answer.again());
            }
            if prompt.shown == Shown::Yes && prompt.state() != before {
                changed.push((prompt.request.request_id().clone(), prompt.state()));
            }
        }
        changed
    }

    /// The catch-up is over; without a hole, what is still in the table is still asked, unless there was a hole
    /// before.
    pub(super) fn caught_up(&mut self, is_complete: bool) -> Vec<CaughtUp> {
        let answered = self.open.iter_mut().filter_map(|(id, prompt)| {
            let (by, behavior) = prompt.seen_answered.take()?;
            Some((id.clone(), by, behavior))
        });
        let answered: Vec<_> = answered.collect();
        let settled = answered
            .into_iter()
            .filter_map(|(id, by, behavior)| self.settle(&id, by, behavior));
        let mut found: Vec<_> = settled.map(CaughtUp::Settled).collect();
        for prompt in self.in_order() {
            let before = prompt.state();
            match prompt.asked {
                Asked::Perhaps if is_complete => prompt.asked = Asked::Surely,
                Asked::Perhaps => prompt.asked = Asked::NobodyKnows,
                Asked::Surely | Asked::NobodyKnows => {}
            }
            let state = prompt.state();
            match prompt.shown {
                Shown::AfterCatchUp => {
                    prompt.shown = Shown::Yes;
                    found.push(CaughtUp::Show(prompt.request.clone(), state));
                }
                Shown::Yes if state != before => {
                    let id = prompt.request.request_id().clone();
                    found.push(CaughtUp::Changed(id, state));
                }
                Shown::Yes | Shown::Over => {}
            }
        }
        found
    }

    /// Something is missing: the end of any prompt may be in it.
    pub(super) fn hole(&mut self) {
        for prompt in self.open.values_mut() {
            prompt.asked = Asked::NobodyKnows;
        }
    }

    /// The end of this prompt may be missing.
    pub(super) fn nobody_knows(&mut self, request_id: &RequestId) {
        if let Some(prompt) = self.open.get_mut(request_id) {
            prompt.asked = Asked::NobodyKnows;
        }
    }

    /// Whether no prompt is open.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn is_open(&self, request_id: &RequestId) -> bool {
        self.open.contains_key(request_id)
    }

    /// The state of an open prompt the application knows of.
    pub(super) fn state(&self, request_id: &RequestId) -> Option<PromptState> {
        let prompt = self.open.get(request_id)?;
        (prompt.shown == Shown::Yes).then(|| prompt.state())
    }

    fn in_order(&mut self) -> Vec<&mut Prompt> {
        let mut prompts: Vec<&mut Prompt> = self.open.values_mut().collect();
        prompts.sort_by_key(|prompt| prompt.order);
        prompts
    }
}

impl Prompt {
    fn answer(&self) -> Option<&Answer> {
        match &self.reply {
            Reply::None => None,
            Reply::Ready(answer) | Reply::Sent { answer, .. } => Some(answer),
        }
    }

    /// Whether its answer may be sent now.
    fn may_be_answered(&self) -> bool {
        let Reply::Ready(answer) = &self.reply else {
            return false;
        };
        answer.needs == Needs::Nothing || self.asked == Asked::Surely
    }

    fn state(&self) -> PromptState {
        match (&self.reply, self.asked) {
            (Reply::None, Asked::Surely) => PromptState::Pending,
            (Reply::None, Asked::Perhaps | Asked::NobodyKnows) => PromptState::Unverified,
            (Reply::Ready(_), _) => PromptState::Answered,
            (Reply::Sent { .. }, _) => PromptState::Sent,
        }
    }
}

#[cfg(test)]
mod tests;
