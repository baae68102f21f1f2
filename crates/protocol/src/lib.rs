//! The remote agent session protocol as pure state machines.

#![no_std]
#![deny(missing_docs)]

extern crate alloc;

pub mod frame;
mod ids;
pub mod io;
pub mod policy;
mod rng;
pub mod time;
pub mod viewer;

pub use bytes::Bytes;
pub use bytestring::ByteString;
pub use ids::{ID_LIMIT, InvalidId, OrganizationId, SessionId};
