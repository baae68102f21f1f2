//! Shares: tokens for one session, made by its owner.

use std::time::SystemTime;

use attache_protocol::SessionId;

use crate::Role;

/// A token that opens one session for a while. The token itself is known only to whom it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Names it, to take it back.
    pub id: ShareId,
    /// The session it opens.
    pub session: SessionId,
    /// What its holder may do.
    pub role: Role,
    /// What the holder's answers are signed with.
    pub name: String,
    /// The token's hash.
    pub token: TokenHash,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it stops opening anything.
    pub expires_at: SystemTime,
}

/// The name of a share; no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShareId(pub String);

/// The SHA-256 of a token. Tokens are 256 random bits, so it can't be turned back.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl core::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TokenHash(..)")
    }
}
