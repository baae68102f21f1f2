//! What can go wrong between an adapter and its server.

use std::fmt;

/// What a link is made of, as far as faults can tell.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A WebSocket.
    Socket,
    /// A stream of server-sent events.
    Stream,
}

/// What a client connects through.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// Nothing: plain HTTP.
    Plain,
    /// TLS. Faults strike below it, those that are about HTTP within it.
    Tls,
    /// A proxy that a person has set, with `CONNECT`, and plain HTTP within.
    Tunnel,
}

impl Way {
    /// All but the plain one.
    pub const BESIDES_PLAIN: [Self; 2] = [Self::Tls, Self::Tunnel];
}

/// One thing that goes wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The server's name does not resolve for a while.
    Nameless,
    /// Nobody listens for a while.
    Refused,
    /// The connection is reset.
    Reset,
    /// The connection ends in the middle of a frame.
    FinMidFrame,
    /// The connection ends between frames, without a close frame.
    Fin,
    /// The server is gone, and the client is not told.
    ServerGone,
    /// The client's connection ends, and the server is not told.
    ClientGone,
    /// Nothing more is carried from the server to the client.
    FrozenDown,
    /// Nothing more is carried from the client to the server.
    FrozenUp,
    /// The connection is accepted, and the request never answered.
    NoAnswer,
    /// The answer's head comes in pieces, with pauses.
    SlowHandshake,
    /// Every byte comes alone.
    Slices,
    /// Everything comes late.
    Latency,
    /// Bytes come that make no sense.
    Garbage,
    /// The upgrade is confirmed with the wrong key. Sockets only.
    WrongAcceptKey,
    /// The link opens and is closed at once in good order.
    OpenThenClose,
    /// The link is closed in good order, but the connection stays.
    CloseThenSilence,
    /// The server answers with a status.
    Status {
        /// The status.
        status: u16,
        /// Whether it says when to try again.
        retry_after: bool,
    },
    /// The server is stopped for a while: it accepts, reads and answers nothing, then goes on.
    Stopped,
    /// Bytes come below TLS that are no record of it.
    GarbageBelowTls,
    /// The proxy on the way refuses tunnels for a while.
    TunnelRefused {
        /// With this status.
        status: u16,
    },
    /// The proxy on the way resets a tunnel, and is gone for a while.
    TunnelDied,
}

impl Fault {
    /// Every fault there is on any way.
    pub const ALL: [Self; 30] = {
        const fn status(status: u16) -> Fault {
            Fault::Status {
                status,
                retry_after: false,
            }
        }
        const fn later(status: u16) -> Fault {
            Fault::Status {
                status,
                retry_after: true,
            }
        }
        [
            Self::Nameless,
            Self::Refused,
            Self::Reset,
            Self::FinMidFrame,
            Self::Fin,
            Self::ServerGone,
            Self::ClientGone,
            Self::FrozenDown,
            Self::FrozenUp,
            Self::NoAnswer,
            Self::SlowHandshake,
            Self::Slices,
            Self::Latency,
            Self::Garbage,
            Self::WrongAcceptKey,
            Self::OpenThenClose,
            Self::CloseThenSilence,
            status(301),
            later(301),
            status(401),
            later(401),
            status(403),
            later(403),
            status(404),
            later(404),
            status(429),
            later(429),
            status(503),
            later(503),
            Self::Stopped,
        ]
    };

    /// What goes wrong with TLS only.
    pub const OF_TLS: [Self; 1] = [Self::GarbageBelowTls];

    /// What goes wrong with tunnels only.
    pub const OF_TUNNELS: [Self; 3] = [
        Self::TunnelRefused { status: 407 },
        Self::TunnelRefused { status: 502 },
        Self::TunnelDied,
    ];

    /// Whether there is such a fault on a link of this kind.
    pub fn strikes(self, kind: LinkKind) -> bool {
        self != Self::WrongAcceptKey || kind == LinkKind::Socket
    }

    /// Whether the connection that it struck can live on.
    pub(super) fn is_survivable(self) -> bool {
        match self {
            Self::FrozenUp | Self::SlowHandshake | Self::Slices | Self::Latency | Self::Stopped => {
                true
            }
            Self::Nameless
            | Self::Refused
            | Self::Reset
            | Self::FinMidFrame
            | Self::Fin
            | Self::ServerGone
            | Self::ClientGone
            | Self::FrozenDown
            | Self::NoAnswer
            | Self::Garbage
            | Self::WrongAcceptKey
            | Self::OpenThenClose
            | Self::CloseThenSilence
            | Self::GarbageBelowTls
            | Self::TunnelRefused { .. }
            | Self::TunnelDied
            | Self::Status { .. } => false,
        }
    }

    /// Whether it keeps everybody from connecting, before anybody can tell what for.
    pub(super) fn is_outage(self) -> bool {
        matches!(self, Self::Nameless | Self::TunnelRefused { .. })
    }

    /// The status it answers with.
    pub(super) fn status(self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status),
            Self::Nameless
            | Self::Refused
            | Self::Reset
            | Self::FinMidFrame
            | Self::Fin
            | Self::ServerGone
            | Self::ClientGone
            | Self::FrozenDown
            | Self::FrozenUp
            | Self::NoAnswer
            | Self::SlowHandshake
            | Self::Slices
            | Self::Latency
            | Self::Garbage
            | Self::WrongAcceptKey
            | Self::OpenThenClose
            | Self::CloseThenSilence
            | Self::GarbageBelowTls
            | Self::TunnelRefused { .. }
            | Self::TunnelDied
            | Self::Stopped => None,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Tls => "over TLS",
            Self::Tunnel => "through a proxy",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nameless => "name not resolved for a while",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::FinMidFrame => "end in mid-frame",
            Self::Fin => "end without close",
            Self::ServerGone => "half-open: server gone",
            Self::ClientGone => "half-open: client gone",
            Self::FrozenDown => "frozen downwards",
            Self::FrozenUp => "frozen upwards",
            Self::NoAnswer => "accepted, no answer",
            Self::SlowHandshake => "slow handshake",
            Self::Slices => "byte by byte",
            Self::Latency => "latency",
            Self::Garbage => "garbage",
            Self::WrongAcceptKey => "wrong accept key",
            Self::OpenThenClose => "open, then close",
            Self::CloseThenSilence => "close, then silence",
            Self::Stopped => "server stopped",
            Self::GarbageBelowTls => "garbage below TLS",
            Self::TunnelRefused { status } => return write!(f, "tunnel refused with {status}"),
            Self::TunnelDied => "tunnel reset, proxy gone",
            Self::Status {
                status,
                retry_after: false,
            } => return write!(f, "HTTP {status}"),
            Self::Status {
                status,
                retry_after: true,
            } => return write!(f, "HTTP {status} with Retry-After"),
        })
    }
}
