//! The worker under test, what goes in and comes out, and a twin of it that must go the same way.

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
};

use attache_protocol::{
    ByteString, Bytes,
    io::{
        Effect, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, StreamId, Token,
        TokenRequestId,
    },
    time::Timestamp,
    worker::{AgentState, Delivery, EventId, UploadError, Worker, WorkerEvent},
};

/// One call of the machine.
#[derive(Clone, Debug)]
pub(in crate::schedule) enum Act {
    Start,
    Upload(ByteString),
    Report(AgentState),
    Acknowledge(EventId, Delivery),
    Close,
    Input(Input),
    Timeout,
}

/// What a call of the machine returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Said {
    Nothing,
    Refused(String),
}

/// How many of the last steps a breach shows.
const SHOWN: usize = 160;

/// A worker, its twin, and what went before.
#[derive(Clone, Debug)]
pub(in crate::schedule) struct Machine {
    pub(super) worker: Worker,
    twin: Option<Twin>,
    /// When it was called last.
    last: Timestamp,
    retired: Retired,
    lines: VecDeque<(Timestamp, Line)>,
}

/// What a worker did in one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    pub(super) effects: Vec<Effect>,
    pub(super) events: Vec<WorkerEvent>,
}

#[derive(Clone, Debug)]
enum Line {
    Act(Act),
    Effect(Effect),
    Event(WorkerEvent),
    Note(String),
}

/// Ids that are over.
#[derive(Clone, Debug, Default)]
struct Retired {
    tokens: Vec<TokenRequestId>,
    calls: Vec<HttpRequestId>,
    streams: Vec<StreamId>,
}

/// What is done to the twin beside what is done to both, none of which may change a thing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Noise {
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

/// A clone that gets the same inputs and more.
#[derive(Clone, Debug)]
struct Twin {
    worker: Worker,
    noise: Noise,
    left: u32,
    owed_effects: VecDeque<Effect>,
    calls: u32,
}

impl Machine {
    pub(super) fn new(worker: Worker, now: Timestamp) -> Self {
        Self {
            worker,
            twin: None,
            last: now,
            retired: Retired::default(),
            lines: VecDeque::new(),
        }
    }

    /// From now on, and for this many calls, a twin goes along.
    pub(super) fn begin_twin(&mut self, noise: Noise, calls: u32) {
        self.twin = Some(Twin {
            worker: self.worker.clone(),
            noise,
            left: calls,
            owed_effects: VecDeque::new(),
            calls: 0,
        });
    }

    /// Makes a call, and takes what comes of it; events only if the application takes any.
    pub(super) fn act(
        &mut self,
        now: Timestamp,
        act: &Act,
        takes_events: bool,
    ) -> Result<(Said, Output), String> {
        self.line(now, Line::Act(act.clone()));
        let said = make(&mut self.worker, now, act);
        let mut output = Output {
            effects: std::iter::from_fn(|| self.worker.poll_effect()).collect(),
            events: Vec::new(),
        };
        if takes_events {
            output.events = std::iter::from_fn(|| self.worker.poll_event()).collect();
        }
        for effect in &output.effects {
            self.line(now, Line::Effect(effect.clone()));
        }
        for event in &output.events {
            self.line(now, Line::Event(event.clone()));
        }
        if let Some(mut twin) = self.twin.take()
            && twin.left > 0
        {
            let earlier = self.last;
            twin.follow(
                now,
                earlier,
                act,
                &said,
                &output,
                &self.retired,
                takes_events,
            )?;
            twin.compare(&self.worker)?;
            twin.left -= 1;
            self.twin = Some(twin);
        }
        // From here on they are over.
        if let Act::Input(input) = act {
            self.retired.note(input);
        }
        for effect in &output.effects {
            self.retired.note_given_up(effect);
        }
        self.last = now.max(self.last);
        Ok((said, output))
    }

    /// Takes the events that are waiting.
    pub(super) fn take_events(&mut self, now: Timestamp) -> Vec<WorkerEvent> {
        // The twin's are taken with them.
        if let Some(twin) = &mut self.twin {
            while twin.worker.poll_event().is_some() {}
        }
        let events: Vec<_> = std::iter::from_fn(|| self.worker.poll_event()).collect();
        for event in &events {
            self.line(now, Line::Event(event.clone()));
        }
        events
    }

    pub(super) fn note(&mut self, now: Timestamp, note: impl Into<String>) {
        self.line(now, Line::Note(note.into()));
    }

    /// The last steps, a line for each.
    pub(in crate::schedule) fn transcript(&self) -> String {
        let mut text = String::new();
        for (at, line) in &self.lines {
            let at = at.since_origin().as_secs_f64();
            // Writing to a string does not fail.
            let _ = writeln!(text, "{at:>12.3} {line}");
        }
        text
    }

    fn line(&mut self, now: Timestamp, line: Line) {
        if self.lines.len() == SHOWN {
            self.lines.pop_front();
        }
        self.lines.push_back((now, line));
    }
}

fn make(worker: &mut Worker, now: Timestamp, act: &Act) -> Said {
    let refused = |error: &dyn fmt::Display| Said::Refused(error.to_string());
    match act {
        Act::Start => {
            return worker
                .start(now)
                .map_or_else(|error| refused(&error), |()| Said::Nothing);
        }
        Act::Upload(text) => {
            return worker.upload(now, text.clone()).map_or_else(
                |UploadError { reason, .. }| refused(&reason),
                |()| Said::Nothing,
            );
        }
        Act::Report(state) => worker.report(now, state.clone()),
        Act::Acknowledge(event, delivery) => worker.acknowledge(now, event, *delivery),
        Act::Close => worker.close(now),
        Act::Input(input) => worker.handle_input(now, input.clone()),
        Act::Timeout => worker.handle_timeout(now),
    }
    Said::Nothing
}

impl Twin {
    #[expect(
        clippy::too_many_arguments,
        reason = "all of what happened to the other one"
    )]
    fn follow(
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

    fn compare(&self, other: &Worker) -> Result<(), String> {
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
    fn note(&mut self, input: &Input) {
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

    fn note_given_up(&mut self, effect: &Effect) {
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

/// An event in full: `Debug` alone leaves contents out on purpose.
fn shown(event: &WorkerEvent) -> String {
    let content = if let WorkerEvent::Inbound(inbound) = event {
        inbound.frame.as_str()
    } else {
        ""
    };
    format!("{event:?} {content}")
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(Act::Upload(text)) => write!(f, "-> Upload {text}"),
            Self::Act(Act::Input(Input::StreamBytes { id, bytes })) => {
                let bytes = String::from_utf8_lossy(bytes);
                write!(f, "-> StreamBytes({id:?}) {bytes:?}")
            }
            Self::Act(Act::Input(Input::HttpAnswered { id, response })) => {
                let body = String::from_utf8_lossy(&response.body);
                let (status, after) = (response.status, response.retry_after);
                write!(f, "-> HttpAnswered({id:?}) {status} {after:?} {body}")
            }
            Self::Act(act) => write!(f, "-> {act:?}"),
            Self::Effect(Effect::SendHttp { id, request }) => {
                let body = request.body.as_deref().unwrap_or_default();
                let body = String::from_utf8_lossy(body);
                let (method, path) = (request.method, &request.path);
                let bearer = request.bearer.expose();
                write!(
                    f,
                    "   do SendHttp({id:?}) {method:?} {path} as {bearer}: {body}"
                )
            }
            Self::Effect(effect) => write!(f, "   do {effect:?}"),
            Self::Event(event) => write!(f, "   <- {}", shown(event)),
            Self::Note(note) => write!(f, "** {note}"),
        }
    }
}
