//! What the measurements share: the messages they are made with, and what is measured against what.
//!
//! A comparison stands in a module of its own here, so that the clock, the counter of allocations and the
//! counter of instructions all see the same work.

pub use attache_benches_core::{classification, side_by_side};

pub mod process;
pub mod step;
pub mod table;
