//! One worker's life: its driver in virtual time, the link to its server, and every check on the way.

mod checks;
mod link;
mod stream;
mod time;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use attache_protocol::{
    ByteString, SessionId,
    io::{HttpRequestId, Input, StreamId, TokenRequestId},
    time::Timestamp,
    worker::{
        AgentState, Delivery, EventId, Inbound, SessionChoice, Worker, WorkerCloseCause,
        WorkerConfig, WorkerStatus,
    },
};

use super::{
    machine::{Act, Machine, Said},
    order::{Kind, Order},
    owed::{Down, Owed, Promise},
    server::{Server, number_of},
    weather::{Fate, TokenFate, Weather},
};
use crate::secs;

/// Servers let a stream know this often that they are there.
const COMMENT_EVERY: Duration = secs(15);
/// More happenings at once than this are taken for a loop.
const HAPPENINGS_AT_ONCE: u32 = 20_000;

/// A worker, its server, and the link between them.
#[derive(Clone, Debug)]
pub(in crate::schedule) struct Life {
    pub(super) config: WorkerConfig,
    pub(in crate::schedule) machine: Machine,
    pub(in crate::schedule) now: Timestamp,
    pub(super) server: Server,
    pub(super) weather: Weather,
    pub(in crate::schedule) owed: Owed,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    planned: u64,
    calls: BTreeMap<HttpRequestId, Order>,
    last_id: u64,
    stream: Option<Line>,
    /// What has arrived over the stream, and when.
    unread: VecDeque<(StreamId, Timestamp, Input)>,
    handed: Handed,
    /// The number of the person's token that the source gives.
    person: u32,
    /// The open question to the token source, and when it is given up.
    token: Option<(TokenRequestId, Timestamp)>,
    given: Option<String>,
    held: Option<Held>,
    refused: BTreeSet<String>,
    /// Which statuses the worker has been answered, and whether a token was refused to it.
    statuses: BTreeSet<u16>,
    token_refused: Option<TokenFate>,
    fenced: Option<u16>,
    failures: u32,
    reading: Reading,
    beat: Beat,
    /// How often a token was asked for since it ran.
    questions: u32,
    /// The stream has brought something since it failed last.
    has_heard: bool,
    lease: Lease,
    /// The pause that the last answer asked for.
    asked_pause: Option<Duration>,
    status: WorkerStatus,
    shown: Statuses,
    is_started: bool,
    close_asked_at: Option<Timestamp>,
    pub(in crate::schedule) closed: Option<WorkerCloseCause>,
    /// Somebody else archived the session.
    pub(super) was_archived: bool,
    got: Vec<Inbound>,
    heard: Vec<ByteString>,
    /// Until when what went wrong may still be felt.
    pub(in crate::schedule) trouble_until: Timestamp,
    pub(in crate::schedule) counts: Counts,
}

/// What happened so far.
#[derive(Copy, Clone, Debug, Default)]
pub(in crate::schedule) struct Counts {
    pub(in crate::schedule) faults: u64,
    pub(in crate::schedule) streams: u64,
    pub(super) delivered: u64,
    pub(super) bridges: u64,
}

/// Something that is going to happen.
#[derive(Clone, Debug)]
enum Happening {
    /// A call arrives at the server.
    Arrive(HttpRequestId, Fate),
    /// An answer to a call or a question arrives.
    Answer(Input),
    /// Something arrives on a stream.
    Line(StreamId, Input),
    /// The server lets a stream know that it is there.
    Comment(StreamId),
}

/// The stream that was asked for last.
#[derive(Clone, Debug)]
struct Line {
    id: StreamId,
    bearer: String,
    after: u64,
    life: LineLife,
    /// When the worker heard something of it last, if ever.
    heard: Option<Timestamp>,
    busy_until: Timestamp,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum LineLife {
    Asked,
    Open,
    /// Nothing passes and nobody is told.
    Mute,
}

/// The numbers of the last event that was handed in, at least in part, and of the last one in full.
#[derive(Copy, Clone, Debug, Default)]
struct Handed {
    begun: u64,
    full: u64,
}

/// The credentials the worker has.
#[derive(Clone, Debug)]
struct Held {
    token: String,
    epoch: u64,
    until: Timestamp,
}

/// Whether the server has taken a lease away.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Lease {
    Kept,
    /// Since it took something last.
    Lost,
}

/// How much of the way the statuses show.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Statuses {
    All,
    /// A slow application is told the last of several.
    Merged,
}

/// Whether the application takes its events.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Eagerly,
    NotAtAll,
}

/// From when on the next heartbeat is counted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Beat {
    /// None is owed.
    Off,
    /// From a heartbeat, or from the beginning.
    Since(Timestamp),
    /// Time has jumped, or a wake-up brought one early.
    Somewhere(Timestamp),
}

impl Life {
    pub(in crate::schedule) fn new(
        config: WorkerConfig,
        seed: [u8; 32],
        server: Server,
        now: Timestamp,
    ) -> Self {
        let worker = || Worker::new(config.clone(), seed, now);
        Self {
            machine: Machine::new(worker, now),
            now,
            server,
            weather: Weather::calm(),
            owed: Owed::new(&config),
            agenda: BTreeMap::new(),
            planned: 0,
            calls: BTreeMap::new(),
            last_id: 0,
            stream: None,
            unread: VecDeque::new(),
            handed: Handed::default(),
            person: 1,
            token: None,
            given: None,
            held: None,
            refused: BTreeSet::new(),
            statuses: BTreeSet::new(),
            token_refused: None,
            fenced: None,
            failures: 0,
            reading: Reading::Eagerly,
            beat: Beat::Off,
            questions: 0,
            has_heard: false,
            lease: Lease::Kept,
            asked_pause: None,
            status: WorkerStatus::Idle,
            shown: if config.limits.events < 100 {
                Statuses::Merged
            } else {
                Statuses::All
            },
            is_started: false,
            close_asked_at: None,
            closed: None,
            was_archived: false,
            got: Vec::new(),
            heard: Vec::new(),
            trouble_until: now,
            counts: Counts::default(),
            config,
        }
    }

    // What the application does.

    /// Makes a call of the machine at the present instant, and carries out what comes of it.
    pub(in crate::schedule) fn act(&mut self, act: &Act) -> Result<Said, String> {
        let takes_events = self.reading == Reading::Eagerly;
        let was_closed = self.machine.worker.is_closed();
        match act {
            Act::Start => self.is_started = true,
            Act::Close => {
                self.close_asked_at.get_or_insert(self.now);
                self.owed.state = AgentState::Idle;
            }
            Act::Timeout => self.time_is_told(),
            Act::Upload(_) | Act::Report(_) | Act::Acknowledge(..) | Act::Input(_) => {}
        }
        let is_timeout = matches!(act, Act::Timeout);
        let (said, output) = self.machine.act(self.now, act, takes_events)?;
        if was_closed && !output.effects.is_empty() {
            return Err("something is ordered after the end".to_owned());
        }
        for effect in output.effects {
            self.carry_out(effect)?;
        }
        for event in output.events {
            self.hear(event)?;
        }
        self.check_standing(is_timeout)?;
        Ok(said)
    }

    pub(super) fn read(&mut self, reading: Reading) -> Result<(), String> {
        if self.reading == reading {
            return Ok(());
        }
        self.reading = reading;
        self.shown = Statuses::Merged;
        if reading == Reading::Eagerly {
            let events = self.machine.take_events(self.now);
            let limit = self.config.limits.events + 64;
            if events.len() > limit {
                return Err(format!("{} events were waiting", events.len()));
            }
            for event in events {
                self.hear(event)?;
            }
            // A mute stream is not held against the server while nobody reads, nor once more.
            if self
                .stream
                .as_ref()
                .is_some_and(|line| line.life == LineLife::Mute)
            {
                self.trouble(self.config.liveness.stream_silence * 2);
            }
        }
        self.read_line()
    }

    /// Hands a frame in, if there is room for it; whether it was taken.
    pub(in crate::schedule) fn upload(
        &mut self,
        text: ByteString,
        uuid: String,
        promise: Promise,
    ) -> Result<bool, String> {
        let is_room = self.machine.worker.wants_write();
        match self.act(&Act::Upload(text))? {
            Said::Nothing => {
                self.owed.uploaded(uuid, promise);
                let limit = self.config.limits.uploads.max(1);
                let waiting = self.owed.waiting();
                if waiting > limit {
                    return Err(format!("{waiting} frames wait, and {limit} may"));
                }
                Ok(true)
            }
            Said::Refused(_) if !is_room || self.is_closed() => Ok(false),
            Said::Refused(why) => Err(format!("a frame was refused: {why}")),
        }
    }

    pub(in crate::schedule) fn acknowledge(
        &mut self,
        event: EventId,
        delivery: Delivery,
    ) -> Result<(), String> {
        if let Some(number) = number_of(event.as_str()) {
            self.owed.acknowledged(number, delivery);
        }
        self.act(&Act::Acknowledge(event, delivery)).map(drop)
    }

    /// The events the agent got since this was asked last.
    pub(in crate::schedule) fn take_got(&mut self) -> Vec<Inbound> {
        std::mem::take(&mut self.got)
    }

    /// The frames the server heard first since this was asked last.
    pub(in crate::schedule) fn take_heard(&mut self) -> Vec<ByteString> {
        std::mem::take(&mut self.heard)
    }

    // What viewers do.

    /// A viewer says something; its number.
    pub(in crate::schedule) fn viewer_says(
        &mut self,
        frame: impl Into<ByteString>,
        down: Down,
        in_pieces: bool,
    ) -> u64 {
        let number = self.server.say(frame);
        self.owed.said(number, down);
        self.tell(number, in_pieces);
        number
    }

    /// When something happens next, if nothing else does.
    pub(in crate::schedule) fn next_at(&self) -> Option<Timestamp> {
        let planned = self.agenda.keys().next().map(|(at, _)| *at);
        let deadline = self.machine.worker.poll_timeout().map(|(at, _)| at);
        planned.into_iter().chain(deadline).min()
    }

    /// Sends an event over the stream, perhaps in two pieces.
    pub(super) fn tell(&mut self, number: u64, in_pieces: bool) {
        let said = self.server.said_after(number - 1);
        let Some((_, event)) = said.first() else {
            return;
        };
        let (one, other) = event.split_at(if in_pieces { event.len() / 2 } else { 0 });
        if !one.is_empty() {
            self.send_bytes(one);
            self.dawdle();
        }
        self.send_bytes(other);
    }

    // What the schedule wants to know.

    pub(in crate::schedule) fn is_closed(&self) -> bool {
        self.machine.worker.is_closed()
    }

    /// The session as its server spells it.
    pub(super) fn session(&self) -> Option<String> {
        self.machine.worker.session().map(SessionId::v2)
    }

    /// The token that people are given now.
    pub(super) fn person_token(&self) -> String {
        format!("person-{}", self.person)
    }

    /// Whether the worker has a token that the server takes.
    pub(super) fn has_good_token(&self) -> bool {
        let is_good =
            |token: &String| !self.refused.contains(token) && !self.server.is_revoked(token);
        self.given.as_ref().is_some_and(is_good)
    }

    /// Whether the worker has credentials that the server takes.
    pub(super) fn has_good_credentials(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| self.server.admits(&held.token, self.now) == 200)
    }

    /// Whether it came to an end of its own, and was not sent away.
    pub(super) fn ended_itself(&self) -> bool {
        self.closed == Some(WorkerCloseCause::Requested)
    }

    pub(super) fn joins(&self) -> bool {
        matches!(self.config.session, SessionChoice::Join(_))
    }

    /// Whether a call of this kind is under way.
    pub(super) fn is_calling(&self, kind: Kind) -> bool {
        self.calls.values().any(|order| order.kind == kind)
    }
}
