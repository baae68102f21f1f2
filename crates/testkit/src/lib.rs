//! A virtual-time [`World`] for testing the viewer: a scripted [`Server`], a link that fails on demand,
//! a [`TokenSource`], and a clock that jumps from one deadline to the next.
//!
//! Nothing here waits and nothing is left to chance, so a story of half an hour takes milliseconds and
//! always goes the same way. While a story runs, every step is held against the promises of the
//! machine; a broken one fails the test where it happens, with the last steps on display. Which promises those are, and
//! where each is held, is a table at [`schedule`].
//!
//! ```
//! use attache_testkit::{World, config, secs};
//!
//! let mut world = World::new(config());
//! world.connect();
//! world.run_until_live();
//! world.server().say("assistant", "u1");
//! world.run_for(secs(1));
//! world.cut();
//! world.server().say("assistant", "u2");
//! world.run_for(secs(30));
//! assert_eq!(world.messages(), ["u1", "u2"]);
//! ```
//!
//! [`conformance`] is for adapters, on real sockets. With the feature `examples` there is a module of that
//! name as well, which holds the examples of an adapter against the relay.

mod agenda;
mod checks;
pub mod conformance;
#[cfg(feature = "examples")]
pub mod examples;
mod http;
mod record;
pub mod schedule;
mod server;
mod token;
mod transcript;
mod world;

use std::time::Duration;

use attache_protocol::{
    OrganizationId, SessionId,
    viewer::{Transport, ViewerConfig},
};

pub use record::{Call, Drain, Replay};
pub use server::{HttpPlan, Received, Server, Upgrade};
pub use token::{SECRET, TokenPlan, TokenSource};
pub use world::{Reading, World};

/// The configuration that stories start from: the defaults, for a session and an organization.
///
/// # Panics
/// Never: the ids are valid.
pub fn config() -> ViewerConfig {
    let session = SessionId::parse("session_story").expect("plain characters");
    let organization = OrganizationId::parse("org-1").expect("plain characters");
    let mut config = ViewerConfig::new(session);
    config.organization = Some(organization);
    config
}

/// The same over another transport.
pub fn config_over(transport: Transport) -> ViewerConfig {
    let mut config = config();
    config.transport = transport;
    config
}

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
