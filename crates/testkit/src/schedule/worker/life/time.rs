//! How time passes, and how long what goes wrong may be felt.

use std::{collections::BTreeSet, time::Duration};

use attache_protocol::{
    io::{HttpRequestId, Input, NetworkFailure},
    time::Timestamp,
    worker::{WorkerCloseCause, WorkerStatus},
};

use super::{Beat, COMMENT_EVERY, HAPPENINGS_AT_ONCE, Happening, Life, LineLife, Reading};
use crate::{
    schedule::worker::{
        machine::Act,
        weather::{Fate, Weather},
    },
    secs,
};

impl Life {
    /// Lets time pass.
    pub(in crate::schedule) fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now.checked_add(time).unwrap_or(self.now);
        self.pass_until(end, |_| false)?;
        self.now = self.now.max(end);
        Ok(())
    }

    /// Lets time pass up to `end`, or until `reached`; whether it was.
    pub(in crate::schedule) fn pass_until(
        &mut self,
        end: Timestamp,
        reached: impl Fn(&Self) -> bool,
    ) -> Result<bool, String> {
        let mut at_once = 0;
        loop {
            self.read_line()?;
            if reached(self) {
                return Ok(true);
            }
            let planned = self.agenda.keys().next().map(|(at, _)| *at);
            let Some(next) = self.next_at() else {
                return Ok(false);
            };
            if next > end {
                return Ok(false);
            }
            at_once = if next > self.now { 0 } else { at_once + 1 };
            if at_once > HAPPENINGS_AT_ONCE {
                return Err("it does not come to rest".to_owned());
            }
            self.now = self.now.max(next);
            if planned == Some(next) {
                if let Some((_, happening)) = self.agenda.pop_first() {
                    self.happen(happening)?;
                }
            } else {
                self.act(&Act::Timeout)?;
            }
        }
    }

    /// Jumps ahead, as a suspended machine does: what was due is late.
    pub(in crate::schedule) fn sleep(&mut self, time: Duration) {
        if self.trouble_until > self.now {
            // It is told late.
            self.trouble_until = self.trouble_until.checked_add(time).unwrap_or(self.now);
        }
        self.now = self.now.checked_add(time).unwrap_or(self.now);
        self.machine.note(self.now, format!("slept {time:?}"));
        if self.beat != Beat::Off {
            self.beat = Beat::Somewhere(self.now);
        }
        self.trouble(Duration::ZERO);
        if self
            .stream
            .as_ref()
            .is_some_and(|line| line.life == LineLife::Mute)
        {
            self.trouble(self.config.liveness.stream_silence * 2);
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Arrive(id, fate) => self.arrive(id, fate),
            Happening::Answer(input) => self.answer(input),
            Happening::Line(id, input) => {
                self.unread.push_back((id, self.now, input));
                Ok(())
            }
            Happening::Comment(id) => {
                if let Some(line) = &self.stream
                    && line.id == id
                {
                    if line.life == LineLife::Open {
                        self.send_bytes(":keepalive\n\n");
                    }
                    self.plan(COMMENT_EVERY, Happening::Comment(id));
                }
                Ok(())
            }
        }
    }

    pub(super) fn plan(&mut self, delay: Duration, happening: Happening) {
        let at = self.now.checked_add(delay).unwrap_or(self.now);
        self.plan_at(at, happening);
    }

    pub(super) fn plan_at(&mut self, at: Timestamp, happening: Happening) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), happening);
    }

    // What goes wrong.

    /// Something went wrong just now, and may be felt for so long.
    pub(in crate::schedule) fn trouble(&mut self, lasting: Duration) {
        let until = self.now.checked_add(lasting).unwrap_or(self.now);
        self.trouble_until = self.trouble_until.max(until);
    }

    /// Everything works from here on.
    pub(in crate::schedule) fn mend(&mut self) -> Result<(), String> {
        self.machine.note(self.now, "mended");
        self.weather = Weather::calm();
        self.trouble(Duration::ZERO);
        self.read(Reading::Eagerly)
    }

    /// What is not as it should be, now that everything works.
    pub(in crate::schedule) fn unwell(&self) -> Option<String> {
        if self.machine.worker.status() != WorkerStatus::Running {
            return Some(format!("it is {:?}", self.machine.worker.status()));
        }
        self.owed.open(&self.server, self.now)
    }

    /// Whether a call is under way that trouble has struck, so that its answer is late, false or lost.
    pub(in crate::schedule) fn awaits_trouble(&self) -> bool {
        let soon = self.now.checked_add(self.config.patience.flush / 2);
        let coming = self.agenda.iter();
        let fine: BTreeSet<HttpRequestId> = coming
            .filter(|((at, _), _)| Some(*at) <= soon)
            .filter_map(|(_, happening)| match happening {
                Happening::Arrive(id, Fate::Served) => Some(*id),
                Happening::Answer(Input::HttpAnswered { id, response }) => {
                    (response.status == 200).then_some(*id)
                }
                Happening::Arrive(..)
                | Happening::Answer(_)
                | Happening::Line(..)
                | Happening::Comment(_) => None,
            })
            .collect();
        !self.calls.keys().all(|id| fine.contains(id))
    }

    /// How long it may take from the last trouble on until everything is well.
    pub(in crate::schedule) fn recovery_budget(&self) -> Duration {
        let patience = &self.config.patience;
        let cap = self.config.liveness.retry_cap.max(self.config.start.cap);
        cap + patience.http.max(patience.token) + secs(1)
    }

    /// Lets the time pass in which the last trouble may be felt; until when that was.
    pub(in crate::schedule) fn outlast_trouble(
        &mut self,
        reached: impl Fn(&Self) -> bool,
    ) -> Result<Timestamp, String> {
        loop {
            let until = self.trouble_until;
            if self.pass_until(until, &reached)? || self.trouble_until <= until {
                return Ok(until);
            }
        }
    }

    /// Another worker takes the session over. One that runs, and whose credentials still say who it is, finds out and is
    /// gone; it does not take the session back.
    pub(in crate::schedule) fn lose_session(&mut self, session: &str) -> Result<(), String> {
        let patience = secs(40);
        let known_until = self.now.checked_add(patience);
        let until = self.held.as_ref().map(|held| held.until);
        let is_known = until > known_until && self.has_good_credentials();
        let must_yield = is_known && self.calls.is_empty() && self.stream_is_open();
        self.server.take_over(session);
        if !must_yield {
            self.end_stream(NetworkFailure::Ended);
            return Ok(());
        }
        self.mend()?;
        self.weather.latency = Duration::ZERO;
        self.break_stream(NetworkFailure::Ended);
        let bridges = self.counts.bridges;
        self.pass(patience)?;
        if self.counts.bridges != bridges {
            return Err("it took the session back".to_owned());
        }
        if self.closed != Some(WorkerCloseCause::Superseded) {
            return Err("it was taken over, and did not notice".to_owned());
        }
        Ok(())
    }
}
