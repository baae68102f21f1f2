//! What the relay serves, and to whom.

use super::Role;

/// One request that the relay takes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its method.
    pub method: &'static str,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
}

/// Who may make a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Anybody, without a token.
    Anybody,
    /// People with this role for the whole relay. Tokens for one session are refused.
    Relay(Role),
    /// People with this role, who get to see what their token is for.
    Lists(Role),
    /// People with this role in the session that the path names.
    Session(Role),
    /// The same, but it is a socket, and refused with a close code.
    Socket(Role),
    /// The worker of the session that the path names.
    Worker,
    /// People with this role in the session that the path names, and its worker.
    SessionOrWorker(Role),
}

impl Access {
    /// The least role that a person needs, and `None` when it is no matter of roles.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Anybody | Self::Worker => None,
            Self::Relay(role)
            | Self::Lists(role)
            | Self::Session(role)
            | Self::Socket(role)
            | Self::SessionOrWorker(role) => Some(role),
        }
    }
}
