//! The world: a viewer, its server, the link between them, and time.

mod commands;
mod issued;
mod run;
mod twin;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Display,
    time::Duration,
};

use attache_protocol::{
    io::{HttpRequestId, Input},
    time::Timestamp,
    viewer::{Status, Timer, Viewer, ViewerConfig},
};

use crate::{
    agenda::Agenda,
    checks::Checks,
    record::Call,
    schedule::Choices,
    server::{LineId, Server},
    token::TokenSource,
    transcript::{Entry, Transcript},
};
use issued::Issued;
use twin::Twin;

/// A viewer in a world of its own.
///
/// Commands act at the present instant; `run_…` lets time pass. Whatever the viewer orders is carried
/// out at once, and answers take the latency of the link, 5 ms unless changed.
///
/// # Panics
/// Every method that lets something happen panics when a promise of the machine is broken: it is made
/// for tests. `run_until…` panics when the awaited does not come.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) viewer: Viewer,
    pub(crate) now: Timestamp,
    pub(crate) transcript: Transcript,
    server: Server,
    tokens: TokenSource,
    agenda: Agenda,
    /// What the viewer waited for when everything had been taken from it.
    deadline: Option<(Timestamp, Timer)>,
    latency: Duration,
    reading: Reading,
    unread: VecDeque<(LineId, Input)>,
    lines: BTreeMap<LineId, LineLife>,
    calls: Vec<HttpRequestId>,
    checks: Checks,
    issued: Issued,
    twin: Option<Box<Twin>>,
    on_breach: OnBreach,
}

/// What happens when a promise of the machine is broken.
#[derive(Clone, Debug)]
enum OnBreach {
    /// The test fails.
    Panic,
    /// The first one is kept, and nothing happens any more.
    Keep(Option<String>),
}

/// Whether the application takes its events.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As soon as they are there.
    Eagerly,
    /// Not at all.
    NotAtAll,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum LineLife {
    Attempted,
    Open,
}

impl World {
    /// A world in which everything works, at the origin of time.
    pub fn new(config: ViewerConfig) -> Self {
        Self::with_seed(config, [1; 32])
    }

    /// The same with another seed for the viewer's chances.
    pub fn with_seed(config: ViewerConfig, seed: [u8; 32]) -> Self {
        let session = config.session.v1();
        let checks = Checks::new(&config);
        Self {
            viewer: Viewer::new(config, seed, Timestamp::ORIGIN),
            now: Timestamp::ORIGIN,
            transcript: Transcript::default(),
            server: Server::new(session),
            tokens: TokenSource::default(),
            agenda: Agenda::default(),
            deadline: None,
            latency: Duration::from_millis(5),
            reading: Reading::Eagerly,
            unread: VecDeque::new(),
            lines: BTreeMap::new(),
            calls: Vec::new(),
            checks,
            issued: Issued::default(),
            twin: None,
            on_breach: OnBreach::Panic,
        }
    }

    // What the application does.

    /// Sets whether the application takes its events from now on.
    #[track_caller]
    pub fn read_events(&mut self, reading: Reading) {
        self.reading = reading;
        if reading == Reading::NotAtAll {
            self.checks.slow_reader();
        }
        self.settle();
    }

    /// Takes one event, in a world whose application takes none by itself.
    #[track_caller]
    pub fn take_event(&mut self) -> bool {
        let Some(event) = self.viewer.poll_event() else {
            return false;
        };
        let check = self.checks.event(&event);
        if let Some(twin) = &mut self.twin {
            twin.expect_event(&event);
        }
        self.transcript.push(self.now, Entry::Event(event));
        self.expect(check);
        self.settle();
        true
    }

    /// The viewer's process is gone, with everything it knew. Another one begins, and connects.
    #[track_caller]
    pub fn begin_anew(&mut self, config: ViewerConfig, seed: [u8; 32]) {
        self.checks.begin_anew(&config);
        self.viewer = Viewer::new(config, seed, self.now);
        self.agenda = Agenda::default();
        self.unread.clear();
        self.lines.clear();
        self.calls.clear();
        self.issued = Issued::default();
        self.twin = None;
        self.server.hang_up();
        self.connect();
    }

    // What happens around it.

    /// The server.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// The token source.
    pub fn tokens(&mut self) -> &mut TokenSource {
        &mut self.tokens
    }

    /// The link breaks; what is on its way is lost. The server can be reached again at once.
    #[track_caller]
    pub fn cut(&mut self) {
        self.server.reset();
        self.run_for(Duration::ZERO);
    }

    /// Sets how long every answer is on its way from now on.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// The machine wakes up after its lid was closed.
    #[track_caller]
    pub fn wake(&mut self) {
        self.feed(Input::Woke);
    }

    /// Hands the viewer an input directly, whatever state the link is in.
    #[track_caller]
    pub fn feed(&mut self, input: Input) {
        self.hand_in(input);
        self.settle();
    }

    /// Hands the viewer an input, and takes nothing out.
    #[track_caller]
    fn hand_in(&mut self, input: Input) {
        self.issued.input(&input);
        self.record(Call::Input(input.clone()));
        self.viewer.handle_input(self.now, input);
    }

    /// Calls `handle_timeout` now, due or not.
    #[track_caller]
    pub fn timeout(&mut self) {
        self.record(Call::Timeout);
        self.viewer.handle_timeout(self.now);
        let check = Checks::timeout(self.now, self.viewer.poll_timeout());
        self.expect(check);
        self.settle();
    }

    // Time.

    /// Lets this much time pass.
    #[track_caller]
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now.checked_add(time).unwrap_or(self.now);
        self.run(end, |_| false);
        self.now = end;
    }

    /// Lets time pass until `reached`, at most this long.
    #[track_caller]
    pub fn run_until(&mut self, limit: Duration, reached: impl Fn(&Self) -> bool) {
        let end = self.now.checked_add(limit).unwrap_or(self.now);
        if !self.run(end, reached) {
            self.fail(&format_args!("did not come about within {limit:?}"));
        }
    }

    /// Lets time pass until everything has been delivered, at most a minute.
    #[track_caller]
    pub fn run_until_live(&mut self) {
        self.run_until(Duration::from_secs(60), |world| {
            *world.viewer.status() == Status::Live
        });
    }

    /// Lets time pass until the viewer is closed, at most three days.
    #[track_caller]
    pub fn run_until_closed(&mut self) {
        self.run_until(Duration::from_secs(3 * 24 * 3600), |world| {
            world.viewer.is_closed()
        });
    }

    /// Jumps ahead without telling the viewer, as a suspended machine does. What was due fires late.
    pub fn sleep(&mut self, time: Duration) {
        self.now = self.now.checked_add(time).unwrap_or(self.now);
    }

    // For stories about stories.

    /// Every call of the viewer so far.
    pub fn record_so_far(&self) -> Vec<(Timestamp, Call)> {
        let calls = self.transcript.calls();
        calls.map(|(at, call)| (at, call.clone())).collect()
    }

    /// The viewer itself.
    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    // For schedules.

    /// From now on a broken promise is kept instead of failing the test.
    pub(crate) fn keep_breach(&mut self) {
        self.on_breach = OnBreach::Keep(None);
        self.transcript.terse = true;
    }

    /// The first promise that was broken.
    pub(crate) fn breach(&self) -> Option<&str> {
        match &self.on_breach {
            OnBreach::Panic | OnBreach::Keep(None) => None,
            OnBreach::Keep(Some(what)) => Some(what),
        }
    }

    /// From now on a second viewer follows the first, and is treated differently in every way that must not
    /// matter.
    pub(crate) fn watch_a_twin(&mut self, seed: u64) {
        let issued = self.issued.clone();
        let twin = Twin::of(&self.viewer, issued, seed);
        self.twin = Some(Box::new(twin));
    }

    /// From the very beginning a second viewer follows the first, made of the same configuration and the same seed.
    pub(crate) fn watch_an_equal(&mut self, config: ViewerConfig, seed: [u8; 32], chance: u64) {
        let equal = Viewer::new(config, seed, self.now);
        let twin = Twin::of(&equal, Issued::default(), chance);
        self.twin = Some(Box::new(twin));
    }

    /// An input about something that is over, which must change nothing.
    pub(crate) fn feed_stale(&mut self, choices: &mut dyn Choices) {
        let Some(input) = self.issued.stale(choices) else {
            return;
        };
        self.transcript
            .push(self.now, Entry::Call(Call::Input(input.clone())));
        let before = (self.viewer.poll_timeout(), self.viewer.status().clone());
        self.viewer.handle_input(self.now, input.clone());
        let after = (self.viewer.poll_timeout(), self.viewer.status().clone());
        if before != after {
            self.broken(&format_args!(
                "{input:?}, which is stale, led from {before:?} to {after:?}"
            ));
        }
        let effect = self.viewer.poll_effect();
        if let Some(effect) = effect {
            self.broken(&format_args!(
                "{input:?}, which is stale, led to {effect:?}"
            ));
        }
        if self.reading == Reading::Eagerly
            && let Some(event) = self.viewer.poll_event()
        {
            self.broken(&format_args!("{input:?}, which is stale, led to {event:?}"));
        }
    }

    /// Lets time pass for as long as it is `going`, at most this long.
    pub(crate) fn run_while(&mut self, limit: Duration, going: impl Fn(&Self) -> bool) {
        let end = self.now.checked_add(limit).unwrap_or(self.now);
        if !self.run(end, |world| !going(world)) {
            self.now = end;
        }
    }

    /// Whether the application takes its events one by one, or not at all.
    pub(crate) fn reads_slowly(&self) -> bool {
        self.reading == Reading::NotAtAll
    }

    /// The sockets and streams that are open or being opened.
    pub(crate) fn open_lines(&self) -> impl Iterator<Item = LineId> {
        self.lines.keys().copied()
    }

    fn record(&mut self, call: Call) {
        self.checks.call(self.now, &call);
        if let Some(twin) = &mut self.twin {
            twin.follow(self.now, &call);
        }
        self.transcript.push(self.now, Entry::Call(call));
    }

    #[track_caller]
    fn expect(&mut self, check: Result<(), String>) {
        if let Err(broken) = check {
            self.broken(&broken);
        }
    }

    /// A promise was broken.
    #[track_caller]
    fn broken(&mut self, what: &dyn Display) {
        match &mut self.on_breach {
            OnBreach::Panic => self.fail(what),
            OnBreach::Keep(first) => {
                first.get_or_insert_with(|| what.to_string());
            }
        }
    }

    #[track_caller]
    fn fail(&self, what: &dyn Display) -> ! {
        panic!("{what}, at {:?}", self.now.since_origin());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.transcript.show();
        }
    }
}
