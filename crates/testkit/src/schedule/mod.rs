//! Schedules: random stories of ten virtual minutes, decided by any source of choices, in which every step is held against what
//! the machines owe.
//!
#![doc = include_str!("invariants.md")]

mod both;
mod choices;
mod shrink;
mod viewer;
mod worker;

use std::{fmt, time::Duration};

use attache_protocol::time::Timestamp;

pub use both::both;
pub use choices::{Bytes, Choices, Record, Recorded, Recorder, Seeded};
pub use shrink::shrunk;
pub use viewer::viewer;
pub use worker::worker;

/// How long a schedule goes on at most, before everything is mended and it ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// How much time passes in it.
    pub virtual_time: Duration,
    /// How many steps are decided.
    pub steps: u32,
}

impl Default for Span {
    /// Ten minutes, in at most 400 steps.
    fn default() -> Self {
        Self {
            virtual_time: Duration::from_secs(600),
            steps: 400,
        }
    }
}

/// What happened in a schedule that went well.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Steps decided.
    pub steps: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages sent by the application, or uploaded by a worker.
    pub sent: u64,
    /// Prompts asked.
    pub prompts: u64,
    /// The longest time from the last fault until everything was well again.
    pub worst_recovery: Duration,
}

impl Tally {
    /// Counts another schedule in.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.faults += other.faults;
        self.connections += other.connections;
        self.delivered += other.delivered;
        self.sent += other.sent;
        self.prompts += other.prompts;
        self.worst_recovery = self.worst_recovery.max(other.worst_recovery);
    }
}

/// What a machine owed and did not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which promise was broken, and how.
    pub what: String,
    /// When.
    pub at: Timestamp,
    /// What went before, a line for each step.
    pub transcript: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.since_origin();
        write!(f, "{}, at {at:?}\n{}", self.what, self.transcript)
    }
}

impl std::error::Error for Breach {}
