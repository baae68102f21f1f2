//! Control frames that go by calls, where there is no socket to write them to: one call at a time, under
//! the same id however often it takes.

use alloc::{collections::VecDeque, string::String, vec::Vec};
use core::time::Duration;

use bytestring::ByteString;
use serde::Deserialize;

use crate::{
    frame::{
        RequestId,
        relay::{AnsweredBy, RefusedBecause},
    },
    io::{HttpRequestId, HttpResponse, Token},
    policy::Profile,
    rng::Rng,
};

/// So many refusals go by one call.
const BATCH: usize = 64;

/// The call on its way, and the refusals that wait for one. Answers and requests wait in their own tables,
/// where they may still change their mind.
#[derive(Clone, Debug, Default)]
pub(super) struct Posting {
    flight: Flight,
    refusals: VecDeque<ByteString>,
    failures: u32,
    /// What was refused last, and with which token.
    denied: Option<(Act, Token)>,
}

#[derive(Clone, Debug, Default)]
enum Flight {
    #[default]
    Idle,
    Posted {
        id: HttpRequestId,
        token: Token,
        act: Act,
    },
    Pausing,
}

/// What a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The answer to this prompt.
    Answer(RequestId),
    /// This request of ours.
    Request(RequestId),
    /// Refusals of requests that nobody can answer.
    Refusals(Vec<ByteString>),
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The server has it.
    Taken(Act),
    /// The server does not take it.
    Refused(Act, Refused),
    /// It may or may not have arrived, and is to go again after the delay.
    Unknown(Act, Duration),
    /// It has not arrived, and is to go again after the delay.
    NotTaken(Act, Duration),
    /// It has not arrived, and waits for another token.
    NeedsToken(Act),
}

/// Why the server does not take a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refused {
    /// Why an answer does not count.
    pub(super) because: Option<RefusedBecause>,
    /// Whose answer counted instead.
    pub(super) answered_by: Option<AnsweredBy>,
    /// The same for people.
    pub(super) message: String,
}

impl Posting {
    /// Takes a refusal in.
    pub(super) fn refuse(&mut self, text: ByteString) {
        self.refusals.push_back(text);
    }

    /// Whether one more refusal may be taken in.
    pub(super) fn has_room(&self, limit: usize) -> bool {
        self.refusals.len() < limit.max(1)
    }

    /// Nobody waits for the refusals any more.
    pub(super) fn forget_refusals(&mut self) {
        self.refusals.clear();
    }

    /// Whether a call may be made now with `token`.
    pub(super) fn is_free(&self, token: &Token) -> bool {
        match &self.flight {
            Flight::Idle => self.refused_token() != Some(token),
            Flight::Posted { .. } | Flight::Pausing => false,
        }
    }

    /// The refusals to post next.
    pub(super) fn next_refusals(&mut self) -> Vec<ByteString> {
        let count = BATCH.min(self.refusals.len());
        self.refusals.drain(..count).collect()
    }

    /// Refusals that were posted are to go again.
    pub(super) fn refuse_again(&mut self, texts: Vec<ByteString>) {
        for text in texts.into_iter().rev() {
            self.refusals.push_front(text);
        }
    }

    /// `act` is on its way as call `id`.
    pub(super) fn posted(&mut self, id: HttpRequestId, token: Token, act: Act) {
        self.flight = Flight::Posted { id, token, act };
    }

    /// The call on its way.
    pub(super) fn in_flight(&self) -> Option<HttpRequestId> {
        match &self.flight {
            Flight::Posted { id, .. } => Some(*id),
            Flight::Idle | Flight::Pausing => None,
        }
    }

    /// The token that no call may be made with, when one could be made now.
    pub(super) fn wants_other_than(&self) -> Option<&Token> {
        match &self.flight {
            Flight::Idle => self.refused_token(),
            Flight::Posted { .. } | Flight::Pausing => None,
        }
    }

    /// The token that was refused for what still waits.
    pub(super) fn refused_token(&self) -> Option<&Token> {
        let (_, token) = self.denied.as_ref()?;
        Some(token)
    }

    /// The call was answered, or (`None`) the answer is lost.
    pub(super) fn answered(
        &mut self,
        response: Option<&HttpResponse>,
        profile: &Profile,
        rng: &mut Rng,
    ) -> Option<Delivered> {
        let Flight::Posted { token, act, .. } = core::mem::take(&mut self.flight) else {
            return None;
        };
        let was_denied = self
            .denied
            .as_ref()
            .is_some_and(|(denied, _)| *denied == act);
        let Some(response) = response else {
            let delay = self.pause(None, profile, rng);
            return Some(Delivered::Unknown(act, delay));
        };
        Some(match response.status {
            200..=299 => match read_refusal(&response.body) {
                Some(refused) => self.over(act, |act| Delivered::Refused(act, refused)),
                None => self.over(act, Delivered::Taken),
            },
            401 | 403 if !was_denied => {
                self.denied = Some((act.clone(), token));
                Delivered::NeedsToken(act)
            }
            401 | 403 => self.forbid(act, read_error(&response.body)),
            429 => {
                let delay = self.pause(Some(response), profile, rng);
                Delivered::NotTaken(act, delay)
            }
            408 | 425 | 500..=599 => {
                let delay = self.pause(Some(response), profile, rng);
                Delivered::Unknown(act, delay)
            }
            status => {
                let message = read_error(&response.body)
                    .unwrap_or_else(|| alloc::format!("the server answered {status}"));
                self.over(act, |act| {
                    Delivered::Refused(
                        act,
                        Refused {
                            message,
                            ..Refused::default()
                        },
                    )
                })
            }
        })
    }

    /// The pause before the next try is over.
    pub(super) fn resume(&mut self) {
        if matches!(self.flight, Flight::Pausing) {
            self.flight = Flight::Idle;
        }
    }

    /// There is no other token than this: what waits for one is refused.
    pub(super) fn no_other_token(&mut self, token: &Token) -> Option<Delivered> {
        if self.wants_other_than() != Some(token) {
            return None;
        }
        let (act, _) = self.denied.take()?;
        if let Act::Refusals(texts) = &act {
            self.refusals.retain(|text| !texts.contains(text));
        }
        Some(self.forbid(act, None))
    }

    fn forbid(&mut self, act: Act, message: Option<String>) -> Delivered {
        let refused = Refused {
            because: Some(RefusedBecause::Forbidden),
            answered_by: None,
            message: message
                .unwrap_or_else(|| "the server does not accept this credential for it".into()),
        };
        self.over(act, |act| Delivered::Refused(act, refused))
    }

    fn over(&mut self, act: Act, what: impl FnOnce(Act) -> Delivered) -> Delivered {
        self.failures = 0;
        self.denied.take_if(|(denied, _)| *denied == act);
        what(act)
    }

    fn pause(
        &mut self,
        response: Option<&HttpResponse>,
        profile: &Profile,
        rng: &mut Rng,
    ) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.flight = Flight::Pausing;
        let asked = response
            .and_then(|response| response.retry_after)
            .unwrap_or_default()
            .min(profile.retry_after_cap);
        profile.drops.delays.draw(self.failures, rng).max(asked)
    }
}

/// Why the frame of a call was not taken, if it was not. Servers that say nothing have taken it.
fn read_refusal(body: &[u8]) -> Option<Refused> {
    #[derive(Deserialize)]
    struct Wire {
        data: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        status: String,
        #[serde(default)]
        reason: Option<RefusedBecause>,
        #[serde(default)]
        answered_by: Option<AnsweredBy>,
        #[serde(default)]
        message: Option<String>,
    }
    let wire: Wire = serde_json::from_slice(body).ok()?;
    let entry = wire.data.into_iter().next()?;
    (entry.status == "refused").then(|| Refused {
        because: entry.reason,
        answered_by: entry.answered_by,
        message: entry.message.unwrap_or_default(),
    })
}

/// What the server says about an error, for people.
fn read_error(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Wire {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    let wire: Wire = serde_json::from_slice(body).ok()?;
    Some(wire.error.message)
}

#[cfg(test)]
mod tests;
