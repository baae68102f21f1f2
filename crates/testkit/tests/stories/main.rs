//! Every story is told over each transport: what happens to an application must not depend on it.

#![allow(
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]
#![expect(
    clippy::duplicate_mod,
    reason = "every story is told over each transport"
)]

mod sse;
mod websocket;
