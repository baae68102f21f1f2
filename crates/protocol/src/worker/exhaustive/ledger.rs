//! What has come out of a worker so far, and what must not come out any more.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
};

use bytestring::ByteString;

use super::super::{WorkerEvent, calls::Call};
use crate::io::{Effect, HttpRequest, HttpRequestId, Method, StreamId, TokenRequestId};

/// The promises that need a memory. It is part of the state: what was promised before makes a difference.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) stream: Option<(StreamId, Stage)>,
    pub(super) calls: BTreeMap<HttpRequestId, (Call, String)>,
    pub(super) question: Option<TokenRequestId>,
    /// The newest credentials granted: their token, and their epoch.
    pub(super) granted: Option<(&'static str, u64)>,
    /// The frames handed in that the server has not confirmed, oldest first.
    pub(super) unconfirmed: BTreeSet<&'static str>,
    confirmed: BTreeSet<&'static str>,
    /// What must be with the server before it is told that the event was processed.
    pub(super) behind: Option<BTreeSet<&'static str>>,
    inbound: BTreeSet<ByteString>,
    /// How often credentials were refused since the server took something.
    pub(super) refusals: u32,
    pub(super) was_archived: bool,
    /// Another worker owns the session.
    pub(super) is_fenced: bool,
    pub(super) is_closed: bool,
}

/// What the driver knows of a stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Attempted,
    Open,
}

/// An id nobody may use any more.
#[derive(Copy, Clone, Debug)]
pub(super) enum Stale {
    Stream(StreamId),
    Call(HttpRequestId),
    Question(TokenRequestId),
}

impl Ledger {
    /// What is known that the worker's own text does not show. Which question is open it does, and how often credentials
    /// were refused.
    pub(super) fn shown(&self) -> String {
        let Self {
            stream,
            calls,
            question: _,
            granted,
            unconfirmed,
            confirmed,
            behind,
            inbound,
            refusals: _,
            was_archived,
            is_fenced,
            is_closed,
        } = self;
        format!(
            "{stream:?} {calls:?} {granted:?} {unconfirmed:?} {confirmed:?} {behind:?} {inbound:?} \
             {was_archived} {is_fenced} {is_closed}"
        )
    }

    /// The stream ended by itself.
    pub(super) fn stream_gone(&mut self) -> Option<Stale> {
        self.stream.take().map(|(id, _)| Stale::Stream(id))
    }

    /// The server has everything that went up with `body`.
    pub(super) fn confirm(&mut self, body: &str) {
        let arrived = self.over(body);
        self.confirmed.extend(arrived);
    }

    /// Nothing will become of what went up with `body`, or everything has.
    pub(super) fn over(&mut self, body: &str) -> BTreeSet<&'static str> {
        let (arrived, missing) = self
            .unconfirmed
            .iter()
            .copied()
            .partition(|uuid| body.contains(uuid));
        let arrived: BTreeSet<&str> = arrived;
        self.unconfirmed = missing;
        if let Some(behind) = &mut self.behind {
            behind.retain(|uuid| !arrived.contains(uuid));
        }
        arrived
    }

    /// An order to the driver. What it makes stale.
    pub(super) fn effect(&mut self, effect: &Effect) -> Result<Option<Stale>, String> {
        let drops = matches!(
            effect,
            Effect::CloseStream { .. } | Effect::CancelHttp { .. }
        );
        if (self.is_closed || self.is_fenced) && !drops {
            return Err(format!("{effect:?} after the end"));
        }
        match effect {
            Effect::FetchToken { id, .. } => {
                let before = self.question.replace(*id);
                Ok(before.map(Stale::Question))
            }
            Effect::OpenStream { id, request } => {
                if let Some(before) = &self.stream {
                    return Err(format!("{id:?} is opened beside {before:?}"));
                }
                self.newest(request)?;
                self.stream = Some((*id, Stage::Attempted));
                Ok(None)
            }
            Effect::CloseStream { id } => match self.stream {
                Some((current, _)) if current == *id => Ok(self.stream_gone()),
                _ => Err(format!("{id:?} is dropped though it is gone")),
            },
            Effect::SendHttp { id, request } => {
                self.called(*id, request)?;
                Ok(None)
            }
            Effect::CancelHttp { id } => match self.calls.remove(id) {
                Some(_) => Ok(Some(Stale::Call(*id))),
                None => Err(format!("{id:?} is given up though nobody waits for it")),
            },
            Effect::OpenSocket { .. }
            | Effect::SendText { .. }
            | Effect::SendPing { .. }
            | Effect::CloseSocket { .. }
            | Effect::AbortSocket { .. } => Err(format!("{effect:?} of a worker")),
        }
    }

    fn called(&mut self, id: HttpRequestId, request: &HttpRequest) -> Result<(), String> {
        let kind = kind(request)?;
        if let Some((other, _)) = self.calls.values().find(|(open, _)| *open == kind) {
            return Err(format!("a second {other:?} call while one is under way"));
        }
        let body =
            String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
        match kind {
            Call::Register => {}
            Call::Bridge => {
                // Each one fences the one before it, so nothing of that one may be under way.
                if let Some((other, _)) = self.calls.values().next() {
                    return Err(format!("credentials are asked for beside a {other:?} call"));
                }
                if self.stream.is_some() {
                    return Err("credentials are asked for beside a stream".to_string());
                }
            }
            Call::Archive => self.was_archived = true,
            Call::Read | Call::Report | Call::Heartbeat => self.newest(request)?,
            Call::Upload => {
                self.newest(request)?;
                let again = self.confirmed.iter().find(|uuid| body.contains(**uuid));
                if let Some(uuid) = again {
                    return Err(format!("{uuid} goes up again though it was confirmed"));
                }
            }
            Call::Delivery => {
                self.newest(request)?;
                let early = self
                    .behind
                    .as_ref()
                    .is_some_and(|behind| !behind.is_empty());
                if early && body.contains("processed") {
                    return Err("an event is told processed before what came of it".to_string());
                }
            }
        }
        self.calls.insert(id, (kind, body));
        Ok(())
    }

    /// Whether `request` is made with the newest credentials.
    fn newest(&self, request: &HttpRequest) -> Result<(), String> {
        match self.granted {
            Some((token, _)) if token == request.bearer.expose() => Ok(()),
            granted => Err(format!("{request:?} is not made with {granted:?}")),
        }
    }

    /// Something the application is told.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others carry no promise of their own"
    )]
    pub(super) fn event(&mut self, event: &WorkerEvent) -> Result<(), String> {
        if self.is_closed {
            return Err(format!("{event:?} after the end"));
        }
        match event {
            WorkerEvent::Inbound(inbound) => {
                let id = ByteString::from(inbound.event_id.as_str());
                if self.inbound.insert(id) {
                    Ok(())
                } else {
                    Err(format!("{event:?} a second time"))
                }
            }
            WorkerEvent::Closed(_) => {
                self.is_closed = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn kind(request: &HttpRequest) -> Result<Call, String> {
    let path = request.path.as_str();
    Ok(match request.method {
        Method::Get => Call::Read,
        Method::Put => Call::Report,
        Method::Post if path.ends_with("/sessions") => Call::Register,
        Method::Post if path.ends_with("/bridge") => Call::Bridge,
        Method::Post if path.ends_with("/delivery") => Call::Delivery,
        Method::Post if path.ends_with("/heartbeat") => Call::Heartbeat,
        Method::Post if path.ends_with("/archive") => Call::Archive,
        Method::Post if path.ends_with("/worker/events") => Call::Upload,
        Method::Post | Method::Patch | Method::Delete => {
            return Err(format!("an unknown call {request:?}"));
        }
    })
}
