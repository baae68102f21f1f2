//! What somebody can make the relay hold: not more than its options say, whatever comes and for however long.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bodies;
mod floods;
mod relay;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
