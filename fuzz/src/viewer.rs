//! A viewer against a server of the schedules' own: whatever happens in whatever order, it keeps what it owes.

use attache_testkit::schedule;

use crate::schedule::keeps_every_promise;

/// Takes `data` as the decisions of a schedule.
pub fn check(data: &[u8]) {
    keeps_every_promise(schedule::viewer, data);
}
