//! How far it is, on one line of a terminal.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

/// The line is drawn anew this often.
const EVERY: Duration = Duration::from_millis(200);
const WIDTH: u64 = 30;

/// A bar that grows; nothing where there is no terminal.
pub(crate) struct Progress {
    name: &'static str,
    total: u64,
    began: Instant,
    drawn: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(name: &'static str, total: u64) -> Self {
        Self {
            name,
            total,
            began: Instant::now(),
            drawn: None,
            shown: stderr().is_terminal(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn show(&mut self, done: u64) {
        if !self.shown || self.drawn.is_some_and(|drawn| drawn.elapsed() < EVERY) {
            return;
        }
        self.drawn = Some(Instant::now());
        let filled = usize::try_from(done * WIDTH / self.total.max(1)).unwrap_or_default();
        let bar: String = (0..usize::try_from(WIDTH).unwrap_or_default())
            .map(|place| if place < filled { '#' } else { '.' })
            .collect();
        let rate = per_second(done, self.elapsed());
        let left = self.total.saturating_sub(done) / rate.max(1);
        let name = self.name;
        let total = self.total;
        // A terminal that can't be written to shows no bar.
        let _ = write!(
            stderr(),
            "\r\x1b[K{name} [{bar}] {done} of {total}, {rate} a second, {left} s left"
        );
    }

    pub(crate) fn clear(&self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

pub(crate) fn per_second(count: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    count.saturating_mul(1000) / millis.max(1)
}
