//! What goes wrong, drawn beforehand: how the next calls, streams and questions for a token end.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use attache_protocol::{io::NetworkFailure, time::Timestamp};

use super::order::Kind;
use crate::{millis, schedule::Choices, secs};

/// How a call ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// As it should.
    Served,
    /// As it should, this much later.
    Slow(Duration),
    /// It is carried out, and the caller does not learn of it.
    AnswerLost(Loss),
    /// It is not carried out.
    Failed(NetworkFailure),
    /// It is not carried out, and there is no answer.
    Swallowed,
    /// It is refused.
    Status(u16, Option<Duration>),
    /// It is carried out, and answered with something unreadable.
    Garbled,
    /// It is not carried out, and answered as an older one of its kind was.
    Outdated,
}

/// What the caller sees instead of an answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Broken,
    Silence,
    Status(u16),
}

/// How an attempt to open the stream ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamFate {
    Opened,
    /// It opens, and ends at once.
    Ended,
    /// It opens, and nothing ever comes.
    Mute,
    Failed(NetworkFailure),
    Swallowed,
    Status(u16, Option<Duration>),
}

/// How a question for a token ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenFate {
    Given,
    Late(Duration),
    Never,
    Unavailable,
    /// The same token as before, even if it was refused.
    Stale,
    SignedOut,
}

/// What is going to go wrong.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    calls: BTreeMap<Kind, VecDeque<Fate>>,
    streams: VecDeque<StreamFate>,
    tokens: VecDeque<TokenFate>,
    outage: Option<(Timestamp, Fate)>,
    /// How long everything is on its way.
    pub(super) latency: Duration,
}

impl Weather {
    pub(super) fn calm() -> Self {
        Self {
            calls: BTreeMap::new(),
            streams: VecDeque::new(),
            tokens: VecDeque::new(),
            outage: None,
            latency: millis(5),
        }
    }

    /// The next `count` calls of this kind end like that.
    pub(super) fn plan_calls(&mut self, kind: Kind, fate: Fate, count: u32) {
        let plan = self.calls.entry(kind).or_default();
        plan.extend((0..count).map(|_| fate));
        plan.truncate(20);
    }

    pub(super) fn plan_stream(&mut self, fate: StreamFate, count: u32) {
        self.streams.extend((0..count).map(|_| fate));
        self.streams.truncate(20);
    }

    pub(super) fn plan_token(&mut self, fate: TokenFate) {
        self.tokens.push_back(fate);
        self.tokens.truncate(20);
    }

    /// Until then every call and every stream ends like that.
    pub(super) fn plan_outage(&mut self, until: Timestamp, fate: Fate) {
        self.outage = Some((until, fate));
    }

    pub(super) fn of_call(&mut self, kind: Kind, now: Timestamp) -> Fate {
        if let Some(fate) = self.of_outage(now) {
            return fate;
        }
        let plan = self.calls.get_mut(&kind);
        plan.and_then(VecDeque::pop_front).unwrap_or(Fate::Served)
    }

    pub(super) fn of_stream(&mut self, now: Timestamp) -> StreamFate {
        match self.of_outage(now) {
            Some(Fate::Failed(failure)) => StreamFate::Failed(failure),
            Some(Fate::Status(status, retry_after)) => StreamFate::Status(status, retry_after),
            Some(Fate::Swallowed | Fate::AnswerLost(_)) => StreamFate::Swallowed,
            Some(Fate::Served | Fate::Slow(_) | Fate::Garbled | Fate::Outdated) | None => {
                self.streams.pop_front().unwrap_or(StreamFate::Opened)
            }
        }
    }

    pub(super) fn of_token(&mut self) -> TokenFate {
        self.tokens.pop_front().unwrap_or(TokenFate::Given)
    }

    fn of_outage(&mut self, now: Timestamp) -> Option<Fate> {
        let (until, fate) = self.outage?;
        if until <= now {
            self.outage = None;
            return None;
        }
        Some(fate)
    }
}

/// Whether a fault may be one that rightly ends the worker.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Mercy {
    Spared,
    MayEnd,
}

const STATUSES_LATER: &[u16] = &[500, 502, 503, 504, 599, 408, 425];
const STATUSES_REFUSED: &[u16] = &[400, 413, 422, 405, 418, 301];
const STATUSES_FATAL: &[u16] = &[404, 409];
const FAILURES: &[NetworkFailure] = &[
    NetworkFailure::Refused,
    NetworkFailure::Reset,
    NetworkFailure::Ended,
    NetworkFailure::Dns,
    NetworkFailure::Tls,
    NetworkFailure::TimedOut,
    NetworkFailure::Protocol,
    NetworkFailure::TooLarge,
    NetworkFailure::Other,
];

pub(in crate::schedule) fn one_of<T: Copy>(
    choices: &mut dyn Choices,
    from: &[T],
    otherwise: T,
) -> T {
    let bound = u32::try_from(from.len()).unwrap_or(1).max(1);
    let index = usize::try_from(choices.below(bound)).unwrap_or(0);
    from.get(index).copied().unwrap_or(otherwise)
}

fn failure(choices: &mut dyn Choices) -> NetworkFailure {
    one_of(choices, FAILURES, NetworkFailure::Reset)
}

fn retry_after(choices: &mut dyn Choices) -> Option<Duration> {
    match choices.below(6) {
        0 => Some(Duration::ZERO),
        1 => Some(secs(2)),
        2 => Some(secs(45)),
        3 => Some(secs(1_000_000_000)),
        _ => None,
    }
}

/// A fault that may befall a call of this kind.
pub(super) fn fault(choices: &mut dyn Choices, kind: Kind, mercy: Mercy) -> Fate {
    // A refusal of what opens the transport is rightly the end.
    let may_be_refused = mercy == Mercy::MayEnd
        || matches!(
            kind,
            Kind::Upload | Kind::Delivery | Kind::Heartbeat | Kind::Archive
        );
    match choices.below(16) {
        0 => Fate::Failed(NetworkFailure::Refused),
        1 | 2 => Fate::Failed(failure(choices)),
        3 => Fate::Swallowed,
        4 => Fate::Slow(millis(u64::from(choices.below(9_000)))),
        5 => Fate::AnswerLost(Loss::Broken),
        6 => Fate::AnswerLost(Loss::Silence),
        7 => Fate::AnswerLost(Loss::Status(one_of(choices, STATUSES_LATER, 500))),
        8 => Fate::Status(401, None),
        9 => Fate::Status(403, None),
        10 => Fate::Status(429, retry_after(choices)),
        11 if may_be_refused => Fate::Status(one_of(choices, STATUSES_REFUSED, 400), None),
        12 if kind.is_workers() || mercy == Mercy::MayEnd => Fate::Status(410, None),
        13 if mercy == Mercy::MayEnd => Fate::Status(one_of(choices, STATUSES_FATAL, 409), None),
        15 if kind == Kind::Bridge => Fate::Outdated,
        14 if kind != Kind::Register || mercy == Mercy::MayEnd => Fate::Garbled,
        _ => Fate::Status(one_of(choices, STATUSES_LATER, 503), retry_after(choices)),
    }
}

/// A fault that may befall the opening of a stream.
pub(super) fn stream_fault(choices: &mut dyn Choices, mercy: Mercy) -> StreamFate {
    match choices.below(9) {
        0 => StreamFate::Ended,
        1 => StreamFate::Mute,
        2 => StreamFate::Swallowed,
        3 => StreamFate::Status(one_of(choices, &[401, 403, 410], 401), None),
        4 => StreamFate::Status(429, retry_after(choices)),
        5 if mercy == Mercy::MayEnd => {
            StreamFate::Status(one_of(choices, STATUSES_FATAL, 409), None)
        }
        6 => StreamFate::Status(one_of(choices, STATUSES_REFUSED, 400), None),
        7 => StreamFate::Status(one_of(choices, STATUSES_LATER, 503), retry_after(choices)),
        _ => StreamFate::Failed(failure(choices)),
    }
}

/// What may go wrong with a token.
pub(super) fn token_fault(choices: &mut dyn Choices, mercy: Mercy) -> TokenFate {
    match choices.below(6) {
        0 => TokenFate::Never,
        1 => TokenFate::Late(secs(14 + u64::from(choices.below(4)))),
        2 => TokenFate::Late(millis(u64::from(choices.below(3000)))),
        3 if mercy == Mercy::MayEnd => TokenFate::SignedOut,
        4 if mercy == Mercy::MayEnd => TokenFate::Stale,
        _ => TokenFate::Unavailable,
    }
}
