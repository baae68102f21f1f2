//! What can happen to a viewer, and what its driver can say.

use alloc::{string::ToString, vec, vec::Vec};

use bytes::Bytes;

use super::{
    super::phase::Line,
    ledger::{CallKind, Stage, Stale},
    model::Attended,
    scene::Scene,
};
use crate::io::{HttpResponse, Input, NetworkFailure, Refusal, SocketEnding, Token, TokenRefusal};

/// Whether the application takes its events.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Eagerly,
    NotAtAll,
}

/// Something that can happen.
#[derive(Clone, Debug)]
pub(super) enum Move {
    Connect,
    Send,
    Allow,
    Deny,
    Request,
    Interrupt,
    Reconnect,
    Close,
    Wake,
    Read(Reading),
    /// Time passes up to the deadline.
    Deadline,
    /// The machine was asleep.
    Oversleep,
    Token(&'static str),
    NoToken(TokenRefusal),
    Line(LineFact),
    Answer(CallKind, Answer),
}

/// What a driver can say of the line.
#[derive(Clone, Debug)]
pub(super) enum LineFact {
    Opened,
    Refused(Refusal),
    /// Frame number so much of the scene.
    Text(usize),
    /// To the latest ping.
    Pong,
    Closed(SocketEnding),
}

/// What a driver can say of a call.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Good, with body number so much of the scene.
    Good(usize),
    Status(u16),
    Failed,
}

impl Attended {
    /// What the driver can say of the line now.
    pub(super) fn line_moves(&self) -> Vec<LineFact> {
        let Some((line, stage)) = self.ledger.line else {
            return Vec::new();
        };
        let mut facts = vec![LineFact::Opened];
        let http = |status| {
            LineFact::Refused(Refusal::Http {
                status,
                retry_after: None,
            })
        };
        let lost = Refusal::Network(NetworkFailure::Reset);
        match (line, stage) {
            (_, Stage::Attempted) => {
                facts.extend(self.scene.refusals.iter().copied().map(http));
                facts.push(LineFact::Refused(lost));
                if let Line::Stream(_) = line {
                    facts.push(http(410));
                }
                facts.push(LineFact::Text(0));
            }
            (Line::Stream(_), Stage::Open | Stage::Closing) => {
                facts.extend([http(401), LineFact::Refused(lost)]);
            }
            (Line::Socket(_), Stage::Open | Stage::Closing) => {
                facts.push(LineFact::Closed(SocketEnding::Lost(NetworkFailure::Reset)));
                for code in self.scene.codes {
                    facts.push(LineFact::Closed(SocketEnding::CloseFrame {
                        code: *code,
                        reason: "".into(),
                    }));
                }
                facts.push(LineFact::Closed(SocketEnding::CloseFrame {
                    code: 1000,
                    reason: "session ended".into(),
                }));
            }
        }
        if stage != Stage::Attempted {
            if self.ledger.last_ping.is_some() {
                facts.push(LineFact::Pong);
            }
            if self.viewer.wants_read() {
                facts.extend((0..self.scene.frames.len()).map(LineFact::Text));
            }
        }
        facts
    }

    /// What the driver can say of the calls under way.
    pub(super) fn call_moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for call in self.ledger.calls.values() {
            let bodies = match call.kind {
                CallKind::Page => self.scene.pages.len(),
                CallKind::Message | CallKind::Control => 1,
            };
            let good = (0..bodies).map(Answer::Good);
            let bad = [401, 404, 503].map(Answer::Status);
            let answers = good.chain(bad).chain([Answer::Failed]);
            moves.extend(answers.map(|answer| Move::Answer(call.kind, answer)));
        }
        moves
    }
}

/// What an id that is over may still be named in.
pub(super) fn inputs_about(stale: Stale, scene: &Scene) -> Vec<Input> {
    let text = scene.frames.first().copied().unwrap_or("{}");
    match stale {
        Stale::Line(Line::Socket(id)) => vec![
            Input::SocketOpened { id },
            Input::SocketRefused {
                id,
                refusal: Refusal::Http {
                    status: 401,
                    retry_after: None,
                },
            },
            Input::SocketBytes { id },
            Input::SocketText {
                id,
                text: text.to_string().into(),
            },
            Input::SocketBinary {
                id,
                bytes: Bytes::from_static(b"\xff"),
            },
            Input::SocketPing { id },
            Input::SocketPong {
                id,
                payload: Some(1),
            },
            Input::SocketPong {
                id,
                payload: Some(u64::MAX),
            },
            Input::SocketClosed {
                id,
                ending: SocketEnding::CloseFrame {
                    code: 1000,
                    reason: "session ended".into(),
                },
            },
            Input::SocketClosed {
                id,
                ending: SocketEnding::Lost(NetworkFailure::Ended),
            },
        ],
        Stale::Line(Line::Stream(id)) => vec![
            Input::StreamOpened { id },
            Input::StreamBytes {
                id,
                bytes: Bytes::from(text.to_string()),
            },
            Input::StreamClosed {
                id,
                ending: Refusal::Network(NetworkFailure::Ended),
            },
        ],
        Stale::Call(id) => [200, 401, 500]
            .map(|status| Input::HttpAnswered {
                id,
                response: HttpResponse {
                    status,
                    retry_after: None,
                    body: Bytes::from_static(b"{\"data\":[],\"has_more\":false}"),
                },
            })
            .into_iter()
            .chain([Input::HttpFailed {
                id,
                failure: NetworkFailure::Reset,
            }])
            .collect(),
        Stale::Question(id) => vec![
            Input::TokenFetched {
                id,
                token: Token::new("late"),
            },
            Input::TokenRefused {
                id,
                refusal: TokenRefusal::SignedOut,
            },
        ],
    }
}
