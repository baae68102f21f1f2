//! The ids that were given out, and which of them are over.

use attache_protocol::{
    Bytes,
    io::{
        Effect, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, SocketEnding,
        SocketId, StreamId, TokenRefusal, TokenRequestId,
    },
};

use crate::{schedule::Choices, token::token};

/// So many ids of a kind are remembered once they are over.
const REMEMBERED: usize = 8;

/// Ids by kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Issued {
    tokens: Ids<TokenRequestId>,
    sockets: Ids<SocketId>,
    streams: Ids<StreamId>,
    calls: Ids<HttpRequestId>,
}

#[derive(Clone, Debug)]
struct Ids<T> {
    live: Vec<T>,
    over: Vec<T>,
}

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Self {
            live: Vec::new(),
            over: Vec::new(),
        }
    }
}

impl<T: Copy + PartialEq> Ids<T> {
    fn end(&mut self, id: T) {
        let before = self.live.len();
        self.live.retain(|live| *live != id);
        if self.live.len() < before {
            if self.over.len() == REMEMBERED {
                self.over.remove(0);
            }
            self.over.push(id);
        }
    }

    fn pick(&self, choices: &mut dyn Choices) -> Option<T> {
        let count = u32::try_from(self.over.len()).ok()?;
        let place = choices.below(count.max(1));
        self.over.get(usize::try_from(place).ok()?).copied()
    }
}

impl Issued {
    pub(super) fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::FetchToken { id, .. } => {
                // A new question takes the place of an older one.
                for earlier in self.tokens.live.clone() {
                    self.tokens.end(earlier);
                }
                self.tokens.live.push(*id);
            }
            Effect::OpenSocket { id, .. } => self.sockets.live.push(*id),
            Effect::OpenStream { id, .. } => self.streams.live.push(*id),
            Effect::SendHttp { id, .. } => self.calls.live.push(*id),
            Effect::AbortSocket { id } => self.sockets.end(*id),
            Effect::CloseStream { id } => self.streams.end(*id),
            Effect::CancelHttp { id } => self.calls.end(*id),
            Effect::SendText { .. } | Effect::SendPing { .. } | Effect::CloseSocket { .. } => {}
        }
    }

    pub(super) fn input(&mut self, input: &Input) {
        match input {
            Input::TokenFetched { id, .. } | Input::TokenRefused { id, .. } => self.tokens.end(*id),
            Input::SocketRefused { id, .. } | Input::SocketClosed { id, .. } => {
                self.sockets.end(*id);
            }
            Input::StreamClosed { id, .. } => self.streams.end(*id),
            Input::HttpAnswered { id, .. } | Input::HttpFailed { id, .. } => self.calls.end(*id),
            Input::SocketOpened { .. }
            | Input::SocketBytes { .. }
            | Input::SocketText { .. }
            | Input::SocketBinary { .. }
            | Input::SocketPing { .. }
            | Input::SocketPong { .. }
            | Input::StreamOpened { .. }
            | Input::StreamBytes { .. }
            | Input::Woke => {}
        }
    }

    /// An input about something that is over.
    pub(super) fn stale(&self, choices: &mut dyn Choices) -> Option<Input> {
        const FRAME: &str = r#"{"type":"assistant","uuid":"stale"}"#;
        const EVENT: &str = "event: client_event\nid: 999999\ndata: {\"sequence_num\":999999,\
                             \"payload\":{\"type\":\"assistant\",\"uuid\":\"stale\"}}\n\n";
        let failure = NetworkFailure::Reset;
        Some(match choices.below(14) {
            0 => Input::TokenFetched {
                id: self.tokens.pick(choices)?,
                token: token("stale"),
            },
            1 => Input::TokenRefused {
                id: self.tokens.pick(choices)?,
                refusal: TokenRefusal::SignedOut,
            },
            2 => Input::SocketOpened {
                id: self.sockets.pick(choices)?,
            },
            3 => Input::SocketRefused {
                id: self.sockets.pick(choices)?,
                refusal: Refusal::Network(failure),
            },
            4 => Input::SocketText {
                id: self.sockets.pick(choices)?,
                text: FRAME.into(),
            },
            5 => Input::SocketBytes {
                id: self.sockets.pick(choices)?,
            },
            6 => Input::SocketPong {
                id: self.sockets.pick(choices)?,
                payload: Some(1),
            },
            7 => Input::SocketClosed {
                id: self.sockets.pick(choices)?,
                ending: SocketEnding::CloseFrame {
                    code: 4003,
                    reason: "".into(),
                },
            },
            8 => Input::SocketClosed {
                id: self.sockets.pick(choices)?,
                ending: SocketEnding::Lost(failure),
            },
            9 => Input::StreamOpened {
                id: self.streams.pick(choices)?,
            },
            10 => Input::StreamBytes {
                id: self.streams.pick(choices)?,
                bytes: Bytes::from_static(EVENT.as_bytes()),
            },
            11 => Input::StreamClosed {
                id: self.streams.pick(choices)?,
                ending: Refusal::Network(failure),
            },
            12 => Input::HttpAnswered {
                id: self.calls.pick(choices)?,
                response: HttpResponse {
                    status: match choices.below(4) {
                        0 => 200,
                        1 => 401,
                        2 => 410,
                        _ => 500,
                    },
                    retry_after: None,
                    body: Bytes::from_static(b"{}"),
                },
            },
            _ => Input::HttpFailed {
                id: self.calls.pick(choices)?,
                failure,
            },
        })
    }
}
