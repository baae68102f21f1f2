//! What a person says to a prompt.

use alloc::string::String;
use core::fmt;

use super::RawJson;

/// What a person says to a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go ahead.
    Allow(Allow),
    /// Don't.
    Deny(Deny),
}

impl Decision {
    /// Go ahead with exactly what was asked.
    pub fn allow() -> Self {
        Self::Allow(Allow::default())
    }

    /// Don't, and tell the agent why.
    pub fn deny(message: impl Into<String>) -> Self {
        Self::Deny(Deny {
            message: message.into(),
            then: AfterDeny::GoOn,
        })
    }
}

/// An approval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// Input the person changed; `None` hands back what was asked for.
    pub updated_input: Option<RawJson>,
    /// Rules to apply from now on ("allow always"): a JSON array.
    pub updated_permissions: Option<RawJson>,
    /// Whether this holds for a prompt that may no longer be asked.
    pub standing: Standing,
}

/// What an approval needs of its prompt.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// The prompt must be known to be still open.
    #[default]
    VerifiedOnly,
    /// Approve even though a drop left it unclear whether the prompt is still asked.
    EvenIfUnverified,
}

/// A refusal. `Debug` does not show what the agent is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Deny {
    /// What the agent is told.
    pub message: String,
    /// Whether the agent may try something else.
    pub then: AfterDeny,
}

impl fmt::Debug for Deny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deny")
            .field("bytes", &self.message.len())
            .field("then", &self.then)
            .finish()
    }
}

/// What a denied agent does next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum AfterDeny {
    /// It goes on with its turn.
    GoOn,
    /// It stops.
    Interrupt,
}
