//! Who somebody is, as far as the relay knows.

use std::{sync::Arc, time::SystemTime};

use attache_protocol::SessionId;

use super::{Role, TokenEntry};
use crate::store::{Share, ShareId, TokenHash};

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
    pub(crate) credential: Credential,
}

/// Which credential it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Credential {
    /// None in particular.
    Any,
    /// One that can't be taken back while the relay runs.
    Fixed(TokenHash),
    /// One of a token file.
    Listed(TokenHash),
    /// A share's.
    Shared(ShareId, TokenHash),
    /// The one of a session's worker.
    Worker(SessionId),
}

impl Identity {
    /// Somebody without a name who may do everything everywhere.
    pub const fn owner() -> Self {
        Self {
            name: None,
            role: Role::Own,
            session: None,
            expires_at: None,
            credential: Credential::Any,
        }
    }

    pub(super) fn fixed(token: TokenHash) -> Self {
        Self {
            credential: Credential::Fixed(token),
            ..Self::owner()
        }
    }

    pub(super) fn listed(entry: &TokenEntry) -> Self {
        Self {
            name: Some(entry.name.as_str().into()),
            role: entry.role,
            session: None,
            expires_at: entry.expires_at,
            credential: Credential::Listed(entry.hash),
        }
    }

    pub(super) fn shared(share: Share) -> Self {
        Self {
            name: Some(share.name.into()),
            role: share.role,
            session: Some(share.session),
            expires_at: Some(share.expires_at),
            credential: Credential::Shared(share.id, share.token),
        }
    }

    /// Whether they may do anything in `session`.
    pub fn covers(&self, session: &SessionId) -> bool {
        self.session.as_ref().is_none_or(|only| only == session)
    }

    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}
