//! The viewer: a person's end of a session.

mod command;
mod config;
mod event;

use crate::{
    frame::{RequestId, control::Fields},
    io::{Effect, Input},
    time::{TimerIndex, Timestamp},
};

pub use command::{
    ConnectError, DecideError, ReconnectError, RequestError, SendError, SendRefusal,
};
pub use config::{CredentialPlacement, History, Limits, Liveness, Patience, ViewerConfig};
pub use event::{
    AfterDeny, Allow, Content, Decision, Deny, Event, GapCause, InvalidContent, Malformed,
    MalformedCause, Message, MessageId, PromptState, RequestOutcome, SendRejection, SendState,
    SettledBy, Source, Standing, Status,
};

/// What a deadline of the viewer is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The token source must have answered.
    Token,
    /// The upgrade must have been answered.
    Connect,
    /// The next attempt starts.
    Retry,
    /// A ping goes out.
    Ping,
    /// The link is dead unless something was heard.
    Silence,
    /// The link has been up long enough to forget earlier failures.
    Stable,
    /// The closing handshake is over, agreed or not.
    Close,
    /// A page of history must have come, or may be asked for again.
    Page,
    /// The catch-up as a whole must be over.
    CatchUp,
    /// The message in flight must have been answered, or may be tried again.
    Outbox,
    /// The oldest open request lapses.
    Request,
    /// The agent has been silent for too long after a send.
    Watchdog,
}

impl TimerIndex for Timer {
    const ALL: &'static [Self] = &[
        Self::Token,
        Self::Connect,
        Self::Retry,
        Self::Ping,
        Self::Silence,
        Self::Stable,
        Self::Close,
        Self::Page,
        Self::CatchUp,
        Self::Outbox,
        Self::Request,
        Self::Watchdog,
    ];

    fn index(self) -> usize {
        self as usize
    }
}

/// A person's end of a session, as a state machine.
#[derive(Clone, Debug)]
pub struct Viewer {
    status: Status,
}

#[expect(
    unused_variables,
    clippy::unused_self,
    clippy::needless_pass_by_ref_mut,
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "signatures first"
)]
impl Viewer {
    pub fn new(config: ViewerConfig, seed: [u8; 32], now: Timestamp) -> Self {
        Self {
            status: Status::Idle,
        }
    }
    pub fn connect(&mut self, now: Timestamp) -> Result<(), ConnectError> {
        Ok(())
    }
    pub fn send(&mut self, now: Timestamp, content: Content) -> Result<MessageId, SendError> {
        Ok(MessageId("".into()))
    }
    pub fn decide(
        &mut self,
        now: Timestamp,
        request_id: &RequestId,
        decision: Decision,
    ) -> Result<(), DecideError> {
        Ok(())
    }
    pub fn request(
        &mut self,
        now: Timestamp,
        subtype: &str,
        fields: &Fields,
    ) -> Result<RequestId, RequestError> {
        Err(RequestError::Full)
    }
    pub fn interrupt(&mut self, now: Timestamp) -> Result<RequestId, RequestError> {
        Err(RequestError::Full)
    }
    pub fn reconnect(&mut self, now: Timestamp) -> Result<(), ReconnectError> {
        Ok(())
    }
    pub fn close(&mut self, now: Timestamp) {}
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {}
    pub fn handle_timeout(&mut self, now: Timestamp) {}
    pub fn poll_effect(&mut self) -> Option<Effect> {
        None
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
    pub fn poll_timeout(&self) -> Option<(Timestamp, Timer)> {
        None
    }
    pub fn status(&self) -> &Status {
        &self.status
    }
    pub fn wants_read(&self) -> bool {
        true
    }
    pub fn is_closed(&self) -> bool {
        false
    }
    pub fn is_drained(&self) -> bool {
        false
    }
}
