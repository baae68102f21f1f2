//! What a viewer owes the application: a second, plainer account of everything, held against what comes out.

mod delivery;
mod prompts;
mod requests;
mod sends;

use std::{collections::BTreeSet, time::Duration};

use attache_protocol::{
    frame::FrameKind,
    io::{Effect, Input},
    policy::Outcome,
    time::Timestamp,
    viewer::{Cursor, Decision, Event, History, Limits, MalformedCause, Status, ViewerConfig},
};

use crate::{
    World,
    record::Call,
    schedule::Tally,
    secs,
    server::{LineId, Received},
    transcript::Entry,
};
use delivery::Delivery;
use prompts::Prompts;
use requests::Requests;
use sends::Sends;

/// A link is not given up for its silence, and the next attempt planned, when nothing was wrong for this long.
const UNMUTED: Duration = secs(130);

pub(super) struct Owed {
    delivery: Delivery,
    sends: Sends,
    prompts: Prompts,
    requests: Requests,
    limits: Limits,
    /// The messages of the past that are told all at once, when the end of the log is reached or given up.
    at_once: usize,
    viewer_only: bool,
    seen: usize,
    received: usize,
    connections: u64,
    sent: u64,
    /// Commands and connections since the application last read eagerly: each has an outcome to tell.
    untold: usize,
    /// There were more prompts than the viewer may keep.
    overflowed: bool,
    wrong: Option<String>,
}

impl Owed {
    pub(super) fn new(config: &ViewerConfig) -> Self {
        Self {
            delivery: Delivery::new(config),
            sends: Sends::default(),
            prompts: Prompts::default(),
            requests: Requests::default(),
            limits: config.limits.clone(),
            at_once: match config.history {
                History::Latest(count) => count,
                History::None | History::All => 0,
            },
            viewer_only: config.viewer_only,
            seen: 0,
            received: 0,
            connections: 0,
            sent: 0,
            untold: 0,
            overflowed: false,
            wrong: None,
        }
    }

    /// Notes a breach unless `kept`.
    pub(super) fn expect(&mut self, what: &str, kept: bool) {
        if !kept && self.wrong.is_none() {
            self.wrong = Some(format!("the application met with {what}"));
        }
    }

    /// Holds everything new in the transcript against the account.
    pub(super) fn observe(&mut self, world: &mut World, muted_at: Duration) -> Result<(), String> {
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong);
        }
        self.delivery.learn(world.server().chronicle());
        self.sends.learn(world.server().chronicle())?;
        let received = world.server().received();
        for received in received.get(self.received..).unwrap_or_default() {
            self.requests.received(received)?;
        }
        self.received = received.len();
        let forgotten = world.server().forgotten();
        for (at, entry) in world.transcript.since(self.seen) {
            match entry {
                Entry::Note(_) => {}
                Entry::Call(call) => {
                    self.requests.next_call()?;
                    if let Call::Input(Input::SocketOpened { .. } | Input::StreamOpened { .. }) =
                        call
                    {
                        self.connections += 1;
                        self.untold += 4;
                    }
                }
                Entry::Effect(effect) => self.effect(*at, effect)?,
                Entry::Event(event) => {
                    if let Event::Status(Status::Waiting {
                        cause: Outcome::Silence,
                        next_attempt_at,
                        ..
                    }) = event
                        && next_attempt_at.since_origin().saturating_sub(muted_at) > UNMUTED
                    {
                        return Err(
                            "a link whose pongs come is given up for its silence".to_owned()
                        );
                    }
                    self.event(event, forgotten)?;
                }
            }
        }
        self.requests.next_call()?;
        self.seen = world.transcript.len();
        self.cursor(world.viewer().cursor().as_ref())?;
        self.bounds(world)
    }

    fn effect(&mut self, at: Timestamp, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::OpenSocket { id, .. } => self.prompts.link(at, LineId::Socket(*id)),
            Effect::OpenStream { id, .. } => self.prompts.link(at, LineId::Stream(*id)),
            Effect::SendText { text, .. } => {
                self.prompts.leaves(text, prompts::By::Link)?;
                self.requests.leaves(text);
            }
            Effect::SendHttp { request, .. } => {
                let body = request.body.as_deref().unwrap_or_default();
                if let Ok(text) = std::str::from_utf8(body) {
                    self.prompts.leaves(text, prompts::By::Call)?;
                    self.requests.leaves(text);
                }
            }
            Effect::FetchToken { .. }
            | Effect::SendPing { .. }
            | Effect::CloseSocket { .. }
            | Effect::AbortSocket { .. }
            | Effect::CancelHttp { .. }
            | Effect::CloseStream { .. } => {}
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other events are held against the promises of every story"
    )]
    fn event(&mut self, event: &Event, forgotten: usize) -> Result<(), String> {
        match event {
            Event::Message(message) => {
                if is_result(message) {
                    self.requests.turn_over();
                }
                let own = |uuid: &str| self.sends.is_ours(uuid);
                self.delivery.message(message, own, forgotten)
            }
            Event::Gap { after, .. } => {
                self.requests.turn_over();
                let own = |uuid: &str| self.sends.is_ours(uuid);
                self.delivery.gap(after.as_deref(), own)
            }
            Event::CaughtUp => {
                self.delivery.caught_up();
                Ok(())
            }
            Event::Send { id, state } => {
                let stored = self.delivery.holds(id.as_str());
                self.sends.state(id.as_str(), state, stored)
            }
            Event::Request {
                request_id,
                outcome,
            } => self.requests.over(request_id.as_str(), outcome),
            Event::Malformed(malformed) => {
                let too_many = matches!(malformed.error, MalformedCause::TooManyPrompts(_));
                self.overflowed |= too_many;
                Ok(())
            }
            Event::PermissionRequested(prompt) => self.prompts.shown(prompt),
            Event::PermissionSettled { request_id, .. }
            | Event::PermissionWithdrawn { request_id } => {
                self.prompts.closed(request_id.as_str());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The cursor covers what was taken, and nothing else.
    fn cursor(&self, cursor: Option<&Cursor>) -> Result<(), String> {
        let own = |uuid: &str| self.sends.is_ours(uuid);
        self.delivery.cursor(cursor, own)
    }

    fn bounds(&mut self, world: &World) -> Result<(), String> {
        if !world.reads_slowly() {
            self.untold = 0;
        }
        let limits = &self.limits;
        if self.prompts.open() > limits.prompts {
            return Err(format!("{} prompts are open", self.prompts.open()));
        }
        let waiting = pending(world).count();
        let bound = limits.events
            + limits.page
            + 2 * limits.held
            + self.at_once
            + limits.outbox
            + limits.requests
            + 4 * limits.prompts
            + self.untold
            + 8;
        if waiting > bound {
            return Err(format!("{waiting} events wait to be taken"));
        }
        Ok(())
    }

    // What the application does.

    pub(super) fn sent(&mut self, id: &str) {
        self.sent += 1;
        self.untold += 1;
        self.sends.sent(id);
    }

    pub(super) fn decided(&mut self, id: &str, decision: &Decision) {
        self.prompts.decided(id, decision);
    }

    pub(super) fn requested(&mut self, id: &str, turn: Option<u64>) {
        self.untold += 1;
        self.requests.requested(id, turn);
    }

    /// A prompt is no longer asked.
    pub(super) fn prompt_over(&mut self, id: &str, now: Timestamp) {
        self.prompts.over(id, now);
    }

    /// Another process begins, with nothing but the cursor.
    pub(super) fn begin_anew(&mut self, cursor: Option<&Cursor>, world: &mut World) {
        let muted_at = world.elapsed();
        if let Err(what) = self.observe(world, muted_at) {
            self.wrong = Some(what);
        }
        if cursor.is_none() && self.delivery.has_begun() {
            self.expect("messages, and no cursor to go on from", false);
        }
        self.delivery.begin_anew(cursor);
        self.sends = self.sends.begin_anew();
        self.prompts.begin_anew();
        self.requests = Requests::default();
    }

    // Questions.

    /// Whether the prompt `id` is open for the application.
    pub(super) fn shows(&self, id: &str) -> bool {
        self.prompts.shows(id)
    }

    /// The message that was delivered so many before the last one.
    pub(super) fn delivered(&self, back: usize) -> Option<&str> {
        self.delivery.delivered(back)
    }

    /// Our messages that are neither taken nor refused.
    pub(super) fn outstanding(&self, world: &World) -> usize {
        let mut ended = BTreeSet::new();
        for event in pending(world) {
            if let Event::Send { id, state } = event
                && sends::is_decided(&state)
                && self.sends.is_open(id.as_str())
            {
                ended.insert(id);
            }
        }
        self.sends.open() - ended.len()
    }

    /// Our requests without an outcome.
    pub(super) fn open_requests(&self, world: &World) -> usize {
        let over = pending(world).filter(|event| matches!(event, Event::Request { .. }));
        self.requests.open().saturating_sub(over.count())
    }

    /// How many turns are over, as far as the viewer knows; unknown while it catches up, or tells late.
    pub(super) fn turn(&self, world: &World) -> Option<u64> {
        let is_known = *world.status() == Status::Live && !world.reads_slowly();
        is_known.then(|| self.requests.turns())
    }

    pub(super) fn count(&self, tally: &mut Tally) {
        tally.connections = self.connections;
        tally.sent = self.sent;
        tally.delivered = self.delivery.count();
        tally.prompts = self.prompts.count();
    }

    // The end.

    /// Nothing has gone wrong for long: nothing may be owed.
    pub(super) fn settled(&mut self, world: &mut World) -> Result<(), String> {
        let own = |uuid: &str| self.sends.is_ours(uuid);
        self.delivery.settled(own)?;
        self.sends.settled()?;
        self.requests.settled()?;
        if self.viewer_only {
            return Ok(());
        }
        self.prompts
            .settled(world, self.overflowed, self.delivery.had_gap())
    }

    /// It is closed.
    pub(super) fn closed(&mut self, world: &mut World) -> Result<(), String> {
        let chronicle = world.server().chronicle();
        self.sends
            .closed(|id| chronicle.iter().any(|entry| entry.uuid == id))
    }
}

/// The events that were not taken yet.
fn pending(world: &World) -> impl Iterator<Item = Event> {
    let mut viewer = world.reads_slowly().then(|| world.viewer().clone());
    std::iter::from_fn(move || viewer.as_mut()?.poll_event())
}

fn is_result(message: &attache_protocol::viewer::Message) -> bool {
    matches!(message.frame.kind(), FrameKind::Message { type_name } if &**type_name == "result")
}

fn frames_of(text: &str) -> Vec<serde_json::Value> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else {
        return Vec::new();
    };
    match value.get("events").and_then(serde_json::Value::as_array) {
        Some(events) => events
            .iter()
            .map(|event| event.get("payload").unwrap_or(event).clone())
            .collect(),
        None => vec![value],
    }
}

/// The id of the request that a frame makes.
fn request_id_of(received: &Received) -> Option<String> {
    let frame: serde_json::Value = serde_json::from_str(&received.frame).ok()?;
    if frame.get("type")? != "control_request" {
        return None;
    }
    Some(frame.get("request_id")?.as_str()?.to_owned())
}
