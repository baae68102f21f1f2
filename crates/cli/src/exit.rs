//! How the program ends: one exit code and at most one line on stderr.

use std::{fmt, io, process::ExitCode};

use attache_protocol::policy::CloseCause;

/// The exit codes that scripts can rely on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failure,
    Usage,
    Unauthorized,
    SessionNotFound,
    AgentError,
    TimedOut,
    ConnectionLost,
    Superseded,
    Interrupted,
}

impl Exit {
    /// The code, for the shell.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unauthorized => 3,
            Self::SessionNotFound => 4,
            Self::AgentError => 5,
            Self::TimedOut => 6,
            Self::ConnectionLost => 7,
            Self::Superseded => 8,
            Self::Interrupted => 130,
        }
    }
}

/// The table of exit codes as `--help` shows it.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failure, 2 usage, 3 unauthorized, 4 session not found, \
5 agent ended in error, 6 timed out, 7 connection lost for good, 8 taken over by another bridge, 130 interrupted.";

/// Why a command did not succeed. `Display` is one line for people: what happened, to what, and what to
/// do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Tell the person, then end with this code.
    Told { exit: Exit, message: String },
    /// Nothing to say: the person already knows.
    Silent(Exit),
    /// Whoever read our output has gone. That is no failure of ours.
    OutputClosed,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Told {
            exit,
            message: message.into(),
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn timed_out(waited_for: impl fmt::Display) -> Self {
        Self::new(
            Exit::TimedOut,
            format!("timed out waiting for {waited_for}; try again or raise --timeout"),
        )
    }

    /// What the end of the connection means for a command that needed it.
    pub(crate) fn closed(session: &impl fmt::Display, cause: CloseCause) -> Self {
        let (exit, next) = closing(cause);
        Self::new(exit, format!("session {session}: {cause}; {next}"))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Told { exit, .. } | Self::Silent(exit) => ExitCode::from(exit.code()),
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told { message, .. } => f.write_str(message),
            Self::Silent(_) | Self::OutputClosed => Ok(()),
        }
    }
}

/// Trouble with writing to stdout.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::new(
            Exit::Failure,
            format!("writing the output failed: {error}; check where stdout goes"),
        )
    }
}

fn closing(cause: CloseCause) -> (Exit, &'static str) {
    const TOKEN: &str = "check ATTACHE_TOKEN or --token-file";
    match cause {
        CloseCause::Unauthorized | CloseCause::SignedOut => (Exit::Unauthorized, TOKEN),
        CloseCause::SessionNotFound => (
            Exit::SessionNotFound,
            "see the sessions there are with `attache ls`",
        ),
        CloseCause::Rejected { .. } => (Exit::ConnectionLost, "check --base-url and --org"),
        CloseCause::Exhausted { .. } => (
            Exit::ConnectionLost,
            "check the network and --base-url, then attach again",
        ),
        CloseCause::Requested | CloseCause::SessionEnded => {
            (Exit::ConnectionLost, "nothing more will come")
        }
        // Whatever else may end a session, it is over.
        _ => (Exit::ConnectionLost, "attach again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_cause_becomes_its_exit_code_and_one_line() {
        for (cause, code) in [
            (CloseCause::Unauthorized, 3),
            (CloseCause::SignedOut, 3),
            (CloseCause::SessionNotFound, 4),
            (CloseCause::TooLarge, 7),
            (CloseCause::Rejected { status: 418 }, 7),
        ] {
            let Failure::Told { exit, message } = Failure::closed(&"session_x", cause) else {
                panic!("a close cause is told");
            };
            assert_eq!(exit.code(), code, "{cause}");
            assert!(!message.contains('\n') && message.contains("session_x"));
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let gone = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(gone, Failure::OutputClosed);
        assert!(gone.to_string().is_empty());
    }
}
