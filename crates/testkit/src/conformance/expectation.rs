//! What an adapter must make of a fault.

use std::time::Duration;

use attache_protocol::{
    io::NetworkFailure,
    policy::{Outcome, SessionEnd},
};

use super::{
    fault::{Fault, LinkKind},
    trial::Side,
};

/// What must be told about a fault that struck a link; `None` where nothing need be told.
pub(super) fn of(fault: Fault, side: Side) -> Option<Outcome> {
    match side {
        Side::ViewerOverSocket | Side::ViewerOverStream => match fault.status() {
            // A refused credential is replaced without a word.
            Some(401 | 403) => None,
            Some(_) | None => of_link(fault, side.link()),
        },
        // What happens before a worker runs is its start; after that, its stream is told about. Garbage
        // below TLS may spoil what came before it, and so the start.
        Side::Worker => match fault {
            Fault::Nameless
            | Fault::Refused
            | Fault::NoAnswer
            | Fault::GarbageBelowTls
            | Fault::TunnelRefused { .. }
            | Fault::Status { .. } => None,
            Fault::ServerGone | Fault::FrozenDown => {
                Some(Outcome::Network(NetworkFailure::TimedOut))
            }
            Fault::Reset
            | Fault::FinMidFrame
            | Fault::Fin
            | Fault::ClientGone
            | Fault::FrozenUp
            | Fault::SlowHandshake
            | Fault::Slices
            | Fault::Latency
            | Fault::Garbage
            | Fault::WrongAcceptKey
            | Fault::OpenThenClose
            | Fault::CloseThenSilence
            | Fault::TunnelDied
            | Fault::Stopped => of_link(fault, side.link()),
        },
    }
}

/// Whether it is the deadline that is told about. On a machine that stands still, nothing comes in time
/// whatever the fault was, and a link that is given up for that never shows its fault.
pub(super) fn is_of_silence(cause: Outcome) -> bool {
    match cause {
        Outcome::Silence
        | Outcome::ConnectDeadline
        | Outcome::Network(NetworkFailure::TimedOut) => true,
        Outcome::CloseFrame { .. }
        | Outcome::Http { .. }
        | Outcome::Network(_)
        | Outcome::TokenUnavailable
        | Outcome::SignedOut
        | Outcome::Forced => false,
    }
}

fn of_link(fault: Fault, link: LinkKind) -> Option<Outcome> {
    let network = |failure| Some(Outcome::Network(failure));
    match (fault, link) {
        (Fault::Nameless, _) => network(NetworkFailure::Dns),
        (Fault::Refused, _) => network(NetworkFailure::Refused),
        (Fault::Reset | Fault::TunnelDied, _) => network(NetworkFailure::Reset),
        (Fault::FinMidFrame | Fault::Fin | Fault::ClientGone, _)
        | (Fault::OpenThenClose | Fault::CloseThenSilence, LinkKind::Stream) => {
            network(NetworkFailure::Ended)
        }
        (Fault::Garbage | Fault::WrongAcceptKey, _) => network(NetworkFailure::Protocol),
        (Fault::GarbageBelowTls, _) => network(NetworkFailure::Tls),
        (Fault::TunnelRefused { .. }, _) => network(NetworkFailure::Other),
        (Fault::ServerGone | Fault::FrozenDown, _) | (Fault::FrozenUp, LinkKind::Socket) => {
            Some(Outcome::Silence)
        }
        (Fault::CloseThenSilence, LinkKind::Socket) => Some(Outcome::CloseFrame {
            code: 1001,
            session: SessionEnd::NotSaid,
        }),
        (
            Fault::Status {
                status,
                retry_after,
            },
            _,
        ) => Some(Outcome::Http {
            status,
            retry_after: retry_after.then_some(Duration::from_secs(1)),
        }),
        (Fault::NoAnswer, _) => Some(Outcome::ConnectDeadline),
        // Nothing is wrong, it only takes longer; or the close code is left to chance.
        (Fault::SlowHandshake | Fault::Slices | Fault::Latency | Fault::Stopped, _)
        | (Fault::FrozenUp, LinkKind::Stream)
        | (Fault::OpenThenClose, LinkKind::Socket) => None,
    }
}
