//! Answers that go by calls: one at a time, and the call's own answer is the verdict.

use bytestring::ByteString;

use super::{Prompts, Reply, Settled};
use crate::{
    frame::RequestId,
    viewer::{PromptState, SettledBy},
};

impl Prompts {
    /// The next answer that may be posted now, oldest prompt first.
    pub(in crate::viewer) fn next(&mut self) -> Option<(RequestId, ByteString)> {
        let (id, prompt) = self
            .open
            .iter_mut()
            .filter(|(_, prompt)| prompt.may_be_answered())
            .min_by_key(|(_, prompt)| prompt.order)?;
        let Reply::Ready(answer) = &prompt.reply else {
            return None;
        };
        let answer = answer.clone();
        let text = answer.text.clone();
        // No pong settles it.
        let ping = u64::MAX;
        prompt.reply = Reply::Sent { answer, ping };
        Some((id.clone(), text))
    }

    /// The answer that was posted is to go again. Returns the prompt's state if the application knows
    /// of it.
    pub(in crate::viewer) fn post_again(&mut self, request_id: &RequestId) -> Option<PromptState> {
        let prompt = self.open.get_mut(request_id)?;
        let Reply::Sent { answer, .. } = &prompt.reply else {
            return None;
        };
        prompt.reply = Reply::Ready(answer.clone());
        self.state(request_id)
    }

    /// The answer that was posted counts.
    pub(in crate::viewer) fn taken(&mut self, request_id: &RequestId) -> Option<Settled> {
        self.open.get(request_id)?.answer()?;
        self.answered.insert(request_id.as_str());
        self.answered_here.insert(request_id.as_str());
        self.settle(request_id, SettledBy::Us, None)
    }
}
