//! A twin of the viewer: it sees the same, at the same times, and is treated differently in every way that
//! must not matter.

use std::collections::VecDeque;

use attache_protocol::{
    io::Effect,
    time::Timestamp,
    viewer::{Event, Timer, Viewer},
};

use super::Issued;
use crate::{
    record::{Call, shown},
    schedule::{Choices, Seeded},
};

/// So many orders are left untaken at most, far fewer than the viewer waits for.
const UNTAKEN: usize = 32;

/// A viewer that must say the same as another one, though
///
/// - its outputs are taken in another order, and orders later,
/// - it is replaced by its clone now and then,
/// - it is told older times, where the time is the same as before,
/// - timeouts come early, or twice,
/// - inputs come that are about something that is over.
#[derive(Clone, Debug)]
pub(super) struct Twin {
    viewer: Viewer,
    /// The time it was told last.
    now: Option<Timestamp>,
    chance: Seeded,
    issued: Issued,
    effects: VecDeque<Effect>,
    events: VecDeque<String>,
}

impl Twin {
    pub(super) fn of(viewer: &Viewer, issued: Issued, seed: u64) -> Self {
        Self {
            viewer: viewer.clone(),
            now: None,
            chance: Seeded::new(seed),
            issued,
            effects: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The same call, and things that change nothing.
    pub(super) fn follow(&mut self, now: Timestamp, call: &Call) {
        let told = match self.chance.below(4) {
            0 if self.now == Some(now) => {
                let older = now.since_origin() / 2;
                Timestamp::from_origin(older)
            }
            _ => now,
        };
        self.now = Some(now);
        match self.chance.below(12) {
            0 => self.viewer = self.viewer.clone(),
            1 | 2 => {
                let due = self.viewer.poll_timeout().map(|(at, _)| at);
                if due.is_none_or(|at| at > now) {
                    self.viewer.handle_timeout(told);
                }
            }
            3 => {
                if let Some(stale) = self.issued.stale(&mut self.chance) {
                    self.viewer.handle_input(told, stale);
                }
            }
            _ => {}
        }
        call.make(&mut self.viewer, told);
        if let Call::Input(input) = call {
            self.issued.input(input);
        }
        if matches!(call, Call::Timeout) && self.chance.below(4) == 0 {
            self.viewer.handle_timeout(now);
        }
    }

    /// The other one gave this order.
    pub(super) fn expect_effect(&mut self, effect: &Effect) {
        self.effects.push_back(effect.clone());
    }

    /// The other one told this.
    pub(super) fn expect_event(&mut self, event: &Event) {
        self.events.push_back(shown(event));
    }

    /// Takes what the other one gave, in another order. The other one waits for `theirs`.
    pub(super) fn compare(
        &mut self,
        other: &Viewer,
        theirs: Option<(Timestamp, Timer)>,
    ) -> Result<(), String> {
        let order = self.chance.below(4);
        if order == 0 {
            self.take_events()?;
        }
        if order < 3 || self.effects.len() > UNTAKEN {
            self.take_effects()?;
        }
        self.take_events()?;
        let mine = self.viewer.poll_timeout();
        if mine != theirs {
            return Err(format!("a twin's deadline is {mine:?}, not {theirs:?}"));
        }
        if self.viewer.status() != other.status() {
            return Err(format!(
                "a twin is {:?}, not {:?}",
                self.viewer.status(),
                other.status()
            ));
        }
        if self.viewer.wants_read() != other.wants_read() {
            return Err("a twin wants to read, or not, when the other one does not".to_owned());
        }
        Ok(())
    }

    fn take_effects(&mut self) -> Result<(), String> {
        while let Some(expected) = self.effects.pop_front() {
            let effect = self.viewer.poll_effect();
            if effect.as_ref() != Some(&expected) {
                return Err(format!("a twin orders {effect:?}, not {expected:?}"));
            }
            self.issued.effect(&expected);
        }
        match self.viewer.poll_effect() {
            Some(effect) => Err(format!("a twin orders {effect:?}, and the other does not")),
            None => Ok(()),
        }
    }

    fn take_events(&mut self) -> Result<(), String> {
        while let Some(expected) = self.events.pop_front() {
            let event = self.viewer.poll_event().map(|event| shown(&event));
            if event.as_ref() != Some(&expected) {
                return Err(format!("a twin tells {event:?}, not {expected}"));
            }
        }
        Ok(())
    }
}
