//! Schedules of a viewer and a worker that talk to each other over one server, each with a link of its own on which
//! everything goes wrong.

mod deeds;
mod ledger;

use std::{fmt::Write as _, time::Duration};

use attache_protocol::{
    SessionId,
    time::Timestamp,
    viewer::{Status, Transport, ViewerConfig},
    worker::{EventId, SessionChoice, WorkerConfig},
};

use super::{
    Breach, Choices, Span, Tally,
    viewer::longest,
    worker::{Act, Life, Server as WorkersServer, one_of, pause},
};
use crate::{World, config_over, millis, secs};
use ledger::Ledger;

/// So many lines of the viewer's side are shown with a breach.
const SHOWN: usize = 80;

/// Runs a schedule of a viewer and a worker, as `choices` have it. What the agent says comes to the viewer once and in
/// order, what the viewer sends comes to the agent once and in order, and a prompt is answered at most once, as it was
/// shown.
///
/// # Errors
/// The first promise that is broken.
pub fn both(choices: &mut dyn Choices, span: &Span) -> Result<Tally, Breach> {
    let mut pair = Pair::begin(choices);
    let mut tally = Tally::default();
    let run = pair.run(choices, span, &mut tally);
    match run {
        Ok(()) => {
            tally.faults += pair.life.counts.faults;
            tally.connections += pair.life.counts.streams + pair.world.opens().len() as u64;
            tally.delivered = pair.ledger.delivered() as u64;
            tally.sent = pair.ledger.sent() as u64;
            tally.prompts = pair.ledger.asked() as u64;
            Ok(tally)
        }
        Err(what) => Err(Breach {
            what,
            at: pair.life.now,
            transcript: pair.transcript(),
        }),
    }
}

/// A viewer in its world, a worker in its own, and what is owed between them.
struct Pair {
    world: World,
    life: Life,
    ledger: Ledger,
    viewers_recovery: Duration,
    /// What the agent got and has not said it is done with.
    unacknowledged: Vec<EventId>,
}

impl Pair {
    fn begin(choices: &mut dyn Choices) -> Self {
        let transports = [Transport::WebSocket, Transport::Sse];
        let mut config = config_over(one_of(choices, &transports, Transport::WebSocket));
        config.history = attache_protocol::viewer::History::All;
        config.initialize = choices.below(3) == 2;
        let seed = u8::try_from(choices.below(256)).unwrap_or(0);
        let viewers_recovery = viewers_recovery(&config);
        let mut world = World::with_seed(config, [seed; 32]);
        world.keep_breach();
        world.server().answers_requests = false;

        let lifetime = one_of(choices, &[60, 600, 3600], 600);
        let mut server = WorkersServer::new(secs(lifetime));
        let id = SessionId::parse(&server.create()).expect("plain characters");
        let mut config = WorkerConfig::new(SessionChoice::Join(id));
        config.start.attempts = u32::MAX;
        config.liveness.refusals = u32::MAX;
        config.limits.batch = one_of(choices, &[100, 1, 3], 100);
        // Of one seed they would give the same ids.
        let life = Life::new(config, [!seed; 32], server, Timestamp::ORIGIN);
        Self {
            world,
            life,
            ledger: Ledger::default(),
            viewers_recovery,
            unacknowledged: Vec::new(),
        }
    }

    fn run(
        &mut self,
        choices: &mut dyn Choices,
        span: &Span,
        tally: &mut Tally,
    ) -> Result<(), String> {
        self.world.connect();
        self.life.act(&Act::Start)?;
        let end = Timestamp::from_origin(span.virtual_time);
        while self.life.now < end && tally.steps < u64::from(span.steps) && !choices.is_spent() {
            choices.begin_step();
            tally.steps += 1;
            if choices.below(60) == 59 {
                self.recover(tally)?;
            } else {
                self.next(choices)?;
            }
            self.pass(pause(choices))?;
        }
        self.recover(tally)?;
        self.close()
    }

    /// Lets time pass for both, in step.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.life.now.checked_add(time).unwrap_or(self.life.now);
        self.pass_until(end, |_| false).map(drop)
    }

    fn pass_until(
        &mut self,
        end: Timestamp,
        reached: impl Fn(&Self) -> bool,
    ) -> Result<bool, String> {
        loop {
            self.exchange()?;
            if reached(self) {
                return Ok(true);
            }
            let next = [self.life.next_at(), self.world.next_at()];
            let next = next.into_iter().flatten().min().unwrap_or(end);
            let next = next.max(self.life.now).min(end);
            self.life.pass_until(next, |_| false)?;
            self.life.now = next;
            let ahead = next.since_origin().saturating_sub(self.world.elapsed());
            self.world.run_for(ahead);
            if let Some(what) = self.world.breach() {
                return Err(what.to_owned());
            }
            if let Some(cause) = self.life.closed {
                return Err(format!("the worker ended as {cause:?}"));
            }
            if next == end {
                self.exchange()?;
                return Ok(reached(self));
            }
        }
    }

    /// What either said goes to the other's half of the server, and what came is taken.
    fn exchange(&mut self) -> Result<(), String> {
        for frame in self.life.take_heard() {
            self.ledger.heard(&frame);
            self.world.server().take_from_worker(&frame);
        }
        for (frame, down) in self.ledger.said_by_viewer(self.world.server())? {
            self.life.viewer_says(frame, down, false);
        }
        self.ledger.shown(&self.world)?;
        for inbound in self.life.take_got() {
            self.ledger.got(&inbound)?;
            self.unacknowledged.push(inbound.event_id);
        }
        // What was just said is on its way at once.
        self.world.run_for(Duration::ZERO);
        Ok(())
    }

    /// Mends everything, and waits until all is well.
    fn recover(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.life.mend()?;
        self.mend_viewers_link();
        let mut until = Timestamp::ORIGIN;
        while until < self.life.trouble_until {
            until = self.life.trouble_until;
            self.pass_until(until, |_| false)?;
        }
        let budget = self.life.recovery_budget().max(self.viewers_recovery);
        let limit = until.checked_add(budget).unwrap_or(until);
        if self.pass_until(limit, |pair| pair.unwell().is_none())? {
            let took = self.life.now.saturating_since(until);
            tally.worst_recovery = tally.worst_recovery.max(took);
            return Ok(());
        }
        let what = self.unwell().unwrap_or_default();
        Err(format!("{what}, {budget:?} after the last trouble"))
    }

    fn mend_viewers_link(&mut self) {
        let server = self.world.server();
        server.come_up();
        server.http_delay = Duration::ZERO;
        server.answers_pings = true;
        server.comments = true;
        self.world.set_latency(millis(5));
        self.world.tokens().come_back();
    }

    fn unwell(&self) -> Option<String> {
        if *self.world.status() != Status::Live {
            return Some(format!("the viewer is {:?}", self.world.status()));
        }
        let unwell = self.life.unwell();
        unwell.or_else(|| self.ledger.open(&self.world))
    }

    fn close(&mut self) -> Result<(), String> {
        self.world.close();
        self.world.run_for(secs(5));
        if !self.world.viewer().is_closed() {
            return Err("the viewer was told to close 5 s ago".to_owned());
        }
        self.life.act(&Act::Close)?;
        self.life.pass(self.life.close_budget() + millis(1))?;
        if !self.life.is_closed() {
            return Err("the worker was told to close, and did not".to_owned());
        }
        Ok(())
    }

    fn transcript(&self) -> String {
        let mut text = self.life.machine.transcript();
        let viewers = self.world.transcript.text(SHOWN);
        let _ = write!(text, "the viewer's side:\n{viewers}");
        text
    }
}

/// How long it may take until a viewer is back, once everything is mended.
///
/// The policy promises the cap of its delays, the time an attempt may take, and a second. Before that comes what
/// nobody tells it of here: a link that fell silent just before is found out by the silence deadline alone. What hangs
/// elsewhere hangs no longer than that: a call or a question to the token source has a shorter deadline, after which
/// the same cap holds.
fn viewers_recovery(config: &ViewerConfig) -> Duration {
    let liveness = &config.liveness;
    let silence = match config.transport {
        Transport::WebSocket => liveness.silence_deadline,
        Transport::Sse => liveness.stream_silence,
    };
    silence + longest(config.profile.drops) + liveness.connect_deadline + secs(1)
}
