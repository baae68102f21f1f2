//! What is owed when nothing goes wrong any more, and at the end.

use std::time::Duration;

use attache_protocol::{
    policy::{Delays, RetryRule},
    viewer::{Content, Decision, RequestError, SendRefusal, Status},
};

use super::Schedule;
use crate::{Reading, secs};

impl Schedule<'_> {
    /// Everything is mended: the viewer comes back, delivers what it owes, and closes.
    pub(super) fn come_to_rest(&mut self) -> Result<(), String> {
        if self.world.viewer().is_closed() {
            return self.stays_closed();
        }
        self.note(format_args!(
            "everything is mended, and nothing goes wrong any more"
        ));
        self.reading = Reading::Eagerly;
        self.world.read_events(Reading::Eagerly);
        self.mend();
        if self.prompts_unrepeated {
            // On a new link everything that is still asked is asked again.
            self.world.server().reset();
        }
        self.recover()?;
        if !self.world.viewer().is_closed() {
            // What was asked of the agent, and what is on its way, has its time.
            self.world.run_for(secs(150));
            self.check()?;
        }
        if self.world.viewer().is_closed() {
            return self.stays_closed();
        }
        if *self.world.status() != Status::Live {
            return Err(format!(
                "nothing is wrong, and it is {:?}",
                self.world.status()
            ));
        }
        self.owed.settled(&mut self.world)?;
        self.note(format_args!("the application closes"));
        self.world.close();
        self.world.run_for(self.config.liveness.close_deadline);
        self.check()?;
        if !self.world.viewer().is_closed() {
            return Err("not closed within the close deadline".to_owned());
        }
        self.stays_closed()
    }

    /// Live, or closed for good, within the longest wait, the time an attempt may take, and a second.
    fn recover(&mut self) -> Result<(), String> {
        let profile = &self.config.profile;
        let cap = [profile.drops, profile.not_found, profile.finished]
            .into_iter()
            .map(longest)
            .max()
            .unwrap_or_default();
        let bound = cap + self.config.liveness.connect_deadline + secs(1);
        let mended = self.world.elapsed();
        self.world.run_while(bound, |world| {
            !world.viewer().is_closed() && *world.status() != Status::Live
        });
        self.check()?;
        let recovery = self.world.elapsed().saturating_sub(mended);
        self.tally.worst_recovery = self.tally.worst_recovery.max(recovery);
        let is_over = self.world.viewer().is_closed() || *self.world.status() == Status::Live;
        if is_over {
            Ok(())
        } else {
            Err(format!(
                "{bound:?} after everything was mended it is {:?}",
                self.world.status()
            ))
        }
    }

    /// After the end, nothing comes of anything.
    pub(super) fn stays_closed(&mut self) -> Result<(), String> {
        self.world.read_events(Reading::Eagerly);
        self.check()?;
        self.owed.closed(&mut self.world)?;
        if !self.world.viewer().is_drained() {
            return Err("closed, everything is taken, and it is not drained".to_owned());
        }
        let result = self.world.try_send(Content::text("late"));
        let sent = matches!(result, Err(error) if error.reason == SendRefusal::Closed);
        let connected = self.world.try_connect().is_ok();
        let requested = self.world.interrupt() != Err(RequestError::Closed);
        let decided = self.world.decide("r1", &Decision::deny("late")).is_ok();
        if !sent || connected || requested || decided {
            return Err("closed, and a command is taken".to_owned());
        }
        for _ in 0..4 {
            self.world.feed_stale(self.choices);
        }
        self.world.wake();
        self.world.close();
        self.world.timeout();
        self.world.run_for(secs(100));
        self.check()?;
        if self.world.open_lines().next().is_some() {
            return Err("closed, and a line is open".to_owned());
        }
        Ok(())
    }
}

/// The longest wait by this rule, within the first retries.
pub(in crate::schedule) fn longest(rule: RetryRule) -> Duration {
    match rule.delays {
        Delays::Constant(delay) => delay,
        Delays::Linear { .. } => rule.delays.bound(3),
        Delays::Exponential { cap, .. } => cap,
    }
}
