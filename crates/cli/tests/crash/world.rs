//! A relay, a bridge with the scripted agent, and three who watch: each a process, each killed and
//! started again.

mod check;
mod commands;

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::Command,
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::{
    chance::Chance,
    process::{Heard, Party, Process, Said},
    program::LIMIT,
    record::Tally,
    view::{Reaction, View},
};

/// How many viewers talk.
pub(crate) const VIEWERS: usize = 2;

pub(crate) struct World {
    seed: u64,
    chance: Chance,
    folder: TempDir,
    address: SocketAddr,
    session: String,
    ear: mpsc::UnboundedReceiver<Heard>,
    mouth: mpsc::UnboundedSender<Heard>,
    lives: u32,
    relay: Seat,
    bridge: Seat,
    viewers: [Seat; VIEWERS],
    follower: Seat,
    views: [View; VIEWERS],
    /// The log as the follower has printed it, over all its lives.
    followed: Vec<String>,
    /// Every text that was typed.
    said: BTreeSet<String>,
    /// The ids of messages that were printed as accepted.
    accepted: BTreeSet<String>,
    /// Prompts that somebody's answer is said to count for.
    won: BTreeSet<String>,
    talk: Vec<String>,
    /// Whether prompts are answered as soon as they are shown.
    answers_at_once: bool,
}

/// A party's place, and the process that holds it.
#[derive(Default)]
struct Seat {
    process: Option<Process>,
    life: u32,
    is_up: bool,
}

/// Something that is done from outside.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Say(usize, String),
    Interrupt(usize),
    Kill(Vec<Party>),
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        let (mouth, ear) = mpsc::unbounded_channel();
        let mut world = Self {
            seed,
            chance: Chance::from(seed),
            folder: tempfile::tempdir().unwrap(),
            address: free_address(),
            session: String::new(),
            ear,
            mouth,
            lives: 0,
            relay: Seat::default(),
            bridge: Seat::default(),
            viewers: Default::default(),
            follower: Seat::default(),
            views: Default::default(),
            followed: Vec::new(),
            said: BTreeSet::new(),
            accepted: BTreeSet::new(),
            won: BTreeSet::new(),
            talk: Vec::new(),
            answers_at_once: true,
        };
        world.start(Party::Relay);
        world
            .until("the relay listens", |world| world.relay.is_up)
            .await;
        world.start(Party::Bridge);
        world
            .until("there is a session", |world| world.bridge.is_up)
            .await;
        for party in [Party::Viewer(0), Party::Viewer(1), Party::Follower] {
            world.start(party);
        }
        world
    }

    pub(crate) fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// Does what is planned, each at its moment, and hears what is said meanwhile.
    pub(crate) async fn play(&mut self, mut plan: Vec<(Duration, Act)>) {
        plan.sort_by_key(|(moment, _)| *moment);
        self.answers_at_once = self.chance.happens(50);
        let start = Instant::now();
        for (moment, act) in plan {
            self.hear_until(start + moment).await;
            self.log(format!("{act:?}"));
            match act {
                Act::Say(viewer, text) => self.say(viewer, &text).await,
                Act::Interrupt(viewer) => {
                    self.views[viewer].asked += 1;
                    self.command(viewer, &json!({"command": "interrupt"})).await;
                }
                Act::Kill(parties) => self.kill(&parties).await,
            }
        }
    }

    /// Waits until everything is over: all that was said is accepted and heeded, everybody is there and
    /// has been shown everything. Then holds the log against it all.
    pub(crate) async fn settle(&mut self, round: usize) {
        self.answers_at_once = true;
        for viewer in 0..VIEWERS {
            for prompt in self.views[viewer].open.clone() {
                self.answer(viewer, &prompt).await;
            }
        }
        self.until("everybody is done", |world| {
            world.bridge.is_up && world.follower.is_up && world.views.iter().all(View::is_done)
        })
        .await;
        let mut attempt = 0;
        let mut broken_off = self.broken_off();
        let mut expected = self.mark(round, attempt).await;
        let deadline = Instant::now() + LIMIT;
        while !self
            .views
            .iter()
            .all(|view| view.results.contains(&expected))
        {
            self.hear(deadline, "the last turn ends").await;
            if self.broken_off() > broken_off {
                // That may have been this turn.
                broken_off = self.broken_off();
                attempt += 1;
                expected = self.mark(round, attempt).await;
            }
        }
        self.check().await;
    }

    /// Everybody leaves in good order. Tells what has happened.
    pub(crate) async fn end(mut self) -> Tally {
        self.terminate(&self.bridge).await;
        self.bridge.leaves(0).await;
        self.follower.leaves(0).await;
        for viewer in &mut self.viewers {
            viewer.leaves(0).await;
        }
        self.hear_what_is_there().await;
        let record = self.record().await;
        assert_eq!(self.followed, record.lines);
        self.terminate(&self.relay).await;
        self.relay.leaves(0).await;
        record.tally()
    }

    async fn say(&mut self, viewer: usize, text: &str) {
        self.said.insert(text.to_owned());
        self.views[viewer].typed += 1;
        self.command(viewer, &json!({"command": "send", "content": text}))
            .await;
    }

    /// Says something whose result shows that everything before it is over. Tells the result.
    async fn mark(&mut self, round: usize, attempt: usize) -> String {
        let text = format!("no. {round} is over, {attempt}");
        self.say(0, &text).await;
        format!("You said: {text}")
    }

    async fn answer(&mut self, viewer: usize, prompt: &str) {
        let behavior = if self.chance.happens(60) {
            "allow"
        } else {
            "deny"
        };
        let answer = json!({
            "command": "decide",
            "request_id": prompt,
            "behavior": behavior,
            "even_if_unverified": true,
        });
        self.command(viewer, &answer).await;
    }

    async fn command(&mut self, viewer: usize, command: &Value) {
        if let Some(process) = &mut self.viewers[viewer].process {
            process.type_line(&command.to_string()).await;
        }
    }

    async fn kill(&mut self, parties: &[Party]) {
        for &party in parties {
            if let Some(process) = &mut self.seat(party).process {
                process.strike();
            }
        }
        for &party in parties {
            if let Some(process) = self.seat(party).process.take() {
                process.end().await;
            }
        }
        // What the dead have said still counts.
        self.hear_what_is_there().await;
        for &party in parties {
            self.start(party);
        }
    }

    fn start(&mut self, party: Party) {
        self.lives += 1;
        let life = self.lives;
        let mut command = self.command_of(party, life);
        if let Party::Viewer(viewer) = party {
            let before = std::mem::take(&mut self.views[viewer]);
            let cursor = if self.chance.happens(70) {
                let (cursor, view) = before.resume();
                self.views[viewer] = view;
                cursor
            } else {
                None
            };
            match cursor {
                Some(cursor) => command.args(["--resume", &cursor]),
                None => command.args(["--history", "all"]),
            };
        }
        let process = Process::start(&mut command, party, life, &self.mouth);
        *self.seat(party) = Seat {
            process: Some(process),
            life,
            is_up: party == Party::Follower,
        };
    }

    fn seat(&mut self, party: Party) -> &mut Seat {
        match party {
            Party::Relay => &mut self.relay,
            Party::Bridge => &mut self.bridge,
            Party::Viewer(viewer) => &mut self.viewers[viewer],
            Party::Follower => &mut self.follower,
        }
    }

    fn broken_off(&self) -> usize {
        self.views.iter().map(|view| view.broken_off).sum()
    }

    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_so(self) {
            self.hear(deadline, what).await;
        }
    }

    async fn hear(&mut self, deadline: Instant, waiting_for: &str) {
        match timeout_at(deadline, self.ear.recv()).await {
            Ok(Some(heard)) => self.take(heard).await,
            Ok(None) => unreachable!("the world has a mouth itself"),
            Err(_) => self.fail(&format!("not in time: {waiting_for}")),
        }
    }

    async fn hear_until(&mut self, moment: Instant) {
        while let Ok(Some(heard)) = timeout_at(moment, self.ear.recv()).await {
            self.take(heard).await;
        }
    }

    async fn hear_what_is_there(&mut self) {
        while let Ok(heard) = self.ear.try_recv() {
            self.take(heard).await;
        }
    }

    async fn take(&mut self, heard: Heard) {
        let Heard { party, life, what } = heard;
        self.log(format!("{party:?} {life}: {what:?}"));
        let is_current = self.seat(party).life == life;
        match (party, what) {
            (_, Said::Over) => {
                if is_current && self.seat(party).process.is_some() {
                    self.ended(party).await;
                }
            }
            (Party::Relay, Said::Line(line)) => {
                self.relay.is_up |= is_current && line.starts_with("listening on ");
            }
            (Party::Bridge, Said::Line(line)) => {
                if let Some(session) = line.strip_prefix("session ") {
                    session.clone_into(&mut self.session);
                    self.bridge.is_up |= is_current;
                }
            }
            (Party::Viewer(viewer), Said::Line(line)) => {
                let event = serde_json::from_str(&line).expect("an event");
                match self.views[viewer].event(&event) {
                    Some(Reaction::Accepted(id)) => drop(self.accepted.insert(id)),
                    Some(Reaction::Answer(prompt)) if is_current && self.answers_at_once => {
                        self.answer(viewer, &prompt).await;
                    }
                    Some(Reaction::Won(prompt)) => {
                        if !self.won.insert(prompt.clone()) {
                            self.fail(&format!("two answers to {prompt} count"));
                        }
                    }
                    Some(Reaction::Answer(_)) | None => {}
                }
            }
            (Party::Viewer(viewer), Said::Note(note)) => self.views[viewer].note(&note),
            (Party::Follower, Said::Line(line)) => self.followed.push(line),
            (Party::Relay | Party::Bridge | Party::Follower, Said::Note(_)) => {}
        }
    }

    /// A party has ended by itself.
    async fn ended(&mut self, party: Party) {
        let Some(process) = self.seat(party).process.take() else {
            return;
        };
        let words = process.last_words();
        let status = process.end().await;
        match party {
            // Its port may be taken for a moment, or there is no relay to register with.
            Party::Relay | Party::Bridge => {
                self.log(format!("{party:?} ended with {status}: {words}"));
                assert!(self.lives < 10_000, "{party:?} does not start: {words}");
                self.start(party);
            }
            Party::Viewer(_) | Party::Follower => {
                self.fail(&format!("{party:?} ended with {status}: {words}"));
            }
        }
    }

    fn log(&mut self, line: String) {
        self.talk.push(line);
    }

    fn fail(&self, wrong: &str) -> ! {
        let name = format!("crash-{}.txt", self.seed);
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&file, self.talk.join("\n")).unwrap();
        panic!(
            "world {}: {wrong}\nall that was said is in {}",
            self.seed,
            file.display()
        )
    }

    async fn terminate(&self, seat: &Seat) {
        let id = seat
            .process
            .as_ref()
            .and_then(Process::id)
            .expect("it runs");
        let kill = Command::new("kill").arg(id.to_string()).status().await;
        assert!(kill.unwrap().success());
    }
}

impl Seat {
    async fn leaves(&mut self, code: i32) {
        let process = self.process.take().expect("it runs");
        let words = process.last_words();
        let status = process.end().await;
        assert_eq!(status.code(), Some(code), "{words}");
    }
}

/// An address that nobody uses. It stays free enough: what a client is given is of the other parity.
fn free_address() -> SocketAddr {
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    any.local_addr().unwrap()
}
