//! Which fault is whose, and what is over.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Reach;
use crate::conformance::{chance::Chance, fault::Fault};

/// The faults to come.
#[derive(Debug)]
pub(super) struct Weather {
    state: Mutex<State>,
    changed: Condvar,
    reach: Reach,
}

#[derive(Debug)]
struct State {
    coming: VecDeque<Fault>,
    /// Taken by a connection, and not yet struck.
    gathering: usize,
    /// Whether a call has had its share of the first one coming.
    call_struck: bool,
    /// Everything stands still until then.
    stopped_until: Option<Instant>,
    chance: Chance,
}

impl Weather {
    pub(super) fn new(faults: &[Fault], reach: Reach, seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                coming: faults.iter().copied().collect(),
                gathering: 0,
                call_struck: false,
                stopped_until: None,
                chance: Chance::new(seed),
            }),
            changed: Condvar::new(),
            reach,
        }
    }

    pub(super) fn is_fine(&self) -> bool {
        let state = self.lock();
        state.coming.is_empty() && state.gathering == 0
    }

    pub(super) fn pending(&self) -> Vec<Fault> {
        self.lock().coming.iter().copied().collect()
    }

    /// Nothing more goes wrong.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.coming.clear();
        state.stopped_until = None;
        drop(state);
        self.changed.notify_all();
    }

    /// The fault of a link, if there is one. [`struck`](Self::struck) is to follow.
    pub(super) fn take_for_link(&self) -> Option<Fault> {
        let mut state = self.lock();
        if state.coming.front() == Some(&Fault::Refused) {
            return None;
        }
        state.take()
    }

    /// The fault of any other connection, if there is one.
    pub(super) fn take_for_call(&self) -> Option<Fault> {
        let mut state = self.lock();
        if self.reach == Reach::Link || state.call_struck {
            return None;
        }
        let fault = *state.coming.front()?;
        // A server can't be stopped, or be gone, for one connection alone.
        if matches!(fault, Fault::Stopped | Fault::Refused) {
            return None;
        }
        state.call_struck = true;
        Some(fault)
    }

    /// A link's fault has struck.
    pub(super) fn struck(&self) {
        let mut state = self.lock();
        state.gathering = state.gathering.saturating_sub(1);
        drop(state);
        self.changed.notify_all();
    }

    /// Whether more is coming.
    pub(super) fn is_more_coming(&self) -> bool {
        !self.lock().coming.is_empty()
    }

    pub(super) fn is_refusal_next(&self) -> bool {
        self.lock().is_refusal_next()
    }

    /// Whether nobody is to listen now. [`struck`](Self::struck) is to follow.
    pub(super) fn take_refusal(&self) -> bool {
        let mut state = self.lock();
        state.is_refusal_next() && state.take().is_some()
    }

    /// Stands everything still for a while.
    pub(super) fn stop(&self, duration: Duration) {
        self.lock().stopped_until = Some(Instant::now() + duration);
    }

    /// Waits until things go on.
    pub(super) fn wait_while_stopped(&self) {
        let mut state = self.lock();
        while let Some(until) = state.stopped_until {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.stopped_until = None;
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits, but not once everything is over.
    pub(super) fn pause(&self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut state = self.lock();
        while state.gathering > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A number below `sides`.
    pub(super) fn throw(&self, sides: usize) -> usize {
        self.lock().chance.throw(sides)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Option<Fault> {
        let fault = self.coming.pop_front()?;
        self.gathering += 1;
        self.call_struck = false;
        Some(fault)
    }

    fn is_refusal_next(&self) -> bool {
        self.gathering == 0 && self.coming.front() == Some(&Fault::Refused)
    }
}
