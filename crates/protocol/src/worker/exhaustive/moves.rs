//! What can happen to a worker, and what its driver can say.

use alloc::{string::ToString, vec, vec::Vec};

use bytes::Bytes;

use super::{
    super::calls::Call,
    ledger::{Stage, Stale},
    model::Attended,
};
use crate::io::{HttpResponse, Input, NetworkFailure, Refusal, Token, TokenRefusal};

/// Something that can happen.
#[derive(Clone, Debug)]
pub(super) enum Move {
    Start,
    /// Frame number so much of the agent's.
    Upload(usize),
    Report,
    Acknowledge,
    Close,
    Wake,
    /// Time passes up to the deadline.
    Deadline,
    /// The machine was asleep.
    Oversleep,
    Token(&'static str),
    NoToken(TokenRefusal),
    Opened,
    /// The stream did not open, or ended.
    Ended(Refusal),
    /// Event number so much of the scene.
    Bytes(usize),
    Answer(Call, Answer),
}

/// What a driver can say of a call.
#[derive(Copy, Clone, Debug)]
pub(super) enum Answer {
    Good,
    /// Credentials: their token, and their epoch.
    Granted(&'static str, u64),
    Nonsense,
    Status(u16),
    Failed,
}

/// Credentials that a server may grant, in any order.
const GRANTS: [(&str, u64); 2] = [("granted one", 1), ("granted two", 2)];

impl Attended {
    /// What the driver can say of the stream now.
    pub(super) fn stream_moves(&self) -> Vec<Move> {
        let http = |status| {
            Move::Ended(Refusal::Http {
                status,
                retry_after: None,
            })
        };
        let Some((_, stage)) = self.ledger.stream else {
            return Vec::new();
        };
        let mut moves = vec![
            Move::Opened,
            Move::Ended(Refusal::Network(NetworkFailure::Reset)),
        ];
        moves.extend(match stage {
            Stage::Attempted => [401, 404, 409, 410, 503].map(http).to_vec(),
            Stage::Open => (0..self.scene.events.len()).map(Move::Bytes).collect(),
        });
        moves
    }

    /// What the driver can say of the calls under way.
    pub(super) fn call_moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (call, _) in self.ledger.calls.values() {
            let good = match call {
                Call::Bridge => GRANTS
                    .map(|(token, epoch)| Answer::Granted(token, epoch))
                    .to_vec(),
                Call::Register => vec![Answer::Good, Answer::Nonsense],
                Call::Read
                | Call::Report
                | Call::Upload
                | Call::Delivery
                | Call::Heartbeat
                | Call::Archive => vec![Answer::Good],
            };
            let bad = self.scene.statuses.iter().copied().map(Answer::Status);
            let answers = good.into_iter().chain(bad).chain([Answer::Failed]);
            moves.extend(answers.map(|answer| Move::Answer(*call, answer)));
        }
        moves
    }
}

/// What an id that is over may still be named in.
pub(super) fn inputs_about(stale: Stale) -> Vec<Input> {
    match stale {
        Stale::Stream(id) => vec![
            Input::StreamOpened { id },
            Input::StreamBytes {
                id,
                bytes: Bytes::from_static(b"event: client_event\ndata: {}\n\n"),
            },
            Input::StreamClosed {
                id,
                ending: Refusal::Http {
                    status: 409,
                    retry_after: None,
                },
            },
        ],
        Stale::Call(id) => [200, 401, 409, 500]
            .map(|status| Input::HttpAnswered {
                id,
                response: HttpResponse {
                    status,
                    retry_after: None,
                    body: Bytes::from("{}".to_string()),
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
