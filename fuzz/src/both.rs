//! A viewer and a worker of one session: whatever happens to either, both keep what they owe.

use attache_testkit::schedule;

use crate::schedule::keeps_every_promise;

/// Takes `data` as the decisions of a schedule.
pub fn check(data: &[u8]) {
    keeps_every_promise(schedule::both, data);
}
