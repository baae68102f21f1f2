//! The worker under test, what goes in and comes out, and a twin of it that must go the same way.

mod twin;

use std::{
    collections::VecDeque,
    fmt::{self, Write as _},
};

use attache_protocol::{
    ByteString,
    io::{Effect, Input},
    time::Timestamp,
    worker::{AgentState, Delivery, EventId, UploadError, Worker, WorkerEvent},
};

pub(in crate::schedule) use twin::Noise;
use twin::{Retired, Twin};

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

/// How many calls a worker made of the same goes along from the beginning.
const EQUAL: u32 = 100;

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

impl Machine {
    /// What `make` makes, twice: the second one is a twin for a while, and so shows that nothing but what it is made of
    /// and what goes in makes a difference.
    pub(super) fn new(make: impl Fn() -> Worker, now: Timestamp) -> Self {
        Self {
            worker: make(),
            twin: Some(Twin::of(&make(), Noise::None, EQUAL)),
            last: now,
            retired: Retired::default(),
            lines: VecDeque::new(),
        }
    }

    /// From now on, and for this many calls, a twin goes along.
    pub(in crate::schedule) fn begin_twin(&mut self, noise: Noise, calls: u32) {
        self.twin = Some(Twin::of(&self.worker, noise, calls));
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
        if let Some(twin) = &mut self.twin {
            twin.take_events();
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
