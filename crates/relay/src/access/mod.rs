//! Who comes in, and what they may do.
//!
#![doc = include_str!("../../ACCESS.md")]

mod endpoint;
mod entry;
mod file;
mod gate;
mod identity;
mod limits;
mod registry;
mod role;
mod secret;

pub use endpoint::{Access, Endpoint};
pub use entry::{BadLine, TokenEntry};
pub use file::{TokenFile, TokenFileError};
pub(crate) use gate::{Gate, Unidentified, expiry};
pub(crate) use identity::Credential;
pub use identity::Identity;
pub(crate) use limits::{Limiter, Limits};
pub use registry::TokenRegistry;
pub use role::{Role, UnknownRole};
pub use secret::NoRandomness;
pub(crate) use secret::new_share_token;
