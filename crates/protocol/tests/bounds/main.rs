//! What a peer can make this side hold: not more than is stated, whatever it sends and for however long.
//!
//! Memory is counted, so the tests see what no list of queues would tell: ids that keep whole frames alive,
//! tables without a limit, copies of what is too large.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

mod floods;
mod frames;
mod streams;
mod viewer;
mod worker;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The most that was held at one time while this ran, in bytes, beyond what was held before.
fn most_held(run: impl FnOnce()) -> usize {
    let info = allocation_counter::measure(run);
    usize::try_from(info.bytes_max).unwrap()
}
