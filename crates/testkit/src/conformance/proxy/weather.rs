//! Which fault is whose, and what is over.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Reach;
use crate::conformance::{chance::Chance, fault::Fault};

/// How long nobody can connect.
const OUTAGE: Duration = Duration::from_millis(80);

/// How long a client is waited for that is to be refused.
const SEEKING: Duration = Duration::from_secs(1);

/// Longer than any trial takes.
const EVER: Duration = Duration::from_secs(60);

/// The faults to come.
#[derive(Debug)]
pub(super) struct Weather {
    state: Mutex<State>,
    changed: Condvar,
    reach: Reach,
    /// Whether clients look a name up before they connect.
    is_named: bool,
}

/// There is nobody to connect to.
pub(super) struct NobodyThere;

#[derive(Debug)]
struct State {
    coming: VecDeque<Coming>,
    /// Stays when no other is coming any more.
    lasting: Option<Fault>,
    /// Taken by a connection, and not yet struck.
    gathering: usize,
    /// Links under way whose fault has not ended them.
    standing: usize,
    /// What keeps everybody from connecting, and until when.
    outage: Option<(Fault, Instant)>,
    /// Whether a client has looked the name up since this was last unset.
    is_sought: bool,
    /// Everything stands still until then.
    stopped_until: Option<Instant>,
    chance: Chance,
}

#[derive(Copy, Clone, Debug)]
struct Coming {
    fault: Fault,
    /// Whether a call has had its share of it.
    call_struck: bool,
}

impl Weather {
    pub(super) fn new(faults: &[Fault], reach: Reach, is_named: bool, seed: u64) -> Self {
        let lasting = match reach {
            Reach::Link | Reach::LinkAndCall => None,
            Reach::Lasting | Reach::Everything => faults.last().copied(),
        };
        let mut coming: VecDeque<Coming> = faults.iter().copied().map(Coming::new).collect();
        // The others are there as soon as somebody connects; these are to begin before that.
        let begins = |fault: Fault| fault == Fault::Refused || fault.is_outage();
        if reach == Reach::Everything && !lasting.is_some_and(begins) {
            coming.clear();
        }
        Self {
            state: Mutex::new(State {
                coming,
                lasting,
                gathering: 0,
                standing: 0,
                outage: None,
                is_sought: false,
                stopped_until: None,
                chance: Chance::new(seed),
            }),
            changed: Condvar::new(),
            reach,
            is_named,
        }
    }

    pub(super) fn is_fine(&self) -> bool {
        let state = self.lock();
        state.coming.is_empty() && state.gathering == 0
    }

    pub(super) fn pending(&self) -> Vec<Fault> {
        self.lock().coming.iter().map(|next| next.fault).collect()
    }

    /// Nothing more goes wrong.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.coming.clear();
        state.outage = None;
        state.gathering = 0;
        state.lasting = None;
        state.stopped_until = None;
        drop(state);
        self.changed.notify_all();
    }

    /// A link begins, with its fault if there is one. [`struck`](Self::struck) or
    /// [`put_back`](Self::put_back) is to follow if there is, and [`fell`](Self::fell) in any case.
    ///
    /// # Errors
    /// When there is nobody to connect to next: a link that came a moment too early would outlast that.
    pub(super) fn begin_link(&self) -> Result<Option<Fault>, NobodyThere> {
        let mut state = self.lock();
        let is_for_all = |next: Fault| next == Fault::Refused || next.is_outage();
        if state.next().is_some_and(is_for_all) {
            return Err(NobodyThere);
        }
        state.standing += 1;
        Ok(state.take().or_else(|| state.in_force()))
    }

    /// A link is over, or will be as soon as the client notices.
    pub(super) fn fell(&self) {
        let mut state = self.lock();
        state.standing = state.standing.saturating_sub(1);
    }

    /// Nobody is to listen next, before anything else goes wrong.
    pub(super) fn refuse_next(&self) {
        self.lock().coming.push_front(Coming::new(Fault::Refused));
    }

    /// Whether this is what keeps everybody from connecting now. It waits until no link is standing.
    pub(super) fn is_out(&self, fault: Fault) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some((present, until)) = state.outage {
            if now < until {
                return present == fault;
            }
            state.outage = None;
            state.gathering = state.gathering.saturating_sub(1);
            self.changed.notify_all();
        }
        let begins = state.standing == 0
            && state.gathering == 0
            && state.next() == Some(fault)
            && state.take().is_some();
        if begins {
            let lasts = state.is_lasting();
            state.outage = Some((fault, now + if lasts { EVER } else { OUTAGE }));
            if lasts {
                state.gathering = state.gathering.saturating_sub(1);
            }
        }
        begins
    }

    /// The fault of any other connection, if there is one.
    pub(super) fn take_for_call(&self) -> Option<Fault> {
        let mut state = self.lock();
        match self.reach {
            Reach::Link => return None,
            Reach::LinkAndCall => {}
            Reach::Lasting | Reach::Everything => return state.in_force(),
        }
        let next = state.coming.front_mut()?;
        // A server can't be stopped, or be gone, or have no name, for one connection alone.
        let strikes_all = matches!(next.fault, Fault::Stopped | Fault::Refused);
        if next.call_struck || strikes_all || next.fault.is_outage() {
            return None;
        }
        next.call_struck = true;
        Some(next.fault)
    }

    /// A client looks the name up.
    pub(super) fn sought(&self) {
        self.lock().is_sought = true;
        self.changed.notify_all();
    }

    /// A link's fault has struck.
    pub(super) fn struck(&self) {
        let mut state = self.lock();
        state.gathering = state.gathering.saturating_sub(1);
        drop(state);
        self.changed.notify_all();
    }

    /// A link ended before its fault came: the next one meets it. A call has had its share.
    pub(super) fn put_back(&self, fault: Fault) {
        let mut state = self.lock();
        state.gathering = state.gathering.saturating_sub(1);
        // What does not heal is there for the next one anyway.
        if !state.is_lasting() {
            state.coming.push_front(Coming {
                fault,
                call_struck: true,
            });
        }
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

    /// Whether the fault that strikes now does not heal.
    pub(super) fn is_lasting(&self) -> bool {
        self.lock().is_lasting()
    }

    /// Whether a connection that nothing has struck is out of place.
    pub(super) fn is_in_force(&self) -> bool {
        self.lock().in_force().is_some()
    }

    /// Waits until everything is over.
    pub(super) fn wait_for_the_end(&self) {
        let state = self.lock();
        let ended = self
            .changed
            .wait_while(state, |state| state.lasting.is_some());
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    /// Stands everything still for a while, or to the end if that fault does not heal.
    pub(super) fn stop(&self, duration: Duration) {
        let mut state = self.lock();
        let duration = if state.is_lasting() { EVER } else { duration };
        state.stopped_until = Some(Instant::now() + duration);
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

    /// Waits, but not once everything is over. Where clients look a name up first, the time begins with
    /// that: one that is slow to start would miss all of it.
    pub(super) fn pause(&self, duration: Duration) {
        let mut state = self.lock();
        state.is_sought = !self.is_named;
        let waits = |state: &mut State| state.gathering > 0 && !state.is_sought;
        let waited = self.changed.wait_timeout_while(state, SEEKING, waits);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let until = Instant::now() + duration;
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
    fn next(&self) -> Option<Fault> {
        self.coming.front().map(|next| next.fault)
    }

    fn is_lasting(&self) -> bool {
        self.lasting.is_some() && self.coming.is_empty()
    }

    /// The fault of every connection that is made now: the one that does not heal, once it has struck.
    fn in_force(&self) -> Option<Fault> {
        self.lasting
            .filter(|fault| !fault.is_outage() && self.coming.is_empty() && self.gathering == 0)
    }

    fn take(&mut self) -> Option<Fault> {
        let next = self.coming.pop_front()?;
        self.gathering += 1;
        Some(next.fault)
    }

    fn is_refusal_next(&self) -> bool {
        self.gathering == 0 && self.next() == Some(Fault::Refused)
    }
}

impl Coming {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            call_struck: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_did_not_come_meets_the_next_link_and_no_other_call() {
        let faults = [Fault::Garbage, Fault::Fin];
        let weather = Weather::new(&faults, Reach::LinkAndCall, false, 1);
        assert_eq!(weather.take_for_call(), Some(Fault::Garbage));
        assert_eq!(weather.begin_link().ok().flatten(), Some(Fault::Garbage));

        weather.put_back(Fault::Garbage);

        assert!(!weather.is_fine());
        assert_eq!(weather.pending(), faults);
        assert_eq!(weather.take_for_call(), None);
        assert_eq!(weather.begin_link().ok().flatten(), Some(Fault::Garbage));
        weather.struck();
        assert_eq!(weather.take_for_call(), Some(Fault::Fin));
        assert_eq!(weather.begin_link().ok().flatten(), Some(Fault::Fin));
        weather.struck();
        assert!(weather.is_fine());
    }
}
