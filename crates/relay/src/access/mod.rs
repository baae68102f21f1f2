//! Who comes in, and what they may do.

mod identity;
mod role;

pub use identity::Identity;
pub use role::{Role, UnknownRole};
