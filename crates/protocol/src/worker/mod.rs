//! The worker: the agent's end of a session.
//!
//! | file | subject |
//! |---|---|
//! | `credentials` | from a token to a session to credentials, and renewing them |
//! | `transport` | opening it step by step, the stream, the state report |
//! | `sending`, `upload`, `delivery` | what goes up |
//! | `inbound`, `requests` | what comes down, and that every request is answered |
//! | `teardown` | leaving nothing behind |
//! | `calls`, `judgement` | HTTP calls under way, and what an answer means |
//! | `timer` | what the deadlines are for, and what happens at them |

mod calls;
mod config;
mod credentials;
mod delivery;
mod endpoint;
mod event;
#[cfg(test)]
mod exhaustive;
mod inbound;
mod judgement;
mod phase;
mod queue;
mod requests;
mod sending;
mod teardown;
mod timer;
mod transport;
mod upload;

use alloc::collections::VecDeque;
use core::fmt;

use bytestring::ByteString;

use crate::{
    attention::Attention,
    frame::{Frame, FrameKind, sse::SseDecoder},
    ids::SessionId,
    io::{Effect, IdCounter, Input, Token, TokenReason},
    rng::Rng,
    time::{TimerTable, Timestamp},
};
use calls::Calls;
use delivery::Deliveries;
use endpoint::Credentials;
use phase::{Goal, Phase, Reached, Stream};
use queue::EventQueue;
use requests::Requests;
use upload::{Life, Uploads};

pub use config::{
    Farewell, NewSession, RefreshRule, SessionChoice, StartRetries, WorkerConfig, WorkerLimits,
    WorkerLiveness, WorkerPatience,
};
pub use event::{
    AgentState, Delivery, EventId, Inbound, StartError, UploadError, UploadRefusal,
    WorkerCloseCause, WorkerEvent, WorkerStatus,
};
pub use judgement::ANSWERS;
pub use timer::Timer;

use crate::time::TimerIndex as _;

/// The agent's end of a session, as a state machine without I/O. It has the same face as a
/// [`Viewer`](crate::viewer::Viewer), and the same contract holds.
///
/// - **commands**: [`start`](Self::start), [`upload`](Self::upload), [`report`](Self::report),
///   [`acknowledge`](Self::acknowledge), [`close`](Self::close)
/// - **inputs**: [`handle_input`](Self::handle_input), [`handle_timeout`](Self::handle_timeout)
/// - **outputs**: [`poll_effect`](Self::poll_effect), [`poll_event`](Self::poll_event),
///   [`poll_timeout`](Self::poll_timeout)
/// - **questions**: [`status`](Self::status), [`wants_read`](Self::wants_read),
///   [`wants_write`](Self::wants_write), [`is_closed`](Self::is_closed), [`is_drained`](Self::is_drained)
#[derive(Clone)]
pub struct Worker {
    config: WorkerConfig,
    rng: Rng,
    /// Names this worker to the server for its whole life: whoever registers again under the same name
    /// still waits for what it asked.
    instance: ByteString,
    ids: IdCounter,
    now: Timestamp,
    timers: TimerTable<{ Timer::ALL.len() }>,

    goal: Goal,
    phase: Phase,
    status: WorkerStatus,
    reached: Reached,
    failures: u32,

    session: Option<SessionId>,
    token: Option<Token>,
    rejected: Option<Token>,
    credentials: Option<Credentials>,
    refusals: u32,
    leases_lost: u32,
    calls: Calls,

    stream: Stream,
    decoder: SseDecoder,
    /// Since when something of the stream has been waiting for room.
    backlog: Option<Timestamp>,
    sequence: u64,
    stream_failures: u32,
    attentive: Attention,

    uploads: Uploads,
    upload_failures: u32,
    deliveries: Deliveries,
    delivery_failures: u32,
    requests: Requests,
    state: AgentState,
    reporting: Option<AgentState>,
    reported: Option<AgentState>,
    report_failures: u32,
    heartbeat_failures: u32,

    effects: VecDeque<Effect>,
    events: EventQueue,
}

impl Worker {
    /// A worker that has not been told to start. `seed` feeds ids and jitter: 32 bytes of the system's
    /// entropy. `now` is where time starts.
    pub fn new(config: WorkerConfig, seed: [u8; 32], now: Timestamp) -> Self {
        let limits = &config.limits;
        let session = match &config.session {
            SessionChoice::Join(session) => Some(session.clone()),
            SessionChoice::Create(_) => None,
        };
        let key = Rng::key(&seed);
        let mut rng = Rng::new(seed);
        Self {
            instance: rng.uuid().into(),
            rng,
            ids: IdCounter::default(),
            now,
            timers: TimerTable::default(),
            goal: Goal::Work,
            phase: Phase::Idle,
            status: WorkerStatus::Idle,
            reached: Reached::Never,
            failures: 0,
            session,
            token: None,
            rejected: None,
            credentials: None,
            refusals: 0,
            leases_lost: 0,
            calls: Calls::default(),
            stream: Stream::Down,
            decoder: SseDecoder::new(limits.stream_event_bytes),
            backlog: None,
            sequence: 0,
            stream_failures: 0,
            attentive: Attention::Undivided,
            uploads: Uploads::new(limits, key),
            upload_failures: 0,
            deliveries: Deliveries::new(limits.remembered, key),
            delivery_failures: 0,
            requests: Requests::default(),
            state: AgentState::Idle,
            reporting: None,
            reported: None,
            report_failures: 0,
            heartbeat_failures: 0,
            effects: VecDeque::new(),
            events: EventQueue::new(limits),
            config,
        }
    }

    /// Gets a session and connects to it. From here on the worker keeps itself connected until it is
    /// closed, fenced off, or refused for good.
    ///
    /// # Errors
    /// When it was started before, or is closed.
    pub fn start(&mut self, now: Timestamp) -> Result<(), StartError> {
        self.set_now(now);
        if self.is_ending() {
            return Err(StartError::Closed);
        }
        if !matches!(self.phase, Phase::Idle) {
            return Err(StartError::AlreadyStarted);
        }
        self.fetch_token(TokenReason::Attempt);
        self.advance();
        Ok(())
    }

    /// Queues one frame of the agent's. Frames are uploaded in order, each exactly once; `stream_event`s
    /// are live only. A response nobody waits for (any more) is dropped, as are keep-alives. May be
    /// called in any state.
    ///
    /// # Errors
    /// The text comes back when it is no frame, too much is waiting (see
    /// [`wants_write`](Self::wants_write)), or the worker is closed.
    pub fn upload(&mut self, now: Timestamp, text: ByteString) -> Result<(), UploadError> {
        self.set_now(now);
        let refuse = |reason, text| Err(UploadError { reason, text });
        if self.is_ending() {
            return refuse(UploadRefusal::Closed, text);
        }
        if self.uploads.is_full(&self.config.limits) {
            return refuse(UploadRefusal::Full, text);
        }
        let frame = match Frame::classify(text) {
            Ok(frame) => frame,
            Err(malformed) => {
                return refuse(UploadRefusal::Malformed(malformed.error), malformed.text);
            }
        };
        match frame.kind() {
            FrameKind::KeepAlive | FrameKind::Auth => return Ok(()),
            FrameKind::ControlResponse { request_id } => {
                if !self.requests.answered(request_id) {
                    return Ok(());
                }
            }
            FrameKind::ControlRequest { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::UnknownControl { .. }
            | FrameKind::Message { .. } => {}
        }
        if frame.is_stored() {
            let (uuid, text) = frame.identified(|| self.rng.uuid());
            self.uploads.push(Some(uuid), text, Life::Stored);
        } else {
            let uuid = frame.uuid().cloned();
            self.uploads
                .push(uuid, frame.text().clone(), Life::Ephemeral);
        }
        self.advance();
        Ok(())
    }

    /// Says what the agent is at. The last word counts.
    pub fn report(&mut self, now: Timestamp, state: AgentState) {
        self.set_now(now);
        if !self.is_ending() {
            self.state = state;
            self.advance();
        }
    }

    /// Says how far the agent is with an inbound event. That it was received is said without asking. The
    /// server is told only when it has what was [uploaded](Self::upload) before: what an event has led to
    /// is not lost when the worker dies between the two.
    pub fn acknowledge(&mut self, now: Timestamp, event: &EventId, delivery: Delivery) {
        self.set_now(now);
        if !self.is_closed() {
            let behind = self.uploads.last();
            self.deliveries.tell(event.clone(), delivery, behind);
            self.advance();
        }
    }

    /// Reports idle, sends what is left, archives the session, and ends: within
    /// [`WorkerPatience::close`], of which [`WorkerPatience::flush`] and [`WorkerPatience::archive`] are
    /// shares. Harmless when repeated.
    ///
    /// A session that is just being created is archived as soon as the server names it. If it does not do
    /// so in time, or the call that creates it breaks off, nobody knows whether there is one, and it
    /// stays behind; so does a session whose archive does not get through in time.
    pub fn close(&mut self, now: Timestamp) {
        self.set_now(now);
        self.leave();
    }

    /// Takes in what the driver saw.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        self.set_now(now);
        if self.is_closed() {
            return;
        }
        match input {
            Input::TokenFetched { id, token } => self.token_fetched(id, &token),
            Input::TokenRefused { id, refusal } => self.token_refused(id, refusal),
            Input::HttpAnswered { id, response } => self.answered(id, Ok(&response)),
            Input::HttpFailed { id, failure } => self.answered(id, Err(failure)),
            Input::StreamOpened { id } => self.stream_opened(id),
            Input::StreamBytes { id, bytes } => self.stream_bytes(id, bytes),
            Input::StreamClosed { id, ending } => self.stream_closed(id, ending),
            Input::Woke => self.woke(),
            // A worker opens no sockets.
            Input::SocketOpened { .. }
            | Input::SocketRefused { .. }
            | Input::SocketBytes { .. }
            | Input::SocketText { .. }
            | Input::SocketBinary { .. }
            | Input::SocketPing { .. }
            | Input::SocketPong { .. }
            | Input::SocketClosed { .. } => {}
        }
        self.advance();
    }

    /// Takes in that time has passed. Early calls are harmless; each due timer fires once.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.set_now(now);
        while let Some((deadline, timer)) = self.poll_timeout()
            && deadline <= self.now
        {
            self.timers.disarm(timer);
            self.fire(timer);
            self.advance();
        }
    }

    /// The next order for the driver.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The next thing the application should know.
    pub fn poll_event(&mut self) -> Option<WorkerEvent> {
        self.events.pop()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for. Ask again when events have
    /// been taken: if others were waiting for their room, that is due at once.
    pub fn poll_timeout(&self) -> Option<(Timestamp, Timer)> {
        let next = self.timers.next();
        match self.backlog {
            Some(since) if next.is_none_or(|(deadline, _)| since < deadline) && self.has_room() => {
                Some((since, Timer::Backlog))
            }
            Some(_) | None => next,
        }
    }

    /// Where the worker stands.
    pub fn status(&self) -> WorkerStatus {
        self.status
    }

    /// The session, once there is one.
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Whether the driver should read from the stream.
    pub fn wants_read(&self) -> bool {
        // What was read and not decoded yet goes first, or it would pile up.
        self.has_room() && self.backlog.is_none()
    }

    /// Whether the application should go on handing frames in. When false, stop reading the agent: it
    /// feels that through its pipe, and goes on when the server is back.
    pub fn wants_write(&self) -> bool {
        !self.is_ending() && !self.uploads.is_full(&self.config.limits)
    }

    /// Whether the end is decided.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether the end is decided and every effect and event has been taken.
    pub fn is_drained(&self) -> bool {
        self.is_closed() && self.effects.is_empty() && self.events.is_empty()
    }

    fn set_now(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    fn is_ending(&self) -> bool {
        self.goal == Goal::Leave || self.is_closed()
    }

    fn set_status(&mut self, status: WorkerStatus) {
        // Whatever happens on the way out is part of closing.
        let final_word = matches!(status, WorkerStatus::Closed(_) | WorkerStatus::Closing);
        if self.status != status && (self.goal == Goal::Work || final_word) {
            self.status = status;
            self.events.push(WorkerEvent::Status(status));
        }
    }

    /// The machine this runs on woke up: a stream may be dead without a sign.
    fn woke(&mut self) {
        if let Stream::Pausing { .. } = self.stream {
            self.timers.disarm(Timer::Stream);
            self.open_stream();
        } else if !self.calls.is_open(calls::Call::Heartbeat) {
            self.heartbeat();
        }
    }
}

impl fmt::Debug for Worker {
    /// Where it stands; never what passes through it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("session", &self.session)
            .field("status", &self.status)
            .field("now", &self.now)
            .field("deadline", &self.poll_timeout())
            .finish_non_exhaustive()
    }
}
