//! The viewer: a person's end of a session.
//!
//! | file | subject |
//! |---|---|
//! | `connection`, `line` | attempts, links, liveness |
//! | `credential` | tokens, and what happens when one is refused |
//! | `closing` | the end |
//! | `input`, `inbox` | what the driver saw, and what of it has not been looked at |
//! | `stream` | events of a stream |
//! | `routing` | where each frame goes |
//! | `backlog` | what waits for room |
//! | `loading`, `catchup` | loading what was missed |
//! | `cursor` | how far the application has come |
//! | `settings` | the configuration as it is kept |
//! | `sending` | what goes out as soon as it can |
//! | `posting`, `control_posts` | control frames that go by calls |
//! | `prompts` | permission prompts and their answers |
//! | `outbox` | messages on their way |
//! | `requests` | requests to the agent |
//! | `watchdog` | an agent that says nothing |
//! | `timer` | what the deadlines are for, and what happens at them |

mod backlog;
mod catchup;
mod closing;
mod command;
mod config;
mod connection;
mod control_posts;
mod credential;
mod cursor;
mod endpoint;
mod event;
#[cfg(test)]
mod exhaustive;
mod inbox;
mod input;
mod line;
mod loading;
mod outbox;
mod phase;
mod posting;
mod prompts;
mod questions;
mod queue;
mod requests;
mod routing;
mod sending;
mod settings;
mod stream;
mod timer;
mod watchdog;

use core::fmt;

use crate::{
    frame::{RequestId, control::Fields},
    io::{Effect, IdCounter, Token, TokenReason},
    memory,
    policy::Episode,
    queue::Queue,
    rng::Rng,
    time::{TimerIndex, TimerTable, Timestamp},
};
use catchup::CatchUp;
use inbox::Inbox;
use outbox::Outbox;
use phase::Phase;
use posting::Posting;
use prompts::Prompts;
use queue::EventQueue;
use requests::{Audience, Requests, Scope};
use settings::Settings;
use watchdog::Watchdog;

pub use crate::frame::decision::{AfterDeny, Allow, Decision, Deny, Standing};
pub use crate::{kept_id::KeptId, memory::Memory};
pub use command::{
    ConnectError, DecideError, ReconnectError, RequestError, SendError, SendRefusal,
};
pub use config::{
    CredentialPlacement, History, Limits, Liveness, Patience, Transport, ViewerConfig,
};
pub use cursor::{Cursor, InvalidCursor};
pub use event::{
    Content, Event, GapCause, InvalidContent, Malformed, MalformedCause, Message, MessageId,
    PromptState, RequestOutcome, SendRejection, SendState, SettledBy, Source, Status,
};
pub use timer::Timer;

/// A person's end of a session, as a state machine without I/O.
///
/// Four kinds of methods, and nothing happens outside them:
///
/// - **commands** ([`connect`](Self::connect), [`send`](Self::send), [`decide`](Self::decide),
///   [`request`](Self::request), [`interrupt`](Self::interrupt), [`reconnect`](Self::reconnect),
///   [`close`](Self::close)): what the application wants. A refused command changes nothing.
/// - **inputs** ([`handle_input`](Self::handle_input), [`handle_timeout`](Self::handle_timeout)): what
///   the driver saw. They return nothing, trouble is data.
/// - **outputs** ([`poll_effect`](Self::poll_effect), [`poll_event`](Self::poll_event),
///   [`poll_timeout`](Self::poll_timeout)): what is to be done, what is to be told, and when to call
///   again. They only pop, so when and in which order they are drained changes nothing.
/// - **questions** ([`status`](Self::status), [`cursor`](Self::cursor),
///   [`wants_read`](Self::wants_read), [`is_closed`](Self::is_closed), [`is_drained`](Self::is_drained)).
///
/// Every method that takes a time accepts any; an earlier one than the last counts as the last. None
/// of them panics, on any input.
#[derive(Clone)]
pub struct Viewer {
    config: Settings,
    rng: Rng,
    ids: IdCounter,
    now: Timestamp,
    timers: TimerTable<{ Timer::ALL.len() }>,

    phase: Phase,
    status: Status,
    episode: Episode,
    rejected: Option<Token>,
    last_forced: Option<Timestamp>,
    pings: u64,
    inbox: Inbox,
    /// Since when something has been waiting for room.
    backlog: Option<Timestamp>,

    catch_up: CatchUp,
    delivered: Memory,
    refused: Memory,
    prompts: Prompts,
    outbox: Outbox,
    posting: Posting,
    requests: Requests,
    turn: u64,
    watchdog: Watchdog,
    owes_first_answer: bool,

    effects: Queue<Effect>,
    events: EventQueue,
}

impl Viewer {
    /// A viewer that has not been told to connect.
    ///
    /// `seed` feeds ids and jitter: give every session 32 bytes from the system's entropy. Same seed
    /// and same inputs give the same transcript. `now` is where time starts.
    pub fn new(config: ViewerConfig, seed: [u8; 32], now: Timestamp) -> Self {
        let limits = &config.limits;
        let mut catch_up = CatchUp::new();
        let key = Rng::key(&seed);
        let mut delivered = Memory::new(limits.remembered, key);
        if let Some(cursor) = &config.resume_from {
            catch_up.resume_from(cursor);
            if let Cursor::Event(id) = cursor {
                delivered.insert(id);
            }
        }
        Self {
            rng: Rng::new(seed),
            ids: IdCounter::default(),
            now,
            timers: TimerTable::default(),
            phase: Phase::Idle,
            status: Status::Idle,
            episode: Episode::default(),
            rejected: None,
            last_forced: None,
            pings: 0,
            inbox: Inbox::default(),
            backlog: None,
            catch_up,
            delivered,
            refused: Memory::new(limits.remembered, key),
            prompts: Prompts::new(limits, key),
            outbox: Outbox::new(limits, key),
            posting: Posting::default(),
            requests: Requests::default(),
            turn: 0,
            watchdog: Watchdog::default(),
            owes_first_answer: config.has_initial_prompt,
            effects: Queue::default(),
            events: EventQueue::new(limits, config.resume_from.clone()),
            config: config.into(),
        }
    }

    /// Starts connecting. From here on the viewer keeps itself connected until it is closed or its
    /// budget is spent.
    ///
    /// # Errors
    /// When it is connecting or connected already, or closed.
    pub fn connect(&mut self, now: Timestamp) -> Result<(), ConnectError> {
        self.set_now(now);
        match self.phase {
            Phase::Idle => {
                self.attempt(TokenReason::Attempt);
                Ok(())
            }
            Phase::FetchingToken { .. }
            | Phase::Locating { .. }
            | Phase::Opening { .. }
            | Phase::Up(_)
            | Phase::Waiting { .. } => Err(ConnectError::AlreadyConnected),
            Phase::Ending { .. } | Phase::Closing { .. } | Phase::Closed => {
                Err(ConnectError::Closed)
            }
        }
    }

    /// Queues a message. It is posted in order, under one id however often it takes, and ends in exactly
    /// one of [`SendState::Accepted`] and [`SendState::Rejected`]. May be called in any connection state.
    ///
    /// # Errors
    /// The content comes back when the outbox is full, the viewer only watches, or it is closed.
    pub fn send(&mut self, now: Timestamp, content: Content) -> Result<MessageId, SendError> {
        self.set_now(now);
        let refuse = |reason, content| Err(SendError { reason, content });
        if self.is_ending() {
            return refuse(SendRefusal::Closed, content);
        }
        if self.config.viewer_only {
            return refuse(SendRefusal::ViewerOnly, content);
        }
        // Checked before an id is drawn, so that a refusal leaves no trace.
        if let Err(reason) = self
            .outbox
            .admits(content.as_json().as_str().len(), &self.config.limits)
        {
            return refuse(reason, content);
        }
        let id = MessageId(self.rng.uuid().into());
        let body = endpoint::message_body(&self.config, &id, &content);
        self.outbox.push(id.clone(), body);
        self.events.push(Event::Send {
            id: id.clone(),
            state: SendState::Queued,
        });
        self.advance();
        Ok(id)
    }

    /// Answers a prompt. The answer goes out as soon as the link is live and the prompt is known to be
    /// open; it is kept across drops until then.
    ///
    /// # Errors
    /// When the prompt is not open, is answered already, or may no longer be asked (see
    /// [`Standing`]); when the viewer only watches or is closed.
    pub fn decide(
        &mut self,
        now: Timestamp,
        request_id: &RequestId,
        decision: &Decision,
    ) -> Result<(), DecideError> {
        self.set_now(now);
        if self.is_ending() {
            return Err(DecideError::Closed);
        }
        if self.config.viewer_only {
            return Err(DecideError::ViewerOnly);
        }
        // An id that is not used is not drawn: a refusal leaves no trace.
        let mut rng = self.rng.clone();
        self.prompts.decide(request_id, decision, &rng.uuid())?;
        self.rng = rng;
        self.events.push(Event::PermissionChanged {
            request_id: request_id.clone(),
            state: PromptState::Answered,
        });
        self.advance();
        Ok(())
    }

    /// Asks the agent for something: `set_model`, `set_permission_mode`, any subtype with any fields.
    /// Its one outcome comes as [`Event::Request`]. Sent at most once; offline it waits until its
    /// deadline.
    ///
    /// # Errors
    /// When too many requests are open, the viewer only watches, or it is closed.
    pub fn request(
        &mut self,
        now: Timestamp,
        subtype: &str,
        fields: &Fields,
    ) -> Result<RequestId, RequestError> {
        self.set_now(now);
        self.admit_request()?;
        let patience = self.config.patience.request;
        let audience = Audience::Application;
        let id = self.open_request(subtype, fields, patience, Scope::Session, audience);
        self.advance();
        Ok(id)
    }

    /// Asks the agent to stop what it is doing now. An interrupt that can't be sent while the present
    /// turn lasts, or within its deadline, expires: it never stops a later turn.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    pub fn interrupt(&mut self, now: Timestamp) -> Result<RequestId, RequestError> {
        self.set_now(now);
        self.admit_request()?;
        let patience = self.config.patience.interrupt;
        let scope = Scope::Turn(self.turn);
        let audience = Audience::Application;
        let id = self.open_request("interrupt", &Fields::NONE, patience, scope, audience);
        self.advance();
        Ok(id)
    }

    /// Drops the connection, however it is, and makes a new one. Counts against no budget.
    ///
    /// # Errors
    /// When the last forced reconnect is too fresh, nothing was ever connected, or the viewer is closed.
    pub fn reconnect(&mut self, now: Timestamp) -> Result<(), ReconnectError> {
        self.set_now(now);
        if self.is_ending() {
            return Err(ReconnectError::Closed);
        }
        if matches!(self.phase, Phase::Idle) {
            return Err(ReconnectError::NotConnected);
        }
        if let Some(last) = self.last_forced {
            let interval = self.config.liveness.reconnect_interval;
            let ago = self.now.saturating_since(last);
            if ago < interval {
                let retry_after = interval.saturating_sub(ago);
                return Err(ReconnectError::TooSoon { retry_after });
            }
        }
        self.force();
        self.advance();
        Ok(())
    }

    /// Ends the session's connection: the peer is told, given a moment, and then dropped. Harmless when
    /// repeated.
    pub fn close(&mut self, now: Timestamp) {
        self.set_now(now);
        self.start_closing();
    }

    /// The next order for the driver.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The next thing the application should know.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for; `None` when nothing is
    /// pending. Ask again when events or effects have been taken: if work was waiting for the room they
    /// took, it is due at once.
    pub fn poll_timeout(&self) -> Option<(Timestamp, Timer)> {
        let next = self.timers.next();
        match self.backlog {
            Some(since)
                if next.is_none_or(|(deadline, _)| since < deadline) && self.can_go_on() =>
            {
                Some((since, Timer::Backlog))
            }
            Some(_) | None => next,
        }
    }

    fn set_now(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    fn is_ending(&self) -> bool {
        matches!(
            self.phase,
            Phase::Ending { .. } | Phase::Closing { .. } | Phase::Closed
        )
    }

    fn admit_request(&self) -> Result<(), RequestError> {
        if self.is_ending() {
            Err(RequestError::Closed)
        } else if self.config.viewer_only {
            Err(RequestError::ViewerOnly)
        } else if self.requests.len() >= self.config.limits.requests {
            Err(RequestError::Full)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Viewer {
    /// Where it stands; never what passes through it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer")
            .field("session", &self.config.session)
            .field("status", &self.status)
            .field("now", &self.now)
            .field("deadline", &self.poll_timeout())
            .finish_non_exhaustive()
    }
}
