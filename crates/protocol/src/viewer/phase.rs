//! Where the connection is. Each phase owns what only it needs.

use alloc::collections::VecDeque;

use bytestring::ByteString;

use crate::{
    attention::Attention,
    io::{SocketId, Token, TokenRequestId},
    policy::CloseCause,
    time::Timestamp,
};

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Not asked to connect yet.
    Idle,
    /// The token source has been asked.
    FetchingToken { id: TokenRequestId },
    /// The upgrade has been asked for.
    Opening { socket: SocketId, token: Token },
    /// The socket is open.
    Up(Link),
    /// The retry timer runs.
    Waiting { since: Timestamp },
    /// The peer ended the session while a catch-up was on: what it has stored is still loaded.
    Ending { cause: CloseCause, token: Token },
    /// Told to close; the peer may agree, a post may be answered.
    Closing { socket: Option<SocketId> },
    /// Over.
    Closed,
}

/// An open socket.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) socket: SocketId,
    /// The token HTTP calls are made with.
    pub(super) token: Token,
    /// The question for another token, while it is open.
    pub(super) refresh: Option<TokenRequestId>,
    pub(super) attention: Attention,
    pub(super) subscription: Subscription,
}

/// Whether the server is known to send us everything from now on. The upgrade alone does not say so: a
/// server may subscribe us a moment later, and what it stores in between is in no page asked for before.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    /// It will be when the pong to this ping returns.
    AwaitsPong(u64),
    /// It is, as far as one can know.
    Made,
}

/// Messages whose frames have not all been looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbox(VecDeque<ByteString>);

impl Inbox {
    pub(super) fn push(&mut self, message: ByteString) {
        self.0.push_back(message);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The text of the next frame.
    pub(super) fn next_frame(&mut self) -> Option<ByteString> {
        while let Some(message) = self.0.front_mut() {
            let (line, rest) = match message.split_once('\n') {
                Some((line, rest)) => (line.trim(), Some(message.slice_ref(rest))),
                None => (message.trim(), None),
            };
            let line = message.slice_ref(line);
            match rest {
                Some(rest) if !rest.is_empty() => *message = rest,
                Some(_) | None => {
                    self.0.pop_front();
                }
            }
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::frame::split;

    #[test]
    fn an_inbox_yields_what_splitting_yields() {
        for text in ["", "\n", "a", "a\n", "\r\n a \n\nb\r\nc", "a\n\n"] {
            let message = ByteString::from(text);
            let mut inbox = Inbox::default();
            inbox.push(message.clone());
            let frames: Vec<ByteString> = core::iter::from_fn(|| inbox.next_frame()).collect();
            assert_eq!(frames, split(&message).collect::<Vec<_>>(), "{text:?}");
            assert!(inbox.is_empty());
        }
    }
}
