//! A worker with a hostile driver, and everything that can happen to it.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::time::Duration;

use bytes::Bytes;

use super::{
    super::{AgentState, Delivery, EventId, Timer, Worker, calls::Call, phase::Phase},
    ledger::{Ledger, Stage, Stale},
    moves::{Answer, Move},
    promises,
    scene::{FRAMES, Scene, TOKENS},
};
use crate::{
    exhaustive::Model,
    io::{HttpResponse, Input, NetworkFailure, Refusal, Token, TokenRefusal},
    time::Timestamp,
};

/// Longer than every deadline.
const OVERSLEPT: Duration = Duration::from_secs(3600);

/// A worker, its driver, its agent, and what may still happen.
#[derive(Clone)]
pub(super) struct Attended {
    pub(super) scene: &'static Scene,
    pub(super) worker: Worker,
    pub(super) now: Timestamp,
    pub(super) ledger: Ledger,
    pub(super) stale: Vec<Stale>,
    uploaded: usize,
    is_acknowledged: bool,
    told: Vec<String>,
}

impl Attended {
    pub(super) fn new(scene: &'static Scene) -> Self {
        Self {
            scene,
            worker: Worker::new(scene.config(), [3; 32], Timestamp::ORIGIN),
            now: Timestamp::ORIGIN,
            ledger: Ledger::default(),
            stale: Vec::new(),
            uploaded: 0,
            is_acknowledged: false,
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
        while let Some(effect) = self.worker.poll_effect() {
            self.told.push(format!("{effect:?}"));
            let stale = self.ledger.effect(&effect)?;
            self.stale.extend(stale);
        }
        while let Some(event) = self.worker.poll_event() {
            self.told.push(format!("{event:?}"));
            self.ledger.event(&event)?;
        }
        // The last of each kind stand for all.
        let surplus = self.stale.len().saturating_sub(4);
        self.stale.drain(..surplus);
        Ok(())
    }

    /// Heartbeats come at even distances here: their jitter would make every moment another one.
    fn steady_heartbeat(&mut self, before: Option<Timestamp>) {
        let timers = &mut self.worker.timers;
        let due = timers.deadline(Timer::Heartbeat);
        if due.is_some() && due != before {
            let every = self.worker.config.liveness.heartbeat;
            timers.arm(Timer::Heartbeat, self.now, every);
        }
    }

    /// Time has passed up to `at`.
    pub(super) fn time(&mut self, at: Timestamp) -> Result<(), String> {
        self.now = at;
        self.worker.handle_timeout(at);
        match self.worker.poll_timeout() {
            Some((due, timer)) if due <= at => Err(format!(
                "{timer:?} is due at {due:?} after a timeout at {at:?}"
            )),
            _ => Ok(()),
        }
    }

    fn answer(&mut self, call: Call, answer: Answer) -> Option<Input> {
        let (id, (_, sent)) = self
            .ledger
            .calls
            .iter()
            .find(|(_, (open, _))| *open == call)?;
        let (id, sent) = (*id, sent.clone());
        self.ledger.calls.remove(&id);
        self.stale.push(Stale::Call(id));
        let (status, body) = match answer {
            Answer::Failed => {
                let failure = NetworkFailure::Reset;
                return Some(Input::HttpFailed { id, failure });
            }
            Answer::Status(status) => {
                let asks_for_standing = !matches!(call, Call::Archive);
                self.ledger.is_fenced |= status == 409 && asks_for_standing;
                let is_persons = matches!(call, Call::Register | Call::Bridge | Call::Archive);
                if status == 401 && !is_persons {
                    self.ledger.refusals += 1;
                }
                // A single frame that the server refuses is given up.
                if call == Call::Upload && status == 400 {
                    self.ledger.over(&sent);
                }
                (status, "{}".to_string())
            }
            Answer::Nonsense => (200, "{}".to_string()),
            Answer::Granted(token, epoch) => {
                let newest = self.ledger.granted.map_or(0, |(_, epoch)| epoch);
                if epoch >= newest {
                    self.ledger.granted = Some((token, epoch));
                }
                let body = format!(
                    "{{\"worker_jwt\":\"{token}\",\"api_base_url\":\"https://x\",\
                     \"expires_in\":20,\"worker_epoch\":{epoch}}}"
                );
                (200, body)
            }
            Answer::Good => {
                if call == Call::Upload {
                    self.ledger.confirm(&sent);
                }
                if matches!(call, Call::Upload | Call::Heartbeat) {
                    self.ledger.refusals = 0;
                }
                (200, r#"{"session":{"id":"cse_x"}}"#.to_string())
            }
        };
        Some(Input::HttpAnswered {
            id,
            response: HttpResponse {
                status,
                retry_after: None,
                body: Bytes::from(body),
            },
        })
    }

    fn command(&mut self, step: &Move) {
        let now = self.now;
        match step {
            Move::Start => {
                let _ = self.worker.start(now);
            }
            Move::Upload(frame) => {
                let (uuid, text) = FRAMES.get(*frame).copied().unwrap_or_default();
                if self.worker.upload(now, text.into()).is_ok() {
                    self.uploaded += 1;
                    self.ledger.unconfirmed.insert(uuid);
                }
            }
            Move::Report => self.worker.report(now, AgentState::Running),
            Move::Acknowledge => {
                self.is_acknowledged = true;
                self.ledger.behind = Some(self.ledger.unconfirmed.clone());
                let event = EventId("e1".into());
                self.worker.acknowledge(now, &event, Delivery::Processed);
            }
            Move::Close => self.worker.close(now),
            Move::Wake
            | Move::Deadline
            | Move::Oversleep
            | Move::Token(_)
            | Move::NoToken(_)
            | Move::Opened
            | Move::Ended(_)
            | Move::Bytes(_)
            | Move::Answer(..) => {}
        }
    }

    fn input(&mut self, step: &Move) -> Option<Input> {
        match step {
            Move::Wake => Some(Input::Woke),
            Move::Token(token) => self.ledger.question.take().map(|id| {
                self.stale.push(Stale::Question(id));
                let token = Token::new(*token);
                Input::TokenFetched { id, token }
            }),
            Move::NoToken(refusal) => self.ledger.question.take().map(|id| {
                self.stale.push(Stale::Question(id));
                let refusal = *refusal;
                Input::TokenRefused { id, refusal }
            }),
            Move::Opened => {
                let (id, _) = self.ledger.stream?;
                self.ledger.stream = Some((id, Stage::Open));
                Some(Input::StreamOpened { id })
            }
            Move::Ended(ending) => {
                let (id, _) = self.ledger.stream?;
                self.stale.extend(self.ledger.stream_gone());
                self.ledger.is_fenced |= matches!(ending, Refusal::Http { status: 409, .. });
                if matches!(ending, Refusal::Http { status: 401, .. }) {
                    self.ledger.refusals += 1;
                }
                let ending = *ending;
                Some(Input::StreamClosed { id, ending })
            }
            Move::Bytes(event) => {
                let (id, _) = self.ledger.stream?;
                let event = self.scene.events.get(*event).copied().unwrap_or(":\n\n");
                let bytes = Bytes::from_static(event.as_bytes());
                Some(Input::StreamBytes { id, bytes })
            }
            Move::Answer(call, answer) => self.answer(*call, *answer),
            Move::Start
            | Move::Upload(_)
            | Move::Report
            | Move::Acknowledge
            | Move::Close
            | Move::Deadline
            | Move::Oversleep => None,
        }
    }
}

impl Model for Attended {
    type Move = Move;

    fn moves(&self) -> Vec<Move> {
        if self.worker.is_closed() {
            return Vec::new();
        }
        let mut moves = vec![Move::Close, Move::Wake];
        if matches!(self.worker.phase, Phase::Idle) {
            moves.push(Move::Start);
        }
        if self.uploaded < self.scene.uploads {
            moves.push(Move::Upload(self.uploaded));
        }
        if self.scene.works {
            moves.push(Move::Report);
            if !self.is_acknowledged {
                moves.push(Move::Acknowledge);
            }
        }
        if self.worker.poll_timeout().is_some() {
            moves.extend([Move::Deadline, Move::Oversleep]);
        }
        if self.ledger.question.is_some() {
            moves.extend(TOKENS.map(Move::Token));
            moves.extend([
                Move::NoToken(TokenRefusal::Unavailable),
                Move::NoToken(TokenRefusal::SignedOut),
            ]);
        }
        moves.extend(self.stream_moves());
        moves.extend(self.call_moves());
        moves
    }

    fn make(&mut self, step: &Move) -> Result<(), String> {
        let heartbeat = self.worker.timers.deadline(Timer::Heartbeat);
        let failures = self.worker.failures;
        let late = if matches!(step, Move::Oversleep) {
            OVERSLEPT
        } else {
            Duration::ZERO
        };
        if matches!(step, Move::Deadline | Move::Oversleep) {
            let (due, _) = self.worker.poll_timeout().ok_or("nothing is due")?;
            self.time(due.checked_add(late).ok_or("time ends")?)?;
        }
        self.command(step);
        if let Some(input) = self.input(step) {
            self.worker.handle_input(self.now, input);
        }
        self.steady_heartbeat(heartbeat);
        promises::a_sign_of_life_moves_the_deadline(self, step)?;
        promises::only_success_gives_budgets_back(self, step, failures)?;
        self.drain()?;
        promises::the_end_leaves_nothing(self)
    }

    fn check(&self) -> Result<(), String> {
        promises::all(self)
    }

    fn canonical(&self) -> String {
        // Nothing comes after the end: `the_end_leaves_nothing`.
        if self.ledger.is_closed {
            return "over".to_string();
        }
        let own = format!(
            "{} {} {} {}",
            super::digest::raw(&self.worker),
            self.ledger.shown(),
            self.uploaded,
            self.is_acknowledged
        );
        super::digest::canonical(self.now, &own)
    }

    fn told(&mut self) -> Vec<String> {
        core::mem::take(&mut self.told)
    }
}
