//! Messages of ours on their way: first in, first out, one in flight, the same id however often it
//! takes.

use alloc::{collections::VecDeque, vec::Vec};
use core::time::Duration;

use bytes::Bytes;

use super::{Limits, MessageId, SendRefusal, SendRejection, SendState, memory::Memory};
use crate::{
    frame::relay::DeliveryStatus,
    io::{HttpRequestId, HttpResponse, Token},
    kept_id::KeptId,
    policy::{Limit, Profile},
    rng::Rng,
};

/// The waiting messages; the first one may be in flight.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    waiting: VecDeque<Letter>,
    bytes: usize,
    flight: Flight,
    failures: u32,
    own: Memory,
    /// The accepted ones that are not processed yet, with how far they are.
    accepted: VecDeque<(MessageId, Option<DeliveryStatus>)>,
    accepted_limit: usize,
}

#[derive(Clone, Debug)]
struct Letter {
    id: MessageId,
    body: Bytes,
    fate: Fate,
    refused_with: Option<Token>,
    not_found: u32,
}

/// Whether a waiting message may have arrived already.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Fate {
    NotSent,
    Unknown,
}

#[derive(Clone, Debug)]
enum Flight {
    Idle,
    Posted { id: HttpRequestId, token: Token },
    Pausing,
}

/// What came of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// It ended.
    Done(MessageId, SendState),
    /// It will be tried again after the delay.
    Again(MessageId, SendState, Duration),
    /// It waits for another token.
    NeedsToken(MessageId),
}

impl Outbox {
    pub(super) fn new(limits: &Limits, key: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            flight: Flight::Idle,
            failures: 0,
            own: Memory::new(limits.remembered.max(limits.outbox), key),
            accepted: VecDeque::new(),
            accepted_limit: limits.outbox,
        }
    }

    /// Whether a body of `bytes` bytes fits.
    pub(super) fn admits(&self, bytes: usize, limits: &Limits) -> Result<(), SendRefusal> {
        if bytes > limits.outbox_bytes {
            return Err(SendRefusal::TooLarge {
                limit: limits.outbox_bytes,
            });
        }
        if self.waiting.len() >= limits.outbox
            || self.bytes.saturating_add(bytes) > limits.outbox_bytes
        {
            return Err(SendRefusal::Full);
        }
        Ok(())
    }

    pub(super) fn push(&mut self, id: MessageId, body: Bytes) {
        self.bytes = self.bytes.saturating_add(body.len());
        self.own.insert(id.as_str());
        self.waiting.push_back(Letter {
            id,
            body,
            fate: Fate::NotSent,
            refused_with: None,
            not_found: 0,
        });
    }

    /// The message to post now with `token`, if one may be posted.
    pub(super) fn next(&self, token: &Token) -> Option<(MessageId, Bytes)> {
        match &self.flight {
            Flight::Idle => {}
            Flight::Posted { .. } | Flight::Pausing => return None,
        }
        let letter = self.waiting.front()?;
        if letter.refused_with.as_ref() == Some(token) {
            return None;
        }
        Some((letter.id.clone(), letter.body.clone()))
    }

    /// The first message is on its way as call `id`.
    pub(super) fn posted(&mut self, id: HttpRequestId, token: Token) {
        self.flight = Flight::Posted { id, token };
    }

    /// The call the first message is on its way with.
    pub(super) fn in_flight(&self) -> Option<HttpRequestId> {
        match &self.flight {
            Flight::Posted { id, .. } => Some(*id),
            Flight::Idle | Flight::Pausing => None,
        }
    }

    /// The token that the first message may not go with, when it could go now.
    pub(super) fn wants_other_than(&self) -> Option<&Token> {
        match &self.flight {
            Flight::Idle => self.refused_token(),
            Flight::Posted { .. } | Flight::Pausing => None,
        }
    }

    /// The token that was refused for the first message.
    pub(super) fn refused_token(&self) -> Option<&Token> {
        self.waiting.front()?.refused_with.as_ref()
    }

    /// The post in flight was answered, or (`None`) the answer is lost.
    pub(super) fn answered(
        &mut self,
        response: Option<&HttpResponse>,
        profile: &Profile,
        rng: &mut Rng,
    ) -> Option<Posted> {
        let Flight::Posted { token, .. } = core::mem::replace(&mut self.flight, Flight::Idle)
        else {
            return None;
        };
        let letter = self.waiting.front_mut()?;
        let id = letter.id.clone();
        let Some(response) = response else {
            letter.fate = Fate::Unknown;
            return Some(self.again(id, None, profile, rng));
        };
        match response.status {
            200..=299 => {
                self.take_first();
                self.accept(&id);
                Some(Posted::Done(id, SendState::Accepted))
            }
            401 | 403 if letter.refused_with.is_none() => {
                letter.refused_with = Some(token);
                Some(Posted::NeedsToken(id))
            }
            401 | 403 => Some(self.reject(id, SendRejection::Unauthorized)),
            404 if within(letter.not_found, profile.not_found.limit) => {
                letter.not_found += 1;
                let after = profile.not_found.delays.draw(letter.not_found, rng);
                self.flight = Flight::Pausing;
                Some(Posted::Again(id, SendState::Queued, after))
            }
            429 => Some(self.again(id, Some(response), profile, rng)),
            408 | 425 | 500..=599 => {
                letter.fate = Fate::Unknown;
                Some(self.again(id, Some(response), profile, rng))
            }
            status => Some(self.reject(id, SendRejection::Status { status })),
        }
    }

    /// The pause before the next try is over.
    pub(super) fn resume(&mut self) {
        if matches!(self.flight, Flight::Pausing) {
            self.flight = Flight::Idle;
        }
    }

    /// There is no other token than this: what waits for one is rejected.
    pub(super) fn no_other_token(&mut self, token: &Token) -> Option<Posted> {
        if self.wants_other_than() != Some(token) {
            return None;
        }
        let id = self.waiting.front()?.id.clone();
        Some(self.reject(id, SendRejection::Unauthorized))
    }

    /// Whether `uuid` is a message of ours, sent not too long ago.
    pub(super) fn is_own(&self, uuid: impl Into<KeptId>) -> bool {
        self.own.contains(uuid)
    }

    /// The stream shows the message `uuid`: it has arrived. Returns it if that was not known yet, with
    /// the call that need not be answered any more.
    pub(super) fn confirm(&mut self, uuid: &str) -> Option<(MessageId, Option<HttpRequestId>)> {
        let place = self
            .waiting
            .iter()
            .position(|letter| letter.id.as_str() == uuid)?;
        let call = self.in_flight();
        let letter = if place == 0 {
            self.take_first()?
        } else {
            let letter = self.waiting.remove(place)?;
            self.bytes = self.bytes.saturating_sub(letter.body.len());
            self.accept(&letter.id);
            return Some((letter.id, None));
        };
        self.accept(&letter.id);
        Some((letter.id, call))
    }

    /// The server says how far the message `uuid` is. Returns its state if that is news; it never goes
    /// back.
    pub(super) fn advanced(
        &mut self,
        uuid: &str,
        status: DeliveryStatus,
    ) -> Option<(MessageId, SendState)> {
        let is_it = |(id, _): &(MessageId, _)| id.as_str() == uuid;
        let place = self.accepted.iter().position(is_it)?;
        let (id, known) = self.accepted.get_mut(place)?;
        if *known >= Some(status) {
            return None;
        }
        *known = Some(status);
        let id = id.clone();
        let state = match status {
            DeliveryStatus::Received => SendState::Delivered,
            DeliveryStatus::Processing => SendState::Processing,
            DeliveryStatus::Processed => {
                self.accepted.remove(place);
                SendState::Processed
            }
        };
        Some((id, state))
    }

    /// Ends everything; the session is closed.
    pub(super) fn close(&mut self) -> Vec<(MessageId, SendRejection)> {
        let in_flight = self.in_flight().is_some();
        self.flight = Flight::Idle;
        self.bytes = 0;
        self.waiting
            .drain(..)
            .enumerate()
            .map(|(place, letter)| {
                let open = letter.fate == Fate::Unknown || (place == 0 && in_flight);
                let rejection = if open {
                    SendRejection::ClosedUnconfirmed
                } else {
                    SendRejection::Closed
                };
                (letter.id, rejection)
            })
            .collect()
    }

    fn accept(&mut self, id: &MessageId) {
        if self.accepted.len() >= self.accepted_limit {
            self.accepted.pop_front();
        }
        self.accepted.push_back((id.clone(), None));
    }

    fn again(
        &mut self,
        id: MessageId,
        response: Option<&HttpResponse>,
        profile: &Profile,
        rng: &mut Rng,
    ) -> Posted {
        self.failures = self.failures.saturating_add(1);
        self.flight = Flight::Pausing;
        let asked = response
            .and_then(|response| response.retry_after)
            .unwrap_or_default()
            .min(profile.retry_after_cap);
        let after = profile.drops.delays.draw(self.failures, rng).max(asked);
        let state = match self.waiting.front().map(|letter| letter.fate) {
            Some(Fate::NotSent) | None => SendState::Queued,
            Some(Fate::Unknown) => SendState::Unknown,
        };
        Posted::Again(id, state, after)
    }

    fn reject(&mut self, id: MessageId, why: SendRejection) -> Posted {
        self.take_first();
        Posted::Done(id, SendState::Rejected(why))
    }

    fn take_first(&mut self) -> Option<Letter> {
        let letter = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(letter.body.len());
        self.flight = Flight::Idle;
        self.failures = 0;
        Some(letter)
    }
}

fn within(spent: u32, limit: Limit) -> bool {
    match limit {
        Limit::Retries(retries) => spent < retries,
        Limit::SlowDown { .. } => true,
    }
}

#[cfg(test)]
mod tests;
