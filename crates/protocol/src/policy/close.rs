//! What an ending means: one total table from outcome to verdict.

use core::{fmt, time::Duration};

use crate::io::NetworkFailure;

/// How an attempt to connect, or a connection, ended. The same outcome means the same while
/// connecting and while live.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer sent a close frame.
    CloseFrame {
        /// Its code, 0 to 65535; 1005 when it had none.
        code: u16,
        /// Whether it said that the session itself is over.
        session: SessionEnd,
    },
    /// The server answered the upgrade with another status than 101.
    Http {
        /// The status code.
        status: u16,
        /// `Retry-After`, as a delay from then.
        retry_after: Option<Duration>,
    },
    /// Something underneath failed.
    Network(NetworkFailure),
    /// The upgrade was not answered in time.
    ConnectDeadline,
    /// No sign of life for too long.
    Silence,
    /// The token source gave no token this time.
    TokenUnavailable,
    /// The token source will give no token any more.
    SignedOut,
    /// The application or the watchdog asked for a new connection.
    Forced,
}

/// Whether a close frame said that the session is over (its reason is `session ended`).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// It did.
    Ended,
    /// It did not.
    NotSaid,
}

/// What to do about an outcome.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again, counted against this class's budget.
    Retry(RetryClass),
    /// Try again; the peer announced it will be back, so everybody else is about to try as well.
    Restart {
        /// How long the peer asked for.
        retry_after: Option<Duration>,
    },
    /// This credential is no good: at most one try with a different one.
    NewToken,
    /// At once and for free: somebody asked for it.
    Free,
    /// Stop for good.
    Stop(CloseCause),
}

/// Which budget a retry is counted against.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// Ordinary drops and failures.
    Drop,
    /// The session was not found; it may be about to come back.
    NotFound,
    /// Something was too large for the peer, or for us.
    TooLarge,
    /// The peer finished or refused politely without saying why.
    Finished,
}

/// Why a session is closed for good.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// We were told to close.
    Requested,
    /// The server does not accept our credential, and there is no other.
    Unauthorized,
    /// The token source says the person is signed out.
    SignedOut,
    /// The server does not know the session.
    SessionNotFound,
    /// The session is over.
    SessionEnded,
    /// Messages are larger than the peers allow.
    TooLarge,
    /// The peer says the protocol was broken, with this close code.
    ProtocolError {
        /// The close code.
        code: u16,
    },
    /// The server refuses the upgrade with this status.
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// The retry budget is used up; this was the last failure.
    Exhausted {
        /// What went wrong last.
        last: Outcome,
    },
}

/// What `outcome` means. Total: every value of every outcome has a verdict.
pub fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::CloseFrame { code, session } => match (code, session) {
            (1000, SessionEnd::Ended) => Verdict::Stop(CloseCause::SessionEnded),
            (1000 | 1008, _) => Verdict::Retry(RetryClass::Finished),
            (1002 | 1003 | 1007 | 1010, _) => Verdict::Stop(CloseCause::ProtocolError { code }),
            (1009, _) => Verdict::Retry(RetryClass::TooLarge),
            (1001 | 1012 | 1013, _) => Verdict::Restart { retry_after: None },
            (4001, _) => Verdict::Retry(RetryClass::NotFound),
            (4003, _) => Verdict::NewToken,
            _ => Verdict::Retry(RetryClass::Drop),
        },
        Outcome::Http {
            status,
            retry_after,
        } => match status {
            401 | 403 => Verdict::NewToken,
            404 => Verdict::Retry(RetryClass::NotFound),
            429 | 503 => Verdict::Restart { retry_after },
            400..=499 => Verdict::Stop(CloseCause::Rejected { status }),
            _ => Verdict::Retry(RetryClass::Drop),
        },
        Outcome::Network(failure) => match failure {
            NetworkFailure::TooLarge => Verdict::Retry(RetryClass::TooLarge),
            NetworkFailure::Refused
            | NetworkFailure::Reset
            | NetworkFailure::Ended
            | NetworkFailure::Dns
            | NetworkFailure::Tls
            | NetworkFailure::TimedOut
            | NetworkFailure::Protocol
            | NetworkFailure::Other => Verdict::Retry(RetryClass::Drop),
        },
        Outcome::ConnectDeadline | Outcome::Silence | Outcome::TokenUnavailable => {
            Verdict::Retry(RetryClass::Drop)
        }
        Outcome::SignedOut => Verdict::Stop(CloseCause::SignedOut),
        Outcome::Forced => Verdict::Free,
    }
}

/// One row of the published table.
#[derive(Copy, Clone, Debug)]
pub struct TableRow {
    /// The outcomes, for people.
    pub outcome: &'static str,
    /// What happens, for people.
    pub verdict: &'static str,
}

/// The table of [`verdict`] as it stands in the documentation; a test holds it against the code.
pub const TABLE: &[TableRow] = &[
    row(
        "close 4003, HTTP 401 or 403",
        "one try with a different token, else closed: unauthorized",
    ),
    row(
        "close 4001, HTTP 404",
        "at most 3 retries after 2 s, 4 s, 6 s, then closed: session not found",
    ),
    row(
        "close 1000 with reason `session ended`",
        "closed: session ended",
    ),
    row("close 1002, 1003, 1007, 1010", "closed: protocol error"),
    row("HTTP 4xx other than 401, 403, 404, 429", "closed: rejected"),
    row("token source says signed out", "closed: signed out"),
    row(
        "close 1009, a message over our own limit",
        "1 retry, then closed: too large",
    ),
    row(
        "close 1000 otherwise, 1008",
        "at most 3 retries, then closed: exhausted",
    ),
    row(
        "close 1001, 1012, 1013, HTTP 429 or 503",
        "retry; the first delay is spread over a wide window and honours `Retry-After`",
    ),
    row(
        "anything else: other close codes, other HTTP statuses, refused, reset, ended, DNS, TLS, timeouts, silence, no token this time",
        "retry within the budget",
    ),
];

const fn row(outcome: &'static str, verdict: &'static str) -> TableRow {
    TableRow { outcome, verdict }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloseFrame { code, .. } => write!(f, "closed by the server with code {code}"),
            Self::Http { status, .. } => write!(f, "the server answered {status}"),
            Self::Network(failure) => write!(f, "{failure}"),
            Self::ConnectDeadline => f.write_str("the server did not answer in time"),
            Self::Silence => f.write_str("no sign of life from the server"),
            Self::TokenUnavailable => f.write_str("no token to be had"),
            Self::SignedOut => f.write_str("signed out"),
            Self::Forced => f.write_str("reconnect asked for"),
        }
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("closed as asked"),
            Self::Unauthorized => f.write_str("the server does not accept the token"),
            Self::SignedOut => f.write_str("signed out"),
            Self::SessionNotFound => f.write_str("the server does not know this session"),
            Self::SessionEnded => f.write_str("the session has ended"),
            Self::TooLarge => f.write_str("messages are larger than allowed"),
            Self::ProtocolError { code } => {
                write!(f, "the server ended the session with protocol error {code}")
            }
            Self::Rejected { status } => write!(f, "the server refused with status {status}"),
            Self::Exhausted { last } => write!(f, "gave up after too many failures: {last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: u16) -> Verdict {
        verdict(Outcome::CloseFrame {
            code,
            session: SessionEnd::NotSaid,
        })
    }

    fn status(status: u16) -> Verdict {
        verdict(Outcome::Http {
            status,
            retry_after: None,
        })
    }

    #[test]
    fn every_close_code_has_the_published_verdict() {
        for number in 0..=u16::MAX {
            let expected = match number {
                4003 => Verdict::NewToken,
                4001 => Verdict::Retry(RetryClass::NotFound),
                1002 | 1003 | 1007 | 1010 => {
                    Verdict::Stop(CloseCause::ProtocolError { code: number })
                }
                1009 => Verdict::Retry(RetryClass::TooLarge),
                1000 | 1008 => Verdict::Retry(RetryClass::Finished),
                1001 | 1012 | 1013 => Verdict::Restart { retry_after: None },
                _ => Verdict::Retry(RetryClass::Drop),
            };
            assert_eq!(code(number), expected, "{number}");
        }
        let ended = Outcome::CloseFrame {
            code: 1000,
            session: SessionEnd::Ended,
        };
        assert_eq!(verdict(ended), Verdict::Stop(CloseCause::SessionEnded));
    }

    #[test]
    fn every_status_has_the_published_verdict() {
        for number in 0..=u16::MAX {
            let expected = match number {
                401 | 403 => Verdict::NewToken,
                404 => Verdict::Retry(RetryClass::NotFound),
                429 | 503 => Verdict::Restart { retry_after: None },
                400..=499 => Verdict::Stop(CloseCause::Rejected { status: number }),
                _ => Verdict::Retry(RetryClass::Drop),
            };
            assert_eq!(status(number), expected, "{number}");
        }
    }
}
