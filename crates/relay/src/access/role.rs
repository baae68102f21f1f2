//! What somebody may do.

use core::{fmt, str::FromStr};

/// What the holder of a token may do. Each role may do what the ones before it may.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Watch.
    View,
    /// Answer what the agent asks.
    Approve,
    /// Send messages, interrupt, change how the agent works.
    Drive,
    /// Start, rename, share and archive sessions, and run their agents.
    Own,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::View, Self::Approve, Self::Drive, Self::Own];

    /// The role in the spelling of token files, links and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Approve => "approve",
            Self::Drive => "drive",
            Self::Own => "own",
        }
    }

    /// What it lets its holder do beyond the roles before it, for people.
    pub const fn allows(self) -> &'static str {
        match self {
            Self::View => "watch",
            Self::Approve => "answer prompts",
            Self::Drive => "send and interrupt",
            Self::Own => "start, rename, share and archive sessions, and run their agents",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is view, approve, drive or own")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let named = |role: &Self| role.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_read_back() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }
}
