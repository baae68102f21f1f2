//! Whose answer to a prompt counted.

use alloc::vec::Vec;

use super::{Prompts, Reply, Seen, Shown, answer};
use crate::{
    frame::{
        RequestId,
        relay::{AnswerRefused, Behavior, RefusedBecause, Settlement},
    },
    viewer::{PromptState, SettledBy},
};

/// How it is known that an answer counted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdicts {
    /// From the pong to a ping sent behind it: the server has read it.
    ByPong,
    /// The server says so, or says that another one did.
    ByServer,
}

/// A prompt that is over, and whether the application should hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::viewer) struct Settled {
    pub(in crate::viewer) request_id: RequestId,
    pub(in crate::viewer) by: SettledBy,
    pub(in crate::viewer) behavior: Option<Behavior>,
    pub(in crate::viewer) tell: bool,
}

/// What a refused answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::viewer) enum Refusal {
    /// Another one counted.
    Settled(Settled),
    /// The prompt is gone; whether the application should hear of it.
    Withdrawn(bool),
    /// The prompt is open as before.
    StillOpen(Option<PromptState>),
}

impl Prompts {
    /// The server will say which answers count.
    pub(in crate::viewer) fn await_verdicts(&mut self) {
        self.verdicts = Verdicts::ByServer;
    }

    /// The pong to ping number `ping` returned: everything written before it has been read.
    pub(in crate::viewer) fn delivered(&mut self, ping: u64) -> Vec<Settled> {
        match self.verdicts {
            Verdicts::ByPong => {}
            Verdicts::ByServer => return Vec::new(),
        }
        let ids: Vec<RequestId> = self
            .open
            .iter()
            .filter(|(_, prompt)| {
                matches!(&prompt.reply, Reply::Sent { ping: awaited, .. } if *awaited <= ping)
            })
            .map(|(id, _)| id.clone())
            .collect();
        ids.into_iter()
            .filter_map(|id| self.settle(&id, SettledBy::Us, None))
            .collect()
    }

    /// The stream shows a response to `request_id`; `None` when that is no open prompt.
    pub(in crate::viewer) fn responded(
        &mut self,
        request_id: &RequestId,
        response: &str,
    ) -> Option<Settled> {
        self.answered.insert(request_id.as_str());
        self.answered_here.insert(request_id.as_str());
        let prompt = self.open.get_mut(request_id)?;
        let ours = prompt
            .answer()
            .is_some_and(|answer| answer::same_response(&answer.text, response));
        let by = if ours {
            SettledBy::Us
        } else {
            SettledBy::AnotherViewer { name: None }
        };
        let behavior = answer::behavior(response);
        match self.verdicts {
            Verdicts::ByPong => self.settle(request_id, by, behavior),
            Verdicts::ByServer => {
                prompt.seen_answered.get_or_insert((by, behavior));
                None
            }
        }
    }

    /// The server says whose answer counted; `None` when that is no open prompt.
    pub(in crate::viewer) fn settled(&mut self, settlement: &Settlement) -> Option<Settled> {
        let request_id = &settlement.request_id;
        self.answered.insert(request_id.as_str());
        self.answered_here.insert(request_id.as_str());
        let ours = self.open.get(request_id)?.answer();
        let counted = settlement.answer_id.as_deref();
        let by = if ours.is_some_and(|answer| Some(&*answer.uuid) == counted) {
            SettledBy::Us
        } else {
            let answered_by = settlement.answered_by.as_ref();
            let name = answered_by.and_then(|by| by.name.clone());
            SettledBy::AnotherViewer { name }
        };
        self.settle(request_id, by, Some(settlement.behavior))
    }

    /// The server says that our answer did not count; `None` when it waits for no such verdict.
    pub(in crate::viewer) fn refused(&mut self, refused: &AnswerRefused) -> Option<Refusal> {
        let request_id = &refused.request_id;
        let prompt = self.open.get_mut(request_id)?;
        let answer = prompt.answer()?;
        if refused
            .answer_id
            .as_deref()
            .is_some_and(|id| id != &*answer.uuid)
        {
            return None;
        }
        Some(match refused.reason {
            RefusedBecause::Answered => {
                let answered_by = refused.answered_by.as_ref();
                let name = answered_by.and_then(|by| by.name.clone());
                let seen = prompt
                    .seen_answered
                    .take()
                    .and_then(|(_, behavior)| behavior);
                let by = SettledBy::AnotherViewer { name };
                Refusal::Settled(self.settle(request_id, by, seen)?)
            }
            RefusedBecause::Withdrawn | RefusedBecause::Unknown => {
                Refusal::Withdrawn(self.withdraw(request_id, Seen::Past))
            }
            RefusedBecause::Forbidden => {
                prompt.reply = Reply::None;
                Refusal::StillOpen(self.state(request_id))
            }
        })
    }

    pub(super) fn settle(
        &mut self,
        request_id: &RequestId,
        by: SettledBy,
        behavior: Option<Behavior>,
    ) -> Option<Settled> {
        let prompt = self.open.remove(request_id)?;
        let tell = prompt.shown == Shown::Yes;
        let behavior = match (prompt.reply, &by) {
            (Reply::Ready(answer) | Reply::Sent { answer, .. }, SettledBy::Us) => {
                let ours = answer.behavior;
                self.kept.keep(prompt.request, answer);
                Some(ours)
            }
            (Reply::None, _) | (_, SettledBy::AnotherViewer { .. }) => behavior,
        };
        Some(Settled {
            request_id: request_id.clone(),
            by,
            behavior,
            tell,
        })
    }
}
