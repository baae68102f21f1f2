//! What the core costs by itself.
//!
//! It is a package of its own because an optimised build of it takes seconds, which the gate that counts
//! instructions needs.

pub mod classification;
pub mod side_by_side;
