//! Why it is over for one viewer.

/// Why the relay closes a viewer's socket or ends its stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    SessionEnded,
    SessionNotFound,
    Unauthorized,
    /// The credential has expired, or was taken back.
    CredentialOver,
    TooLarge,
    Restarting,
    TooSlow,
    Failed,
}

impl Ending {
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::SessionEnded => 1000,
            Self::TooLarge => 1009,
            Self::Failed => 1011,
            Self::Restarting => 1012,
            Self::TooSlow => 1013,
            Self::SessionNotFound => 4001,
            Self::Unauthorized | Self::CredentialOver => 4003,
        }
    }

    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::SessionEnded => "session ended",
            Self::Failed => "the relay failed; try again",
            Self::TooLarge => "message too large",
            Self::Restarting => "the relay restarts",
            Self::TooSlow => "too slow; reconnect and backfill",
            Self::SessionNotFound => "session not found",
            Self::Unauthorized => "unauthorized",
            Self::CredentialOver => "the token has expired or was revoked",
        }
    }

    /// The ending as a word, for counting.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::SessionEnded => "session_ended",
            Self::SessionNotFound => "session_not_found",
            Self::Unauthorized => "unauthorized",
            Self::CredentialOver => "credential_over",
            Self::TooLarge => "too_large",
            Self::Restarting => "restarting",
            Self::TooSlow => "too_slow",
            Self::Failed => "failed",
        }
    }
}
