//! A viewer and a worker of one session: whatever happens to either, both keep what they owe.

use attache_testkit::schedule::{self, Bytes, Span};

/// Takes `data` as the decisions of a schedule.
pub fn check(data: &[u8]) {
    if let Err(breach) = schedule::both(&mut Bytes::new(data), &Span::default()) {
        panic!("{breach}");
    }
}
