//! Who somebody is, as far as the relay knows.

use std::{sync::Arc, time::SystemTime};

use attache_protocol::SessionId;

use super::Role;

/// Whoever stands behind a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The token's name, which answers are signed with; nobody's in particular without one.
    pub name: Option<Arc<str>>,
    /// What they may do.
    pub role: Role,
    /// The one session they may do it in; `None` is any.
    pub session: Option<SessionId>,
    /// When the credential runs out.
    pub expires_at: Option<SystemTime>,
}

impl Identity {
    /// Somebody without a name who may do everything everywhere.
    pub const fn owner() -> Self {
        Self {
            name: None,
            role: Role::Own,
            session: None,
            expires_at: None,
        }
    }
}
