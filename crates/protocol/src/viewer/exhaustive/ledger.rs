//! What has come out of a viewer so far, and what must not come out any more.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
};

use bytestring::ByteString;

use super::super::{Event, PromptState, SendState, SettledBy, phase::Line};
use crate::{
    frame::{Frame, FrameKind},
    io::{Effect, HttpRequest, HttpRequestId, Method, Token, TokenRequestId},
};

/// The promises that need a memory. It is part of the state: what was promised before makes a difference.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// The line that is being opened, open, or being closed.
    pub(super) line: Option<(Line, Stage)>,
    pub(super) last_ping: Option<u64>,
    /// The calls that can be answered.
    pub(super) calls: BTreeMap<HttpRequestId, Call>,
    /// The question to the token source that was asked last.
    pub(super) question: Option<TokenRequestId>,
    /// The token that was refused when the line was opened, until the link has been stable.
    pub(super) refused: Option<String>,
    pub(super) line_token: Option<String>,
    delivered: BTreeSet<ByteString>,
    sends: BTreeMap<String, SendState>,
    requests: BTreeSet<String>,
    prompts: BTreeSet<String>,
    /// The prompts that a person has answered.
    pub(super) decided: BTreeSet<String>,
    answers: BTreeMap<String, ByteString>,
    answered_on_line: BTreeSet<String>,
    pub(super) is_closed: bool,
}

/// What the driver knows of a line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Attempted,
    Open,
    Closing,
}

/// A call that can be answered.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    /// What it was made with.
    pub(super) bearer: String,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Page,
    Message,
    Control,
}

/// An id nobody may use any more.
#[derive(Copy, Clone, Debug)]
pub(super) enum Stale {
    Line(Line),
    Call(HttpRequestId),
    Question(TokenRequestId),
}

impl Ledger {
    pub(super) fn sent(&mut self, id: &str) -> Result<(), String> {
        match self.sends.insert(id.to_string(), SendState::Queued) {
            None => Ok(()),
            Some(_) => Err(format!("message {id} was given out twice")),
        }
    }

    pub(super) fn requested(&mut self, id: &str) {
        self.requests.insert(id.to_string());
    }

    /// The messages whose fate is open.
    pub(super) fn open_sends(&self) -> impl Iterator<Item = &String> {
        let open = |state: &SendState| {
            matches!(
                state,
                SendState::Queued | SendState::InFlight | SendState::Unknown
            )
        };
        self.sends
            .iter()
            .filter(move |(_, state)| open(state))
            .map(|(id, _)| id)
    }

    /// The requests without an outcome.
    pub(super) fn open_requests(&self) -> impl Iterator<Item = &String> {
        self.requests.iter()
    }

    /// The agent asks, perhaps again: an answer may go out, perhaps again.
    pub(super) fn asked(&mut self) {
        self.answered_on_line.clear();
    }

    /// What the driver and the application know that the viewer's own text does not show. Which question is
    /// open it does.
    pub(super) fn shown(&self) -> String {
        let Self {
            line,
            last_ping,
            calls,
            question: _,
            refused,
            line_token,
            delivered,
            sends,
            requests,
            prompts,
            decided,
            answers,
            answered_on_line,
            is_closed,
        } = self;
        // Which ping was the last one, the viewer knows.
        let is_pinged = last_ping.is_some();
        format!(
            "{line:?} {is_pinged} {calls:?} {refused:?} {line_token:?} {delivered:?} {sends:?} \
             {requests:?} {prompts:?} {decided:?} {answers:?} {answered_on_line:?} {is_closed}"
        )
    }

    /// How many prompts the application knows to be open.
    pub(super) fn open_prompts(&self) -> usize {
        self.prompts.len()
    }

    /// The line ended by itself.
    pub(super) fn line_gone(&mut self) -> Option<Stale> {
        self.answered_on_line.clear();
        self.last_ping = None;
        self.line_token = None;
        self.line.take().map(|(line, _)| Stale::Line(line))
    }

    /// An order to the driver. What it makes stale.
    pub(super) fn effect(&mut self, effect: &Effect) -> Result<Option<Stale>, String> {
        if self.is_closed
            && !matches!(
                effect,
                Effect::AbortSocket { .. } | Effect::CloseStream { .. } | Effect::CancelHttp { .. }
            )
        {
            return Err(format!("{effect:?} after the end"));
        }
        match effect {
            Effect::FetchToken { id, .. } => {
                let before = self.question.replace(*id);
                Ok(before.map(Stale::Question))
            }
            Effect::OpenSocket { id, request } => {
                let bearer = request.bearer.as_ref().map(Token::expose);
                self.open(Line::Socket(*id), bearer.unwrap_or_default())
            }
            Effect::OpenStream { id, request } => {
                self.open(Line::Stream(*id), request.bearer.expose())
            }
            Effect::AbortSocket { id } => self.abort(Line::Socket(*id)),
            Effect::CloseStream { id } => self.abort(Line::Stream(*id)),
            Effect::CloseSocket { id, .. } => {
                self.writable(Line::Socket(*id), effect)?;
                self.line = Some((Line::Socket(*id), Stage::Closing));
                Ok(None)
            }
            Effect::SendText { id, text } => {
                self.writable(Line::Socket(*id), effect)?;
                self.text(text)?;
                Ok(None)
            }
            Effect::SendPing { id, payload } => {
                self.writable(Line::Socket(*id), effect)?;
                self.last_ping = Some(*payload);
                Ok(None)
            }
            Effect::SendHttp { id, request } => {
                let kind = kind(request);
                if self.calls.values().any(|call| call.kind == kind) {
                    return Err(format!("a second call of kind {kind:?}"));
                }
                let bearer = request.bearer.expose().to_string();
                if kind == CallKind::Control {
                    self.posted(request)?;
                }
                self.calls.insert(*id, Call { kind, bearer });
                Ok(None)
            }
            Effect::CancelHttp { id } => match self.calls.remove(id) {
                Some(_) => Ok(Some(Stale::Call(*id))),
                None => Err(format!("{id:?} is given up though nobody waits for it")),
            },
        }
    }

    fn open(&mut self, line: Line, bearer: &str) -> Result<Option<Stale>, String> {
        if let Some(before) = &self.line {
            return Err(format!("{line:?} is opened beside {before:?}"));
        }
        if self.refused.as_deref() == Some(bearer) {
            return Err(format!("{line:?} is opened with a token that was refused"));
        }
        self.line = Some((line, Stage::Attempted));
        self.line_token = Some(bearer.to_string());
        self.last_ping = None;
        Ok(None)
    }

    fn abort(&mut self, line: Line) -> Result<Option<Stale>, String> {
        match self.line {
            Some((current, _)) if current == line => Ok(self.line_gone()),
            _ => Err(format!("{line:?} is dropped though it is gone")),
        }
    }

    fn writable(&self, line: Line, effect: &Effect) -> Result<(), String> {
        if self.line == Some((line, Stage::Open)) {
            Ok(())
        } else {
            Err(format!("{effect:?} while the line is {:?}", self.line))
        }
    }

    /// A text for the socket.
    fn text(&mut self, text: &ByteString) -> Result<(), String> {
        let Ok(frame) = Frame::classify(text.clone()) else {
            return Err("a text that is no frame is sent".to_string());
        };
        if let FrameKind::ControlResponse { request_id } = frame.kind()
            && text.contains("behavior")
        {
            if !self.answered_on_line.insert(request_id.to_string()) {
                return Err(format!("prompt {request_id} is answered twice on a line"));
            }
            self.same_answer(request_id.as_str(), text)?;
        }
        Ok(())
    }

    fn posted(&mut self, request: &HttpRequest) -> Result<(), String> {
        let body =
            String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
        if !body.contains("behavior") {
            return Ok(());
        }
        // One prompt is all there is.
        self.same_answer("r1", &ByteString::from(body))
    }

    fn same_answer(&mut self, request_id: &str, text: &ByteString) -> Result<(), String> {
        let kept = self
            .answers
            .entry(request_id.to_string())
            .or_insert_with(|| text.clone());
        if kept == text {
            Ok(())
        } else {
            Err(format!("prompt {request_id} gets a second answer"))
        }
    }

    /// Something the application is told.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others carry no promise of their own"
    )]
    pub(super) fn event(&mut self, event: &Event) -> Result<(), String> {
        if self.is_closed {
            return Err(format!("{event:?} after the end"));
        }
        match event {
            Event::Message(message) => match message.frame.uuid() {
                Some(uuid) if !self.delivered.insert(uuid.clone()) => {
                    Err(format!("message {uuid} is delivered twice"))
                }
                _ => Ok(()),
            },
            Event::Send { id, state } => {
                match self.sends.insert(id.as_str().to_string(), state.clone()) {
                    None => Err(format!("{event:?}, which nobody sent")),
                    Some(SendState::Queued | SendState::InFlight | SendState::Unknown) => Ok(()),
                    Some(_) if *state == SendState::Queued => Ok(()),
                    Some(before) => Err(format!("{event:?} after {before:?}")),
                }
            }
            Event::Request { request_id, .. } => {
                if self.requests.remove(request_id.as_str()) {
                    Ok(())
                } else {
                    Err(format!("{event:?}, which nobody waits for"))
                }
            }
            Event::PermissionRequested(prompt) => {
                if self.prompts.insert(prompt.request_id().to_string()) {
                    Ok(())
                } else {
                    Err(format!("{event:?}, which is open"))
                }
            }
            // Another one may be given.
            Event::AnswerRefused { request_id, .. } => {
                self.decided.remove(request_id.as_str());
                self.answers.remove(request_id.as_str());
                Ok(())
            }
            Event::PermissionSettled { request_id, by, .. } => {
                self.decided.remove(request_id.as_str());
                // What was said here did not count. Asked once more, another answer may be given.
                if matches!(by, SettledBy::AnotherViewer { .. }) {
                    self.answers.remove(request_id.as_str());
                }
                if self.prompts.remove(request_id.as_str()) {
                    Ok(())
                } else {
                    Err(format!("{event:?}, which is not open"))
                }
            }
            Event::PermissionWithdrawn { request_id } => {
                self.decided.remove(request_id.as_str());
                self.prompts.remove(request_id.as_str());
                Ok(())
            }
            Event::PermissionChanged { request_id, state } => {
                let is_open = matches!(state, PromptState::Pending | PromptState::Unverified);
                if is_open && self.decided.contains(request_id.as_str()) {
                    return Err(format!("{event:?}, though it is answered"));
                }
                if self.prompts.contains(request_id.as_str()) {
                    Ok(())
                } else {
                    Err(format!("{event:?}, which is not open"))
                }
            }
            Event::Closed(_) => {
                self.is_closed = true;
                let send = self.open_sends().next();
                if let Some(id) = send {
                    return Err(format!("closed while message {id} is under way"));
                }
                match self.open_requests().next() {
                    Some(id) => Err(format!("closed without an outcome for request {id}")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

fn kind(request: &HttpRequest) -> CallKind {
    let body = String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
    match request.method {
        Method::Post if body.contains(r#""type":"user""#) => CallKind::Message,
        Method::Post => CallKind::Control,
        Method::Get | Method::Put | Method::Patch | Method::Delete => CallKind::Page,
    }
}
