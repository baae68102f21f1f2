//! What came out of a story, and the questions that tests ask about it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each question picks the events it is about"
)]

use std::{collections::VecDeque, fmt::Write as _, time::Duration};

use attache_protocol::{
    io::{Effect, Input, Method, SocketId},
    policy::CloseCause,
    time::Timestamp,
    viewer::{
        Event, GapCause, Malformed, MessageId, RequestOutcome, SendState, SettledBy, Source, Status,
    },
};

use crate::{checks::is_message, record::Call, world::World};

/// How many of the last steps are shown when a test fails.
const SHOWN: usize = 60;

/// Everything that went in and came out, with its time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    entries: VecDeque<(Timestamp, Entry)>,
    dropped: usize,
    /// Of timeouts in a row that brought nothing, only the last is kept.
    pub(crate) terse: bool,
}

/// A line of the transcript.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// Something happened around the viewer.
    Note(String),
    Call(Call),
    Effect(Effect),
    Event(Event),
}

impl Transcript {
    pub(crate) fn push(&mut self, now: Timestamp, entry: Entry) {
        let is_timeout = |entry: &Entry| matches!(entry, Entry::Call(Call::Timeout));
        if self.terse
            && is_timeout(&entry)
            && self
                .entries
                .back()
                .is_some_and(|(_, last)| is_timeout(last))
        {
            self.entries.pop_back();
        }
        self.entries.push_back((now, entry));
    }

    /// How many lines there have been.
    pub(crate) fn len(&self) -> usize {
        self.dropped + self.entries.len()
    }

    /// The lines from number `first` on.
    pub(crate) fn since(&self, first: usize) -> impl Iterator<Item = &(Timestamp, Entry)> {
        self.entries.iter().skip(first.saturating_sub(self.dropped))
    }

    /// Forgets all but the last lines.
    pub(crate) fn keep_last(&mut self, lines: usize) {
        let surplus = self.entries.len().saturating_sub(lines);
        self.entries.drain(..surplus);
        self.dropped += surplus;
    }

    /// The last lines as text.
    pub(crate) fn text(&self, lines: usize) -> String {
        let mut text = String::new();
        let first = self.len().saturating_sub(lines);
        for (at, entry) in self.since(first) {
            let at = at.since_origin().as_secs_f64();
            let line = match entry {
                Entry::Note(note) => writeln!(text, "{at:>12.3} == {note}"),
                Entry::Call(call) => writeln!(text, "{at:>12.3} -> {call:?}"),
                Entry::Effect(effect) => writeln!(text, "{at:>12.3}    do {effect:?}"),
                Entry::Event(event) => writeln!(text, "{at:>12.3}    <- {event:?}"),
            };
            if line.is_err() {
                break;
            }
        }
        text
    }

    pub(crate) fn show(&self) {
        eprintln!("the last steps:\n{}", self.text(SHOWN));
    }

    fn effects(&self) -> impl Iterator<Item = (Timestamp, &Effect)> {
        self.entries.iter().filter_map(|(at, entry)| match entry {
            Entry::Effect(effect) => Some((*at, effect)),
            _ => None,
        })
    }

    fn events(&self) -> impl Iterator<Item = (Timestamp, &Event)> {
        self.entries.iter().filter_map(|(at, entry)| match entry {
            Entry::Event(event) => Some((*at, event)),
            _ => None,
        })
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = (Timestamp, &Call)> {
        self.entries.iter().filter_map(|(at, entry)| match entry {
            Entry::Call(call) => Some((*at, call)),
            _ => None,
        })
    }
}

impl World {
    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.now.since_origin()
    }

    /// The viewer's status.
    pub fn status(&self) -> &Status {
        self.viewer.status()
    }

    /// Every event so far.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.transcript.events().map(|(_, event)| event)
    }

    /// Every effect so far.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.transcript.effects().map(|(_, effect)| effect)
    }

    /// When each effect that `wanted` picks was ordered.
    pub fn times(&self, wanted: impl Fn(&Effect) -> bool) -> Vec<Duration> {
        self.transcript
            .effects()
            .filter(|(_, effect)| wanted(effect))
            .map(|(at, _)| at.since_origin())
            .collect()
    }

    /// The socket that was opened last.
    pub fn socket(&self) -> Option<SocketId> {
        self.effects()
            .filter_map(|effect| match effect {
                Effect::OpenSocket { id, .. } => Some(*id),
                _ => None,
            })
            .last()
    }

    /// That the socket or stream that was asked for last is open.
    pub fn opened(&self) -> Option<Input> {
        self.effects()
            .filter_map(|effect| match effect {
                Effect::OpenSocket { id, .. } => Some(Input::SocketOpened { id: *id }),
                Effect::OpenStream { id, .. } => Some(Input::StreamOpened { id: *id }),
                _ => None,
            })
            .last()
    }

    /// When each page of history was asked for.
    pub fn pages(&self) -> Vec<Duration> {
        self.times(|effect| {
            matches!(effect, Effect::SendHttp { request, .. } if request.method == Method::Get)
        })
    }

    /// When each message was posted.
    pub fn posts(&self) -> Vec<Duration> {
        self.times(|effect| {
            matches!(effect, Effect::SendHttp { request, .. }
                if request.method == Method::Post && is_message(request))
        })
    }

    /// When each socket or stream was opened.
    pub fn opens(&self) -> Vec<Duration> {
        self.times(|effect| {
            matches!(
                effect,
                Effect::OpenSocket { .. } | Effect::OpenStream { .. }
            )
        })
    }

    /// When each attempt began: every one fetches its token first.
    pub fn attempts(&self) -> Vec<Duration> {
        self.times(|effect| matches!(effect, Effect::FetchToken { .. }))
    }

    /// When each status began.
    pub fn statuses(&self) -> Vec<(Duration, Status)> {
        self.transcript
            .events()
            .filter_map(|(at, event)| match event {
                Event::Status(status) => Some((at.since_origin(), status.clone())),
                _ => None,
            })
            .collect()
    }

    /// The ids of the messages delivered, in order; `-` for those without one.
    pub fn messages(&self) -> Vec<&str> {
        self.events()
            .filter_map(|event| match event {
                Event::Message(message) => Some(message.frame.uuid().map_or("-", |uuid| &**uuid)),
                _ => None,
            })
            .collect()
    }

    /// How each message got here.
    pub fn sources(&self) -> Vec<Source> {
        self.events()
            .filter_map(|event| match event {
                Event::Message(message) => Some(message.source),
                _ => None,
            })
            .collect()
    }

    /// The holes that were reported: after which frame, and why.
    pub fn gaps(&self) -> Vec<(Option<&str>, GapCause)> {
        self.events()
            .filter_map(|event| match event {
                Event::Gap { after, cause } => Some((after.as_deref(), *cause)),
                _ => None,
            })
            .collect()
    }

    /// How often everything missed was reported as delivered.
    pub fn catch_ups(&self) -> usize {
        self.events()
            .filter(|event| matches!(event, Event::CaughtUp))
            .count()
    }

    /// Why the viewer closed, once it has said so.
    pub fn closed(&self) -> Option<CloseCause> {
        self.events().find_map(|event| match event {
            Event::Closed(cause) => Some(*cause),
            _ => None,
        })
    }

    /// The states a message went through.
    pub fn send_states(&self, message: &MessageId) -> Vec<SendState> {
        self.events()
            .filter_map(|event| match event {
                Event::Send { id, state } if id == message => Some(state.clone()),
                _ => None,
            })
            .collect()
    }

    /// How a request ended, once it has.
    pub fn outcome(&self, request: &str) -> Option<RequestOutcome> {
        self.events().find_map(|event| match event {
            Event::Request {
                request_id,
                outcome,
            } if request_id.as_str() == request => Some(outcome.clone()),
            _ => None,
        })
    }

    /// What happened to prompts, in words: `asked r1`, `r1 Unverified`, `withdrawn r1`, `settled r1 Us`.
    pub fn prompts(&self) -> Vec<String> {
        self.events()
            .filter_map(|event| match event {
                Event::PermissionRequested(prompt) => {
                    Some(format!("asked {}", prompt.request_id()))
                }
                Event::PermissionChanged { request_id, state } => {
                    Some(format!("{request_id} {state:?}"))
                }
                Event::PermissionWithdrawn { request_id } => {
                    Some(format!("withdrawn {request_id}"))
                }
                Event::PermissionSettled { request_id, by, .. } => Some(match by {
                    SettledBy::Us => format!("settled {request_id} by us"),
                    SettledBy::AnotherViewer { name: None } => {
                        format!("settled {request_id} by another")
                    }
                    SettledBy::AnotherViewer { name: Some(name) } => {
                        format!("settled {request_id} by {name}")
                    }
                }),
                Event::AnswerRefused { request_id, .. } => Some(format!("refused {request_id}")),
                _ => None,
            })
            .collect()
    }

    /// What was dropped as no usable frame.
    pub fn malformed(&self) -> Vec<&Malformed> {
        self.events()
            .filter_map(|event| match event {
                Event::Malformed(malformed) => Some(malformed),
                _ => None,
            })
            .collect()
    }
}
