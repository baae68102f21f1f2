//! The promises of the machine, held against every step of every story.

mod retries;
mod silence;
mod tokens;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    time::Duration,
};

use attache_protocol::{
    ByteString,
    io::{Effect, HttpRequest, HttpRequestId, Input, Method},
    time::Timestamp,
    viewer::{Event, SendState, Status, Timer, Viewer, ViewerConfig},
};

use crate::{SECRET, record::Call, server::LineId};
use retries::Retries;
use silence::Silence;
use tokens::Tokens;

/// What must stay true, and what has to be remembered to know.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    retries: Retries,
    silence: Silence,
    tokens: Tokens,
    stable_after: Duration,
    now: Timestamp,
    shown: Status,
    lines: BTreeSet<LineId>,
    posts: BTreeSet<HttpRequestId>,
    control_posts: BTreeSet<HttpRequestId>,
    delivered: BTreeSet<ByteString>,
    sends: BTreeMap<String, Option<SendState>>,
    requests: BTreeMap<String, bool>,
    open_prompts: BTreeSet<String>,
    status: Option<Status>,
    statuses: Statuses,
    closed: bool,
    /// What was shown last.
    text: String,
}

/// How much of the way the statuses show.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum Statuses {
    #[default]
    All,
    /// An application that takes no events is told the last of several.
    Merged,
}

impl Checks {
    pub(crate) fn new(config: &ViewerConfig) -> Self {
        Self {
            retries: Retries::new(config),
            silence: Silence::new(config),
            tokens: Tokens::default(),
            stable_after: config.liveness.stable_after,
            now: Timestamp::ORIGIN,
            shown: Status::Idle,
            lines: BTreeSet::new(),
            posts: BTreeSet::new(),
            control_posts: BTreeSet::new(),
            delivered: BTreeSet::new(),
            sends: BTreeMap::new(),
            requests: BTreeMap::new(),
            open_prompts: BTreeSet::new(),
            status: None,
            statuses: Statuses::All,
            closed: false,
            text: String::new(),
        }
    }

    /// A call is about to be made.
    pub(crate) fn call(&mut self, now: Timestamp, call: &Call) {
        self.now = now;
        self.retries.call(now, call);
        if let Call::Input(input) = call {
            self.silence.input(now, input);
            self.tokens.input(now, input, self.stable_after);
            self.input(input);
        }
    }

    /// What questions show after a call.
    pub(crate) fn status(
        &mut self,
        viewer: &Viewer,
        deadline: Option<(Timestamp, Timer)>,
    ) -> Result<(), String> {
        waits_for_something(viewer.status(), deadline)?;
        let status = viewer.status();
        Retries::is_due(status, deadline)?;
        self.retries.status(self.now, status)?;
        if *status != self.shown {
            self.silence.status(self.now, status)?;
            self.shown = status.clone();
        }
        Ok(())
    }

    pub(crate) fn sent(&mut self, id: &str) -> Result<(), String> {
        match self.sends.insert(id.to_owned(), None) {
            None => Ok(()),
            Some(_) => Err(format!("message id {id} was given out twice")),
        }
    }

    pub(crate) fn requested(&mut self, id: &str) -> Result<(), String> {
        match self.requests.insert(id.to_owned(), false) {
            None => Ok(()),
            Some(_) => Err(format!("request id {id} was given out twice")),
        }
    }

    /// Another process: what has been delivered stays so, everything else begins anew.
    pub(crate) fn begin_anew(&mut self, config: &ViewerConfig) {
        *self = Self {
            delivered: std::mem::take(&mut self.delivered),
            statuses: Statuses::Merged,
            ..Self::new(config)
        };
    }

    pub(crate) fn slow_reader(&mut self) {
        self.statuses = Statuses::Merged;
    }

    /// Every step that begins after the end must stay silent.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn input(&mut self, input: &Input) {
        match input {
            Input::SocketRefused { id, .. } | Input::SocketClosed { id, .. } => {
                self.lines.remove(&LineId::Socket(*id));
            }
            Input::StreamClosed { id, .. } => {
                self.lines.remove(&LineId::Stream(*id));
            }
            Input::HttpAnswered { id, .. } | Input::HttpFailed { id, .. } => {
                self.posts.remove(id);
                self.control_posts.remove(id);
            }
            Input::TokenFetched { .. }
            | Input::TokenRefused { .. }
            | Input::SocketOpened { .. }
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

    pub(crate) fn effect(&mut self, effect: &Effect) -> Result<(), String> {
        self.no_secret(effect)?;
        self.retries.effect(self.now, effect)?;
        self.tokens.effect(self.now, effect, self.stable_after)?;
        match effect {
            Effect::OpenSocket { id, .. } => return self.opened(LineId::Socket(*id)),
            Effect::OpenStream { id, .. } => return self.opened(LineId::Stream(*id)),
            Effect::AbortSocket { id } => return self.aborted(LineId::Socket(*id)),
            Effect::CloseStream { id } => return self.aborted(LineId::Stream(*id)),
            Effect::SendText { id, .. }
            | Effect::SendPing { id, .. }
            | Effect::CloseSocket { id, .. } => {
                if !self.lines.contains(&LineId::Socket(*id)) {
                    return Err(format!("{effect:?} for a socket that is gone"));
                }
            }
            Effect::SendHttp { id, request } => {
                let posts = match (request.method, is_message(request)) {
                    (Method::Post, true) => &mut self.posts,
                    (Method::Post, false) => &mut self.control_posts,
                    (Method::Get | Method::Put | Method::Patch | Method::Delete, _) => {
                        return Ok(());
                    }
                };
                if !posts.insert(*id) {
                    return Err(format!("{id:?} used twice"));
                }
                if posts.len() > 1 {
                    return Err("two posts of a kind in flight at once".to_owned());
                }
            }
            Effect::CancelHttp { id } => {
                self.posts.remove(id);
                self.control_posts.remove(id);
            }
            Effect::FetchToken { .. } => {}
        }
        Ok(())
    }

    fn no_secret(&mut self, shown: &dyn fmt::Debug) -> Result<(), String> {
        self.text.clear();
        let is_written = write!(self.text, "{shown:?}").is_ok();
        if is_written && !self.text.contains(SECRET) {
            return Ok(());
        }
        Err("a token shows up in Debug".to_owned())
    }

    fn opened(&mut self, line: LineId) -> Result<(), String> {
        if let Some(open) = self.lines.first() {
            return Err(format!(
                "{line:?} opened while {open:?} is neither gone nor aborted"
            ));
        }
        self.lines.insert(line);
        Ok(())
    }

    fn aborted(&mut self, line: LineId) -> Result<(), String> {
        if self.lines.remove(&line) {
            Ok(())
        } else {
            Err(format!("{line:?} aborted though it is gone"))
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other events carry no promise of their own"
    )]
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), String> {
        self.no_secret(event)?;
        if self.closed {
            return Err(format!("{event:?} after Closed"));
        }
        match event {
            Event::Message(message) => {
                if let Some(uuid) = message.frame.uuid()
                    && !self.delivered.insert(uuid.clone())
                {
                    return Err(format!("message {uuid} delivered twice"));
                }
            }
            Event::Send { id, state } => match self.sends.get_mut(id.as_str()) {
                None => return Err(format!("state of a message {id} that nobody sent")),
                Some(known) => {
                    if !may_follow(known.as_ref(), state) {
                        return Err(format!("message {id} goes from {known:?} to {state:?}"));
                    }
                    *known = Some(state.clone());
                }
            },
            Event::Request { request_id, .. } => match self.requests.get_mut(request_id.as_str()) {
                None => return Err(format!("outcome of a request {request_id} nobody made")),
                Some(true) => return Err(format!("request {request_id} ended twice")),
                Some(ended) => *ended = true,
            },
            Event::Status(status) => {
                if self.statuses == Statuses::All && self.status.as_ref() == Some(status) {
                    return Err(format!("{status:?} reported twice in a row"));
                }
                self.status = Some(status.clone());
            }
            Event::PermissionRequested(_)
            | Event::PermissionChanged { .. }
            | Event::PermissionSettled { .. }
            | Event::AnswerRefused { .. }
            | Event::PermissionWithdrawn { .. } => return self.prompt(event),
            Event::Closed(_) => {
                self.closed = true;
                return self.all_ended();
            }
            _ => {}
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other events are about something else"
    )]
    fn prompt(&mut self, event: &Event) -> Result<(), String> {
        let kept = match event {
            Event::PermissionRequested(prompt) => {
                self.open_prompts.insert(prompt.request_id().to_string())
            }
            Event::PermissionChanged { request_id, .. }
            | Event::AnswerRefused { request_id, .. } => {
                self.open_prompts.contains(request_id.as_str())
            }
            Event::PermissionSettled { request_id, .. } => {
                self.open_prompts.remove(request_id.as_str())
            }
            Event::PermissionWithdrawn { request_id } => {
                self.open_prompts.remove(request_id.as_str());
                true
            }
            _ => true,
        };
        if kept {
            Ok(())
        } else {
            Err(format!("{event:?} about a prompt that does not stand so"))
        }
    }

    pub(crate) fn timeout(
        now: Timestamp,
        deadline: Option<(Timestamp, Timer)>,
    ) -> Result<(), String> {
        match deadline {
            Some((at, timer)) if at <= now => Err(format!(
                "after handle_timeout({now:?}) {timer:?} is still due at {at:?}"
            )),
            _ => Ok(()),
        }
    }

    fn all_ended(&self) -> Result<(), String> {
        let final_state = |state: &Option<SendState>| {
            state
                .as_ref()
                .is_some_and(|state| progress(state) >= DECIDED)
        };
        if let Some((id, state)) = self.sends.iter().find(|(_, state)| !final_state(state)) {
            return Err(format!("closed while message {id} is {state:?}"));
        }
        if let Some((id, _)) = self.requests.iter().find(|(_, ended)| !**ended) {
            return Err(format!("closed without an outcome for request {id}"));
        }
        Ok(())
    }
}

/// What is not over has a deadline, so that it will be.
fn waits_for_something(
    status: &Status,
    deadline: Option<(Timestamp, Timer)>,
) -> Result<(), String> {
    match status {
        Status::Idle => Ok(()),
        Status::Closed { .. } => match deadline {
            Some(deadline) => Err(format!("closed, and {deadline:?} is to come")),
            None => Ok(()),
        },
        Status::Connecting { .. }
        | Status::CatchingUp
        | Status::Live
        | Status::Waiting { .. }
        | Status::Closing => match deadline {
            Some(_) => Ok(()),
            None => Err(format!("{status:?} without a deadline")),
        },
    }
}

/// Whether a message may go from `known` to `state`: back and forth until its fate is decided, and
/// then only forward.
fn may_follow(known: Option<&SendState>, state: &SendState) -> bool {
    let before = known.map_or(0, progress);
    match (before, progress(state)) {
        (REJECTED, _) | (DECIDED.., REJECTED) => false,
        (DECIDED.., after) => after > before,
        (_, after) => after <= DECIDED || after == REJECTED,
    }
}

/// From here on a message's fate is known.
const DECIDED: u8 = 1;
const REJECTED: u8 = 5;

fn progress(state: &SendState) -> u8 {
    match state {
        SendState::Queued | SendState::InFlight | SendState::Unknown => 0,
        SendState::Accepted => DECIDED,
        SendState::Delivered => 2,
        SendState::Processing => 3,
        SendState::Processed => 4,
        SendState::Rejected(_) => REJECTED,
    }
}

/// Whether a call posts a message, and no control frame.
pub(crate) fn is_message(request: &HttpRequest) -> bool {
    let body = request.body.as_deref().unwrap_or_default();
    String::from_utf8_lossy(body).contains(r#""type":"user""#)
}
