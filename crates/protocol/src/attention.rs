//! Silence of a peer that nobody listened to is no sign of death.

/// Whether silence can be held against the peer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attention {
    /// We have been reading all along.
    Undivided,
    /// At some time since the last sign of life nothing was read.
    Elsewhere,
}
