//! Whether the machine that the suite runs on keeps up.
//!
//! Some promises have to be kept within a time. On a machine that stands still nobody keeps them, and
//! nobody can tell whose fault it is: whoever hears nothing for too long is right to call that silence.
//! So the suite itself does all the time what a trial does, on a small scale: threads begin, a connection
//! is opened over the loopback and accepted, a byte goes there and back. When that takes long, the machine
//! stood still.

use std::{
    cell::RefCell,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How often a byte is sent around.
const PAUSE: Duration = Duration::from_millis(20);

/// A machine that needs longer for that does not keep up: trials give an adapter 220 ms and more, for
/// several times as many steps.
const TOLERANCE: Duration = Duration::from_millis(40);

/// Every thread of the canary's has this name.
pub(super) const NAME: &str = "canary";

/// However much the machine stood still, this part of the time counts: one in so many.
const LEAST_PART: u32 = 4;

/// Measures time as far as the machine kept up, and judges by it.
pub(super) struct Watch {
    canary: Option<Arc<Canary>>,
    began: Instant,
    stood_before: Duration,
    excused: RefCell<Vec<String>>,
}

impl Watch {
    /// Starts now.
    pub(super) fn start() -> Self {
        let canary = canary();
        Self {
            stood_before: canary
                .as_deref()
                .map(Canary::stood_still)
                .unwrap_or_default(),
            canary,
            began: Instant::now(),
            excused: RefCell::default(),
        }
    }

    /// How long it has been, without the time in which the machine stood still.
    pub(super) fn elapsed(&self) -> Duration {
        let elapsed = self.began.elapsed();
        let counted = elapsed.saturating_sub(self.stood_still());
        counted.max(elapsed / LEAST_PART)
    }

    /// Whether the machine has kept up since the start.
    pub(super) fn has_kept_up(&self) -> bool {
        self.stood_still().is_zero()
    }

    /// Judges a promise that can only be kept on a machine that keeps up. On another one, what went wrong
    /// is remembered, and no more.
    ///
    /// # Errors
    /// What went wrong, if the machine kept up.
    pub(super) fn judge(&self, promise: Result<(), String>) -> Result<(), String> {
        match promise {
            Err(what) if !self.has_kept_up() => {
                self.excused.borrow_mut().push(what);
                Ok(())
            }
            judged => judged,
        }
    }

    /// What could not be judged, if there was anything.
    pub(super) fn excused(&self) -> Option<String> {
        let excused = self.excused.borrow();
        (!excused.is_empty()).then(|| {
            let stood = self.stood_still();
            format!(
                "the machine stood still for {stood:.1?}: {}",
                excused.join("; ")
            )
        })
    }

    fn stood_still(&self) -> Duration {
        let stood = self
            .canary
            .as_deref()
            .map(Canary::stood_still)
            .unwrap_or_default();
        stood.saturating_sub(self.stood_before)
    }
}

/// Does something while the canary holds no connection: what counts files then counts none of its own,
/// but for the one that it always has.
pub(super) fn quiet<T>(work: impl FnOnce() -> T) -> T {
    let canary = canary();
    let _held = canary.as_deref().map(|canary| lock(&canary.perch));
    work()
}

/// Sends a byte around for as long as the process lives. There is one for all.
struct Canary {
    state: Mutex<State>,
    /// Held while connections are open.
    perch: Mutex<()>,
}

struct State {
    /// All that it stood still so far.
    stood: Duration,
    /// When the byte that is under way was due to leave.
    due: Instant,
}

impl Canary {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                stood: Duration::ZERO,
                due: Instant::now(),
            }),
            perch: Mutex::default(),
        }
    }

    /// How long the machine has stood still so far, up to now.
    fn stood_still(&self) -> Duration {
        let state = lock(&self.state);
        state.stood + beyond_tolerance(state.due.elapsed())
    }

    /// Sends bytes around for ever. Whatever breaks is over with that byte.
    fn sing(&self, listener: &TcpListener) {
        loop {
            let due = Instant::now() + PAUSE;
            lock(&self.state).due = due;
            thread::sleep(PAUSE);
            let held = lock(&self.perch);
            let _ = exchange(listener);
            drop(held);
            let mut state = lock(&self.state);
            state.stood += beyond_tolerance(due.elapsed());
            state.due = Instant::now();
        }
    }
}

/// Sends a byte there and back, over a connection and by threads of its own.
fn exchange(listener: &TcpListener) -> io::Result<()> {
    let mut there = TcpStream::connect(listener.local_addr()?)?;
    let (mut back, _) = listener.accept()?;
    let asking = named().spawn(move || -> io::Result<()> {
        there.write_all(&[1])?;
        there.read_exact(&mut [0])
    })?;
    let answering = named().spawn(move || -> io::Result<()> {
        let mut byte = [0];
        back.read_exact(&mut byte)?;
        back.write_all(&byte)
    })?;
    // A thread that panicked has no byte to tell of.
    let _ = answering.join();
    let _ = asking.join();
    Ok(())
}

fn named() -> thread::Builder {
    thread::Builder::new().name(NAME.into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The whole of a time that is too long, nothing of any other.
fn beyond_tolerance(took: Duration) -> Duration {
    if took > TOLERANCE {
        took
    } else {
        Duration::ZERO
    }
}

/// The one for all; `None` where there can be none: the machine is held to keep up then.
fn canary() -> Option<Arc<Canary>> {
    static CANARY: OnceLock<Option<Arc<Canary>>> = OnceLock::new();
    CANARY.get_or_init(|| hatch().ok()).clone()
}

fn hatch() -> io::Result<Arc<Canary>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let canary = Arc::new(Canary::new());
    let singing = Arc::clone(&canary);
    named().spawn(move || singing.sing(&listener))?;
    Ok(canary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stood(watch: &Watch, still: Duration) {
        let canary = watch.canary.as_ref().unwrap();
        lock(&canary.state).stood += still;
    }

    #[test]
    fn time_in_which_the_machine_stood_still_does_not_count_but_for_a_part() {
        let watch = Watch::start();
        let began = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let watch = Watch { began, ..watch };
        assert!(watch.elapsed() > Duration::from_secs(15));

        stood(&watch, Duration::from_secs(40));
        let elapsed = watch.elapsed();
        assert!(elapsed >= Duration::from_secs(15) && elapsed <= Duration::from_secs(21));

        stood(&watch, Duration::from_secs(3600));
        assert!(watch.elapsed() >= Duration::from_secs(15));
    }

    #[test]
    fn what_went_wrong_while_the_machine_stood_still_is_remembered_and_no_more() {
        let watch = Watch::start();
        stood(&watch, Duration::from_millis(500));

        assert_eq!(watch.judge(Err("too late".to_owned())), Ok(()));
        let excused = watch.excused().unwrap();
        assert!(excused.ends_with(": too late"), "{excused}");
    }

    #[test]
    fn a_machine_that_keeps_up_excuses_nothing() {
        let canary = None;
        let watch = Watch {
            canary,
            ..Watch::start()
        };

        assert!(watch.has_kept_up());
        assert_eq!(watch.judge(Err("late".to_owned())), Err("late".to_owned()));
        assert_eq!(watch.excused(), None);
    }

    #[test]
    fn a_byte_that_is_still_under_way_counts_already() {
        let canary = Canary::new();
        let due = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let stood = Duration::from_secs(1);
        *lock(&canary.state) = State { stood, due };

        assert!(canary.stood_still() >= Duration::from_secs(3));
        assert_eq!(beyond_tolerance(TOLERANCE), Duration::ZERO);
    }
}
