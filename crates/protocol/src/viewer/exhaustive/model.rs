//! A viewer with a hostile driver, and everything that can happen to it.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::time::Duration;

use bytes::Bytes;

use super::{
    super::{Content, Decision, Timer, Viewer, phase::Line, phase::Phase},
    ledger::{Call, CallKind, Ledger, Stage, Stale},
    moves::{Answer, LineFact, Move, Reading},
    scene::Scene,
};
use crate::{
    exhaustive::Model,
    frame::{RequestId, control::Fields},
    io::{
        HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, SocketEnding, Token,
        TokenRefusal,
    },
    time::Timestamp,
};

/// Longer than every deadline.
const OVERSLEPT: Duration = Duration::from_secs(3600);

/// A viewer, its driver, its application, and what may still happen.
#[derive(Clone)]
pub(super) struct Attended {
    pub(super) scene: &'static Scene,
    pub(super) viewer: Viewer,
    pub(super) now: Timestamp,
    pub(super) ledger: Ledger,
    pub(super) reading: Reading,
    pub(super) stale: Vec<Stale>,
    sent: u8,
    requested: u8,
    told: Vec<String>,
}

impl Attended {
    pub(super) fn new(scene: &'static Scene) -> Self {
        Self {
            scene,
            viewer: Viewer::new(scene.config(), [3; 32], Timestamp::ORIGIN),
            now: Timestamp::ORIGIN,
            ledger: Ledger::default(),
            reading: Reading::Eagerly,
            stale: Vec::new(),
            sent: 0,
            requested: 0,
            told: Vec::new(),
        }
    }

    /// Makes moves that must be possible.
    pub(super) fn after(scene: &'static Scene, moves: &[Move]) -> Self {
        let mut attended = Self::new(scene);
        for step in moves {
            attended.make(step).expect("a promise is broken on the way");
        }
        attended.told();
        attended
    }

    /// Takes everything that came out.
    pub(super) fn drain(&mut self) -> Result<(), String> {
        while let Some(effect) = self.viewer.poll_effect() {
            self.told.push(format!("{effect:?}"));
            let stale = self.ledger.effect(&effect)?;
            self.stale.extend(stale);
        }
        while self.reading == Reading::Eagerly {
            let Some(event) = self.viewer.poll_event() else {
                break;
            };
            self.told.push(format!("{event:?}"));
            self.ledger.event(&event)?;
        }
        // The last of each kind stand for all.
        let surplus = self.stale.len().saturating_sub(4);
        self.stale.drain(..surplus);
        Ok(())
    }

    fn line_fact(&mut self, fact: &LineFact) -> Option<Input> {
        let (line, stage) = self.ledger.line?;
        Some(match (line, fact) {
            (Line::Socket(id), LineFact::Opened) => {
                self.opened(line, stage);
                Input::SocketOpened { id }
            }
            (Line::Stream(id), LineFact::Opened) => {
                self.opened(line, stage);
                Input::StreamOpened { id }
            }
            (_, LineFact::Refused(refusal)) => {
                if matches!(refusal, Refusal::Http { status: 401, .. }) {
                    self.ledger.refused = self.ledger.line_token.clone();
                }
                self.stale.extend(self.ledger.line_gone());
                match line {
                    Line::Socket(id) => Input::SocketRefused {
                        id,
                        refusal: *refusal,
                    },
                    Line::Stream(id) => Input::StreamClosed {
                        id,
                        ending: *refusal,
                    },
                }
            }
            (_, LineFact::Text(frame)) => {
                let text = self.scene.frames.get(*frame).copied().unwrap_or("{}");
                if text.contains("can_use_tool") {
                    self.ledger.asked();
                }
                let own = self.ledger.open_sends().next().cloned();
                let request = self.ledger.open_requests().next().cloned();
                let text = text
                    .replace("OWN", &own.unwrap_or_default())
                    .replace("REQUEST", &request.unwrap_or_default());
                match line {
                    Line::Socket(id) => Input::SocketText {
                        id,
                        text: text.into(),
                    },
                    Line::Stream(id) => Input::StreamBytes {
                        id,
                        bytes: Bytes::from(text),
                    },
                }
            }
            (Line::Socket(id), LineFact::Pong) => Input::SocketPong {
                id,
                payload: self.ledger.last_ping,
            },
            (Line::Socket(id), LineFact::Closed(ending)) => {
                if matches!(ending, SocketEnding::CloseFrame { code: 4003, .. }) {
                    self.ledger.refused = self.ledger.line_token.clone();
                }
                self.stale.extend(self.ledger.line_gone());
                Input::SocketClosed {
                    id,
                    ending: ending.clone(),
                }
            }
            (Line::Stream(_), LineFact::Pong | LineFact::Closed(_)) => return None,
        })
    }

    fn opened(&mut self, line: Line, stage: Stage) {
        if stage == Stage::Attempted {
            self.ledger.line = Some((line, Stage::Open));
        }
    }

    fn answer(&mut self, kind: CallKind, answer: &Answer) -> Option<Input> {
        let found = |(_, call): &(&HttpRequestId, &Call)| call.kind == kind;
        let (id, call) = self.ledger.calls.iter().find(found)?;
        let (id, bearer) = (*id, call.bearer.clone());
        self.ledger.calls.remove(&id);
        self.stale.push(Stale::Call(id));
        let locating = matches!(self.viewer.phase, Phase::Locating { .. });
        let (status, body) = match answer {
            Answer::Failed => {
                let failure = NetworkFailure::Reset;
                return Some(Input::HttpFailed { id, failure });
            }
            Answer::Good(body) if kind == CallKind::Page => {
                (200, self.scene.pages.get(*body).copied().unwrap_or("{}"))
            }
            Answer::Good(_) => (200, "{}"),
            Answer::Status(401) if locating => {
                self.ledger.refused = Some(bearer);
                (401, "{}")
            }
            Answer::Status(status) => (*status, "{}"),
        };
        Some(Input::HttpAnswered {
            id,
            response: HttpResponse {
                status,
                retry_after: None,
                body: Bytes::from_static(body.as_bytes()),
            },
        })
    }

    /// Time has passed up to `at`.
    pub(super) fn time(&mut self, at: Timestamp) -> Result<(), String> {
        self.now = at;
        self.viewer.handle_timeout(at);
        match self.viewer.poll_timeout() {
            Some((due, timer)) if due <= at => Err(format!(
                "{timer:?} is due at {due:?} after a timeout at {at:?}"
            )),
            _ => Ok(()),
        }
    }
}

impl Model for Attended {
    type Move = Move;

    fn moves(&self) -> Vec<Move> {
        if self.viewer.is_closed() {
            return match self.reading {
                Reading::Eagerly => Vec::new(),
                Reading::NotAtAll => vec![Move::Read(Reading::Eagerly)],
            };
        }
        let scene = self.scene;
        let mut moves = vec![Move::Close, Move::Wake, Move::Reconnect];
        if matches!(self.viewer.phase, Phase::Idle) {
            moves.push(Move::Connect);
        }
        if self.sent < scene.sends {
            moves.push(Move::Send);
        }
        if self.requested < scene.requests {
            moves.extend([Move::Request, Move::Interrupt]);
        }
        if scene.decides {
            moves.extend([Move::Allow, Move::Deny]);
        }
        if scene.pauses_reading {
            moves.push(Move::Read(match self.reading {
                Reading::Eagerly => Reading::NotAtAll,
                Reading::NotAtAll => Reading::Eagerly,
            }));
        }
        if self.viewer.poll_timeout().is_some() {
            moves.extend([Move::Deadline, Move::Oversleep]);
        }
        if self.ledger.question.is_some() {
            moves.extend(scene.tokens.iter().copied().map(Move::Token));
            moves.extend([
                Move::NoToken(TokenRefusal::Unavailable),
                Move::NoToken(TokenRefusal::SignedOut),
            ]);
        }
        moves.extend(self.line_moves().into_iter().map(Move::Line));
        moves.extend(self.call_moves());
        moves
    }

    fn make(&mut self, step: &Move) -> Result<(), String> {
        let now = self.now;
        let spent = self.viewer.episode.spent();
        let (awaited, line) = (self.viewer.awaited_token(), self.viewer.line());
        let mut stable = None;
        let prompt = RequestId::new("r1").ok_or("an id")?;
        let input = match step {
            Move::Connect => {
                let _ = self.viewer.connect(now);
                None
            }
            Move::Send => {
                if let Ok(id) = self.viewer.send(now, Content::text("hello")) {
                    self.sent += 1;
                    self.ledger.sent(id.as_str())?;
                }
                None
            }
            Move::Allow => {
                self.decide(&prompt, &Decision::allow());
                None
            }
            Move::Deny => {
                self.decide(&prompt, &Decision::deny("no"));
                None
            }
            Move::Request => {
                if let Ok(id) = self.viewer.request(now, "set_model", &Fields::NONE) {
                    self.requested += 1;
                    self.ledger.requested(id.as_str());
                }
                None
            }
            Move::Interrupt => {
                if let Ok(id) = self.viewer.interrupt(now) {
                    self.requested += 1;
                    self.ledger.requested(id.as_str());
                }
                None
            }
            Move::Reconnect => {
                let _ = self.viewer.reconnect(now);
                None
            }
            Move::Close => {
                self.viewer.close(now);
                None
            }
            Move::Wake => Some(Input::Woke),
            Move::Read(reading) => {
                self.reading = *reading;
                None
            }
            Move::Deadline | Move::Oversleep => {
                let (due, _) = self.viewer.poll_timeout().ok_or("nothing is due")?;
                let late = if matches!(step, Move::Oversleep) {
                    OVERSLEPT
                } else {
                    Duration::ZERO
                };
                let at = due.checked_add(late).ok_or("time ends")?;
                stable = self.viewer.timers.deadline(Timer::Stable);
                self.time(at)?;
                None
            }
            Move::Token(token) => self.ledger.question.take().map(|id| {
                self.stale.push(Stale::Question(id));
                let token = Token::new(*token);
                Input::TokenFetched { id, token }
            }),
            Move::NoToken(refusal) => self.ledger.question.take().map(|id| {
                self.stale.push(Stale::Question(id));
                Input::TokenRefused {
                    id,
                    refusal: *refusal,
                }
            }),
            Move::Line(fact) => self.line_fact(fact),
            Move::Answer(kind, answer) => self.answer(*kind, answer),
        };
        if let Some(input) = input {
            self.viewer.handle_input(now, input);
        }
        let was_stable = stable.is_some_and(|at| at <= self.now);
        if was_stable {
            self.ledger.refused = None;
            let spent = self.viewer.episode.spent();
            if matches!(self.viewer.phase, Phase::Up(_)) && spent != [0; 6] {
                return Err(format!("the link is stable, and {spent:?} stay spent"));
            }
        } else {
            let grown = spent
                .iter()
                .zip(self.viewer.episode.spent())
                .any(|(before, after)| *before > after);
            if grown {
                return Err(format!(
                    "a budget grew from {spent:?} to {:?}",
                    self.viewer.episode.spent()
                ));
            }
        }
        super::promises::a_sign_of_life_moves_the_deadlines(self, step)?;
        if line == self.viewer.line() {
            super::promises::a_question_is_asked_once(self, step, awaited)?;
        }
        self.drain()?;
        super::promises::the_end_leaves_nothing(self)
    }

    fn check(&self) -> Result<(), String> {
        super::promises::all(self)
    }

    fn canonical(&self) -> String {
        // Nothing comes after the end: `the_end_leaves_nothing`.
        if self.ledger.is_closed {
            return "over".to_string();
        }
        let own = format!(
            "{} {} {} {} {:?}",
            super::digest::raw(&self.viewer),
            self.ledger.shown(),
            self.sent,
            self.requested,
            self.reading
        );
        super::digest::canonical(&self.viewer, self.now, &own)
    }

    fn told(&mut self) -> Vec<String> {
        core::mem::take(&mut self.told)
    }
}

impl Attended {
    fn decide(&mut self, prompt: &RequestId, decision: &Decision) {
        if self.viewer.decide(self.now, prompt, decision).is_ok() {
            self.ledger.decided.insert(prompt.to_string());
        }
    }
}
