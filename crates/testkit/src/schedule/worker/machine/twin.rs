//! A twin of the worker, to which more is done than to the worker, none of which may change a thing.

use std::collections::VecDeque;

use attache_protocol::{
    Bytes,
    io::{
        Effect, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, StreamId, Token,
        TokenRequestId,
    },
    time::Timestamp,
    worker::Worker,
};

use super::{Act, Output, Said, make, shown};

/// What is done to the twin beside what is done to both, none of which may change a thing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Noise {
    /// Nothing.
    None,
    /// Timeouts before they are due.
    Early,
    /// Calls with a time before the last one.
    Backwards,
    /// Answers under ids that are over.
    Stale,
    /// Orders are taken late, and events first.
    LateDrain,
}

impl Noise {
    pub(in crate::schedule) const ALL: [Self; 5] = [
        Self::None,
        Self::Early,
        Self::Backwards,
        Self::Stale,
        Self::LateDrain,
    ];
}

/// A clone that gets the same inputs and more.
#[derive(Clone, Debug)]
pub(super) struct Twin {
    worker: Worker,
    noise: Noise,
    pub(super) left: u32,
    owed_effects: VecDeque<Effect>,
    calls: u32,
}

/// Ids that are over.
#[derive(Clone, Debug, Default)]
pub(super) struct Retired {
    tokens: Vec<TokenRequestId>,
    calls: Vec<HttpRequestId>,
    streams: Vec<StreamId>,
}

impl Twin {
    pub(super) fn of(worker: &Worker, noise: Noise, calls: u32) -> Self {
        Self {
            worker: worker.clone(),
            noise,
            left: calls,
            owed_effects: VecDeque::new(),
            calls: 0,
        }
    }

    /// The events that are waiting are taken, as they were from the other.
    pub(super) fn take_events(&mut self) {
        while self.worker.poll_event().is_some() {}
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all of what happened to the other one"
    )]
    pub(super) fn follow(
        &mut self,
        now: Timestamp,
        earlier: Timestamp,
        act: &Act,
        said: &Said,
        output: &Output,
        retired: &Retired,
        takes_events: bool,
    ) -> Result<(), String> {
        self.calls += 1;
        let mut at = now;
        match self.noise {
            Noise::None | Noise::LateDrain => {}
            Noise::Early => {
                let is_early = |(deadline, _)| deadline > earlier;
                if self.worker.poll_timeout().is_none_or(is_early) {
                    self.worker.handle_timeout(earlier);
                }
            }
            Noise::Backwards => {
                if now == earlier {
                    at = Timestamp::ORIGIN;
                }
            }
            Noise::Stale => {
                for input in retired.answers(self.calls) {
                    self.worker.handle_input(earlier, input);
                }
            }
        }
        let own = make(&mut self.worker, at, act);
        if own != *said {
            return Err(format!(
                "a twin under {:?} was told {own:?} instead of {said:?}",
                self.noise
            ));
        }
        self.owed_effects.extend(output.effects.iter().cloned());
        let mut events = output.events.iter();
        if takes_events {
            while let Some(event) = self.worker.poll_event() {
                let (own, other) = (shown(&event), events.next().map(shown));
                if Some(&own) != other.as_ref() {
                    return Err(format!(
                        "a twin under {:?} says {own} instead of {other:?}",
                        self.noise
                    ));
                }
            }
            if let Some(missing) = events.next() {
                return Err(format!(
                    "a twin under {:?} does not say {missing:?}",
                    self.noise
                ));
            }
        }
        if self.noise == Noise::LateDrain && !self.calls.is_multiple_of(5) {
            return Ok(());
        }
        while let Some(own) = self.worker.poll_effect() {
            let other = self.owed_effects.pop_front();
            if other.as_ref() != Some(&own) {
                return Err(format!(
                    "a twin under {:?} orders {own:?} instead of {other:?}",
                    self.noise
                ));
            }
        }
        match self.owed_effects.pop_front() {
            Some(missing) => Err(format!(
                "a twin under {:?} does not order {missing:?}",
                self.noise
            )),
            None => Ok(()),
        }
    }

    pub(super) fn compare(&self, other: &Worker) -> Result<(), String> {
        let view = |worker: &Worker| {
            (
                worker.poll_timeout(),
                worker.status(),
                worker.wants_read(),
                worker.wants_write(),
                worker.session().cloned(),
            )
        };
        let (own, other) = (view(&self.worker), view(other));
        if own == other {
            Ok(())
        } else {
            Err(format!(
                "a twin under {:?} stands at {own:?} instead of {other:?}",
                self.noise
            ))
        }
    }
}

impl Retired {
    pub(super) fn note(&mut self, input: &Input) {
        const KEPT: usize = 3;
        match input {
            Input::TokenFetched { id, .. } | Input::TokenRefused { id, .. } => {
                self.tokens.push(*id);
            }
            Input::HttpAnswered { id, .. } | Input::HttpFailed { id, .. } => self.calls.push(*id),
            Input::StreamClosed { id, .. } => self.streams.push(*id),
            Input::StreamOpened { .. }
            | Input::StreamBytes { .. }
            | Input::SocketOpened { .. }
            | Input::SocketRefused { .. }
            | Input::SocketBytes { .. }
            | Input::SocketText { .. }
            | Input::SocketBinary { .. }
            | Input::SocketPing { .. }
            | Input::SocketPong { .. }
            | Input::SocketClosed { .. }
            | Input::Woke => {}
        }
        self.tokens.drain(..self.tokens.len().saturating_sub(KEPT));
        self.calls.drain(..self.calls.len().saturating_sub(KEPT));
        self.streams
            .drain(..self.streams.len().saturating_sub(KEPT));
    }

    pub(super) fn note_given_up(&mut self, effect: &Effect) {
        match effect {
            Effect::CancelHttp { id } => self.calls.push(*id),
            Effect::CloseStream { id } => self.streams.push(*id),
            Effect::FetchToken { .. }
            | Effect::OpenSocket { .. }
            | Effect::SendText { .. }
            | Effect::SendPing { .. }
            | Effect::CloseSocket { .. }
            | Effect::AbortSocket { .. }
            | Effect::SendHttp { .. }
            | Effect::OpenStream { .. } => {}
        }
    }

    /// Late answers to what is over.
    fn answers(&self, turn: u32) -> Vec<Input> {
        let token = |id: &TokenRequestId| Input::TokenFetched {
            id: *id,
            token: Token::new("stale"),
        };
        let call = |id: &HttpRequestId| match turn % 3 {
            0 => Input::HttpFailed {
                id: *id,
                failure: NetworkFailure::Reset,
            },
            1 => answered(*id, 409),
            _ => answered(*id, 200),
        };
        let stream = |id: &StreamId| {
            match turn % 3 {
            0 => Input::StreamOpened { id: *id },
            1 => Input::StreamBytes {
                id: *id,
                bytes: Bytes::from_static(b"event: client_event\nid: 99999\ndata: {\"event_id\":\"stale\",\"sequence_num\":99999,\"payload\":{\"type\":\"user\"}}\n\n"),
            },
            _ => Input::StreamClosed {
                id: *id,
                ending: Refusal::Http {
                    status: 409,
                    retry_after: None,
                },
            },
        }
        };
        let tokens = self.tokens.iter().map(token);
        let calls = self.calls.iter().map(call);
        let streams = self.streams.iter().map(stream);
        tokens.chain(calls).chain(streams).collect()
    }
}

fn answered(id: HttpRequestId, status: u16) -> Input {
    let response = HttpResponse {
        status,
        retry_after: None,
        body: Bytes::from_static(b"{}"),
    };
    Input::HttpAnswered { id, response }
}
