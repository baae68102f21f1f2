//! When the next attempt comes, and how often: held against a second, plainer account of the budgets.

use std::{collections::BTreeMap, time::Duration};

use attache_protocol::{
    io::{Effect, Input},
    policy::{Delays, Limit, Outcome, Profile, RetryClass, RetryRule, Verdict, verdict},
    time::Timestamp,
    viewer::{Liveness, Status, Timer, ViewerConfig},
};

use crate::record::Call;

/// What the failures since the last stable link have cost.
#[derive(Clone, Debug)]
pub(super) struct Retries {
    profile: Profile,
    liveness: Liveness,
    status: Status,
    opened: Option<Timestamp>,
    account: Account,
    /// When the budgets were given back, and what the account was before. A late call may have found the
    /// link dead before it was stable.
    given_back: Option<(Timestamp, Account)>,
    /// Something asked for an earlier attempt.
    hurried: bool,
}

#[derive(Clone, Debug, Default)]
struct Account {
    /// How many failures were counted at the last wait.
    counted: u32,
    spent: BTreeMap<Class, u32>,
    first_failure: Option<Timestamp>,
}

/// What is counted apart.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Drop,
    NotFound,
    TooLarge,
    Finished,
}

impl Retries {
    pub(super) fn new(config: &ViewerConfig) -> Self {
        Self {
            profile: config.profile.clone(),
            liveness: config.liveness.clone(),
            status: Status::Idle,
            opened: None,
            account: Account::default(),
            given_back: None,
            hurried: false,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other calls neither hurry nor open"
    )]
    pub(super) fn call(&mut self, now: Timestamp, call: &Call) {
        match call {
            Call::Reconnect | Call::Close | Call::Input(Input::Woke) => self.hurried = true,
            Call::Input(Input::SocketOpened { .. } | Input::StreamOpened { .. }) => {
                self.opened = Some(now);
            }
            Call::Timeout => self.stable_by_now(now),
            _ => {}
        }
    }

    pub(super) fn effect(&mut self, now: Timestamp, effect: &Effect) -> Result<(), String> {
        match (effect, &self.status) {
            (
                Effect::FetchToken { .. },
                Status::Waiting {
                    next_attempt_at, ..
                },
            ) if now < *next_attempt_at && !self.hurried => Err(format!(
                "the attempt that was announced for {next_attempt_at:?} comes at {now:?}"
            )),
            _ => Ok(()),
        }
    }

    /// An attempt that is announced for a time is due then at the latest.
    pub(super) fn is_due(
        status: &Status,
        deadline: Option<(Timestamp, Timer)>,
    ) -> Result<(), String> {
        let Status::Waiting {
            next_attempt_at, ..
        } = status
        else {
            return Ok(());
        };
        if deadline.is_some_and(|(at, _)| at <= *next_attempt_at) {
            return Ok(());
        }
        Err(format!(
            "an attempt is announced for {next_attempt_at:?}, and {deadline:?} is what is due next"
        ))
    }

    /// The status after a call.
    pub(super) fn status(&mut self, now: Timestamp, status: &Status) -> Result<(), String> {
        if *status == self.status {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.status, status.clone());
        match status {
            Status::Waiting {
                attempt,
                next_attempt_at,
                cause,
            } => {
                self.hurried = false;
                self.opened = None;
                let delay = next_attempt_at.saturating_since(now);
                let result = self.failed(now, *attempt, delay, *cause);
                match (result, self.given_back.take()) {
                    (Err(_), Some((at, before))) if at == now => {
                        self.account = before;
                        self.failed(now, *attempt, delay, *cause)
                    }
                    (result, _) => result,
                }
            }
            Status::Connecting { attempt } => {
                if !matches!(before, Status::Waiting { .. }) {
                    self.opened = None;
                }
                let counted = self.account.counted;
                let late = matches!(self.given_back, Some((at, _)) if at == now);
                if *attempt < counted && !late {
                    return Err(format!("{counted} failures are counted as {attempt}"));
                }
                Ok(())
            }
            Status::Idle
            | Status::CatchingUp
            | Status::Live
            | Status::Closing
            | Status::Closed { .. } => Ok(()),
        }
    }

    /// Only a link that was up for long enough gives the budgets back.
    fn stable_by_now(&mut self, now: Timestamp) {
        if let Some(opened) = self.opened
            && now.saturating_since(opened) >= self.liveness.stable_after
        {
            self.opened = None;
            let before = std::mem::take(&mut self.account);
            self.given_back = Some((now, before));
        }
    }

    fn failed(
        &mut self,
        now: Timestamp,
        attempt: u32,
        delay: Duration,
        cause: Outcome,
    ) -> Result<(), String> {
        let said = format!("after {cause:?}, failure {attempt}, the wait is {delay:?}");
        if verdict(cause) == Verdict::Free {
            return if attempt < self.account.counted {
                Err(format!(
                    "{said}; {} were counted before",
                    self.account.counted
                ))
            } else if delay > self.liveness.reconnect_delay {
                Err(said)
            } else {
                Ok(())
            };
        }
        if attempt <= self.account.counted {
            return Err(format!(
                "{said}; {} were counted before",
                self.account.counted
            ));
        }
        self.account.counted = attempt;
        let (class, asked) = match verdict(cause) {
            Verdict::Retry(RetryClass::Drop) => (Class::Drop, None),
            Verdict::Retry(RetryClass::NotFound) => (Class::NotFound, None),
            Verdict::Retry(RetryClass::TooLarge) => (Class::TooLarge, None),
            Verdict::Retry(RetryClass::Finished) => (Class::Finished, None),
            Verdict::Restart { retry_after } => {
                (Class::Drop, Some(retry_after.unwrap_or_default()))
            }
            Verdict::NewToken | Verdict::Free | Verdict::Stop(_) => {
                return Err(format!("{said}, though nothing is to be tried again"));
            }
        };
        let rule = self.rule(class);
        let first_failure = *self.account.first_failure.get_or_insert(now);
        let spent = self.account.spent.entry(class).or_default();
        *spent += 1;
        if matches!(rule.limit, Limit::Retries(retries) if *spent > retries) {
            return Err(format!("{said}; that is retry {spent} of {:?}", rule.limit));
        }
        let slow = match rule.limit {
            Limit::SlowDown { after, every } => {
                (now.saturating_since(first_failure) >= after).then_some(every)
            }
            Limit::Retries(_) => None,
        };
        let most = slow.unwrap_or(rule.delays.bound(*spent));
        let least = match rule.delays {
            Delays::Constant(_) | Delays::Linear { .. } => most,
            Delays::Exponential { .. } => most / 2,
        };
        let (least, most) = match asked {
            None => (least, most),
            Some(asked) => {
                let asked = asked.min(self.profile.retry_after_cap);
                (asked, asked + most.max(self.profile.restart_window))
            }
        };
        // What is armed at an instant fires later than that instant.
        let tick = Duration::from_nanos(1);
        if delay < least || delay > most.max(tick) {
            return Err(format!("{said}, not {least:?} to {most:?}"));
        }
        Ok(())
    }

    fn rule(&self, class: Class) -> RetryRule {
        match class {
            Class::Drop => self.profile.drops,
            Class::NotFound => self.profile.not_found,
            Class::TooLarge => self.profile.too_large,
            Class::Finished => self.profile.finished,
        }
    }
}
