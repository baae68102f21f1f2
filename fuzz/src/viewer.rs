//! A viewer against a server of the schedules' own: whatever happens in whatever order, it keeps what it owes.

use attache_testkit::schedule::{self, Bytes, Span};

/// Takes `data` as the decisions of a schedule.
pub fn check(data: &[u8]) {
    if let Err(breach) = schedule::viewer(&mut Bytes::new(data), &Span::default()) {
        panic!("{breach}");
    }
}
