//! Who may do what, how much of it, and what the relay tells of itself.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod endings;
mod frames;
mod limits;
mod numbers;
mod people;
mod requests;
mod shares;
mod stopping;
mod table;
#[path = "../behaviour/workers.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod workers;
#[path = "../behaviour/world.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod world;
