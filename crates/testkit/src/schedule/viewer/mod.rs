//! A viewer's schedule: an application that does whatever applications do, a server and a network that do whatever they
//! may, and an account of what is owed.

mod app;
mod calm;
mod fault;
mod owed;
mod setup;

use std::time::Duration;

use attache_protocol::{
    time::Timestamp,
    viewer::{Decision, Status, Transport, ViewerConfig},
};

use super::{Breach, Choices, Span, Tally};
use crate::{Reading, World, millis, transcript::Entry};
pub(super) use calm::longest;
use fault::Fault;
use owed::Owed;

/// So many lines of the transcript are kept for a breach.
const SHOWN: usize = 160;

/// Runs a viewer through whatever `choices` decide, for at most `span`; then everything is mended, and the viewer has to
/// come back, to owe nothing, and to close.
///
/// # Errors
/// With the first promise that was not kept.
pub fn viewer(choices: &mut dyn Choices, span: &Span) -> Result<Tally, Breach> {
    let mut schedule = Schedule::begin(choices);
    match schedule.run(span) {
        Ok(()) => Ok(schedule.tally()),
        Err(what) => Err(Breach {
            what,
            at: schedule.world.now,
            transcript: schedule.world.transcript.text(SHOWN),
        }),
    }
}

struct Schedule<'a> {
    choices: &'a mut dyn Choices,
    config: ViewerConfig,
    world: World,
    owed: Owed,
    tally: Tally,
    /// Messages said, prompts asked, and ephemeral frames so far.
    said: u32,
    asked: u32,
    passing: u32,
    /// There was a link on which open prompts were not asked again.
    prompts_unrepeated: bool,
    /// Pings or comments do not come at the moment.
    mute: bool,
    /// When silence could last be the peer's fault.
    muted_at: Duration,
    reading: Reading,
}

impl<'a> Schedule<'a> {
    fn begin(choices: &'a mut dyn Choices) -> Self {
        let config = setup::config(choices);
        let seed = setup::seed(choices);
        let mut world = World::with_seed(config.clone(), seed);
        world.keep_breach();
        let mut schedule = Self {
            owed: Owed::new(&config),
            choices,
            config,
            world,
            tally: Tally::default(),
            said: 0,
            asked: 0,
            passing: 0,
            prompts_unrepeated: false,
            mute: false,
            muted_at: Duration::ZERO,
            reading: Reading::Eagerly,
        };
        for _ in 0..schedule.choices.below(30) {
            schedule.say();
        }
        if schedule.choices.below(4) == 3 {
            let chance = u64::from(schedule.choices.below(u32::MAX));
            let config = schedule.config.clone();
            schedule.world.watch_an_equal(config, seed, chance);
        }
        schedule
    }

    fn run(&mut self, span: &Span) -> Result<(), String> {
        self.connect();
        self.check()?;
        while !self.choices.is_spent()
            && self.world.elapsed() < span.virtual_time
            && self.tally.steps < u64::from(span.steps)
        {
            self.choices.begin_step();
            self.tally.steps += 1;
            let (began, lines) = (self.world.now, self.world.transcript.len());
            self.step();
            let pause = self.pause();
            self.world.run_for(pause);
            self.not_restless(lines, began)?;
            self.check()?;
            if self.world.viewer().is_closed() {
                self.stays_closed()?;
                self.begin_anew();
                self.check()?;
            }
        }
        self.come_to_rest()
    }

    /// One thing happens.
    fn step(&mut self) {
        match self.choices.below(40) {
            0 => {}
            1..=7 => {
                for _ in 0..=self.choices.below(5) {
                    self.say();
                }
            }
            8 => {
                self.passing += 1;
                let number = self.passing;
                self.note(format_args!("ephemeral e{number}"));
                self.world.server().emit(&format!(
                    r#"{{"type":"stream_event","uuid":"e{number}","event":{{"type":"x"}}}}"#
                ));
            }
            9 => {
                self.said += 1;
                let number = self.said;
                self.note(format_args!("turn {number} is over"));
                self.world.server().say("result", &format!("t{number}"));
            }
            10 | 11 => self.ask(),
            12 => {
                if let Some(id) = self.some_prompt() {
                    self.note(format_args!("{id} is withdrawn"));
                    self.owed.prompt_over(&id, self.world.now);
                    self.world.server().cancel(&id);
                }
            }
            13 => {
                if let Some(id) = self.some_prompt() {
                    self.note(format_args!("{id} is answered by another"));
                    self.owed.prompt_over(&id, self.world.now);
                    self.world.server().answer_by_another(&id);
                }
            }
            14..=16 => self.send(),
            17 | 18 => self.decide(),
            19 => self.request(),
            20 => self.interrupt(),
            21 => self.reconnect(),
            22 => {
                self.note(format_args!("woke"));
                if self.config.transport == Transport::Sse {
                    // A stream can't be asked: it has to bring a byte soon.
                    self.muted();
                }
                self.world.wake();
            }
            23 => self.read(),
            24 => {
                for _ in 0..=self.choices.below(6) {
                    self.world.take_event();
                }
            }
            25 => self.leave(),
            26 | 27 => self.world.feed_stale(self.choices),
            28 => self.repeat_something(),
            29 => {
                if self.choices.below(3) == 0 {
                    self.note(format_args!("everything is mended"));
                    self.mend();
                }
            }
            _ => {
                let fault = self.pick(&Fault::ALL);
                self.note(format_args!("{fault:?}"));
                self.strike(fault);
            }
        }
    }

    /// Mostly short, sometimes long enough for a link to be stable, or to be given up.
    fn pause(&mut self) -> Duration {
        let choices = &mut *self.choices;
        millis(u64::from(match choices.below(8) {
            0 => 0,
            1 => choices.below(20),
            2 => choices.below(200),
            3..=5 => choices.below(2000),
            6 => choices.below(8000),
            _ => choices.below(45_000),
        }))
    }

    fn check(&mut self) -> Result<(), String> {
        if let Some(what) = self.world.breach() {
            return Err(what.to_owned());
        }
        if self.mute || self.world.server().has_frozen() {
            self.muted_at = self.world.elapsed();
        }
        self.owed.observe(&mut self.world, self.muted_at)?;
        self.world.transcript.keep_last(SHOWN);
        Ok(())
    }

    /// However much happens, orders don't come without end.
    fn not_restless(&self, first: usize, since: Timestamp) -> Result<(), String> {
        let lines = self.world.transcript.since(first);
        let orders = lines.filter(|(_, entry)| matches!(entry, Entry::Effect(_)));
        let seconds = self.world.now.saturating_since(since).as_secs();
        let bound = 400 + 20 * usize::try_from(seconds).unwrap_or(usize::MAX);
        match orders.count() {
            orders if orders > bound => Err(format!("{orders} orders in {seconds} s")),
            _ => Ok(()),
        }
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let note = Entry::Note(what.to_string());
        self.world.transcript.push(self.world.now, note);
    }

    fn tally(&self) -> Tally {
        let mut tally = self.tally;
        self.owed.count(&mut tally);
        tally
    }
}
