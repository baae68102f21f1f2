//! Every public future, dropped at each of its polls: nothing is lost, repeated or left.

#![allow(
    clippy::unwrap_used,
    reason = "a step that does not go as told fails here, and that is what it is for"
)]

mod calls;
mod polls;
mod viewer;
mod worker;
