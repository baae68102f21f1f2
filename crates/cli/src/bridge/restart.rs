//! Whether an agent that is gone is started again, and when.

use std::time::Duration;

use crate::arguments::RestartPolicy;

/// The first delay; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// The longest delay.
const LONGEST: Duration = Duration::from_secs(30);
/// So many failures in a row are too many.
const FAILURES: u32 = 5;
/// An agent that lived for so long has not failed at the start.
const STABLE: Duration = Duration::from_secs(60);

/// Counts failures.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: RestartPolicy,
    failures: u32,
}

impl Restarts {
    pub(crate) fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            failures: 0,
        }
    }

    /// How long to wait before the agent is started again; `None` when it is not.
    pub(super) fn after(&mut self, in_order: bool, lived: Duration) -> Option<Duration> {
        if in_order || self.policy == RestartPolicy::Never {
            return None;
        }
        if lived >= STABLE {
            self.failures = 0;
        }
        self.failures += 1;
        let doublings = self.failures - 1;
        (self.failures < FAILURES).then(|| FIRST.saturating_mul(1 << doublings).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIEFLY: Duration = Duration::from_millis(5);

    #[test]
    fn an_agent_that_keeps_failing_is_given_up() {
        let mut restarts = Restarts::new(RestartPolicy::OnFailure);
        for seconds in [1, 2, 4, 8] {
            assert_eq!(
                restarts.after(false, BRIEFLY),
                Some(Duration::from_secs(seconds))
            );
        }
        assert_eq!(restarts.after(false, BRIEFLY), None);
        assert_eq!(restarts.after(false, STABLE), Some(FIRST));
    }

    #[test]
    fn an_agent_that_leaves_in_order_is_not_started_again() {
        let mut restarts = Restarts::new(RestartPolicy::OnFailure);
        assert_eq!(restarts.after(true, BRIEFLY), None);
        let mut never = Restarts::new(RestartPolicy::Never);
        assert_eq!(never.after(false, BRIEFLY), None);
    }
}
