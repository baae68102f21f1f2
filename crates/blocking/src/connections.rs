//! Everything that is under way outside the machine: sockets, streams, calls, questions for tokens.

use std::{collections::BTreeMap, sync::mpsc::Receiver, time::Instant};

use attache_driver::Machine;
use attache_protocol::{
    io::{Effect, HttpRequestId, Input, NetworkFailure, Refusal, SocketId, StreamId},
    time::Timestamp,
};
use mio::{Interest, Registry};

use crate::{
    abort::AbortOnDrop,
    alarm::Alarm,
    crew::{Crew, Report},
    http::Http,
    socket::{Link, Socket},
    stream::EventStream,
    token::TokenSource,
};

/// Messages or chunks read from one connection before everybody else has a turn.
const TURN: usize = 64;

/// Carries effects out and reports what comes of them. Dropping it breaks everything off and waits for
/// nobody.
pub(crate) struct Connections {
    crew: Crew,
    reports: Receiver<Report>,
    registry: Registry,
    /// Where each socket's token comes from; never used twice.
    opened: usize,
    sockets: BTreeMap<SocketId, Link>,
    streams: BTreeMap<StreamId, EventStream>,
    calls: BTreeMap<HttpRequestId, AbortOnDrop>,
}

impl Connections {
    /// `registry` is of the poll that the driver waits on, and `alarm` wakes it.
    pub(crate) fn new(
        http: Http,
        tokens: impl TokenSource,
        registry: Registry,
        alarm: Alarm,
    ) -> Self {
        let (crew, reports) = Crew::new(http, tokens, alarm);
        Self {
            crew,
            reports,
            registry,
            opened: 0,
            sockets: BTreeMap::new(),
            streams: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Tells the machine what has happened. Whether anything has.
    pub(crate) fn report(&mut self, now: Timestamp, machine: &mut impl Machine) -> bool {
        let mut changed = self.take_reports(now, machine);
        self.sockets.retain(|&id, link| {
            let Link::Open(socket) = link else {
                return true;
            };
            let is_open = read(now, machine, &mut changed, || socket.read(id));
            if !is_open {
                // A socket that can't be taken out goes when it is closed.
                let _ = self.registry.deregister(socket.source());
            }
            is_open
        });
        self.streams
            .retain(|&id, stream| read(now, machine, &mut changed, || stream.read(id)));
        changed
    }

    /// Carries out what the machine orders. Whether there was anything.
    pub(crate) fn carry_out(&mut self, now: Timestamp, machine: &mut impl Machine) -> bool {
        let mut changed = false;
        while let Some(effect) = machine.poll_effect() {
            changed = true;
            tracing::trace!(?effect);
            self.carry_out_one(effect, now, machine);
        }
        changed
    }

    /// Writes what the sockets take. Whether they took anything, or can't any more.
    pub(crate) fn write(&mut self) -> bool {
        let mut changed = false;
        for link in self.sockets.values_mut() {
            if let Link::Open(socket) = link {
                changed |= socket.write();
            }
        }
        changed
    }

    /// Breaks everything off at once, and forgets what has not begun.
    pub(crate) fn abort(&mut self) {
        self.sockets.clear();
        self.calls.clear();
        self.streams.clear();
        self.crew.close();
    }

    /// [`abort`](Self::abort), then waits for the threads, but not beyond `deadline`.
    pub(crate) fn finish(mut self, deadline: Instant) {
        self.abort();
        drop(self.reports);
        self.crew.join(deadline);
    }

    fn take_reports(&mut self, now: Timestamp, machine: &mut impl Machine) -> bool {
        let mut changed = false;
        while let Ok(report) = self.reports.try_recv() {
            changed = true;
            if let Some(input) = self.take_report(report) {
                machine.handle_input(now, input);
            }
        }
        changed
    }

    /// What a report means to the machine, unless that does not want to know any more.
    fn take_report(&mut self, report: Report) -> Option<Input> {
        match report {
            Report::Token(id, Ok(token)) => Some(Input::TokenFetched { id, token }),
            Report::Token(id, Err(refusal)) => Some(Input::TokenRefused { id, refusal }),
            Report::Call(id, answered) => {
                self.calls.remove(&id)?;
                tracing::debug!(request = id.get(), ?answered, "request over");
                Some(match answered {
                    Ok(response) => Input::HttpAnswered { id, response },
                    Err(failure) => Input::HttpFailed { id, failure },
                })
            }
            Report::Socket(id, opened) => {
                self.sockets.remove(&id)?;
                let opened = opened.and_then(|socket| self.watch(socket));
                let decided = opened.as_ref().map(|_| ());
                tracing::debug!(socket = id.get(), ?decided, "socket attempt decided");
                Some(match opened {
                    Ok(socket) => {
                        self.sockets.insert(id, Link::Open(socket));
                        Input::SocketOpened { id }
                    }
                    Err(refusal) => Input::SocketRefused { id, refusal },
                })
            }
            Report::Stream(id, opened) => {
                let stream = self.streams.get_mut(&id)?;
                tracing::debug!(stream = id.get(), ?opened, "stream attempt decided");
                Some(match opened {
                    Ok(()) => {
                        stream.is_open = true;
                        Input::StreamOpened { id }
                    }
                    Err(ending) => {
                        self.streams.remove(&id);
                        Input::StreamClosed { id, ending }
                    }
                })
            }
        }
    }

    /// Lets the driver's poll notice what happens on `socket`.
    fn watch(&mut self, mut socket: Box<Socket>) -> Result<Box<Socket>, Refusal> {
        let token = mio::Token(self.opened);
        self.opened += 1;
        let interests = Interest::READABLE | Interest::WRITABLE;
        match self.registry.register(socket.source(), token, interests) {
            Ok(()) => Ok(socket),
            Err(error) => {
                tracing::warn!(%error, "a socket can't be watched");
                Err(Refusal::Network(NetworkFailure::Other))
            }
        }
    }

    fn carry_out_one(&mut self, effect: Effect, now: Timestamp, machine: &mut impl Machine) {
        match effect {
            Effect::FetchToken { id, reason } => self.crew.fetch_token(id, reason),
            Effect::OpenSocket { id, request } => {
                let abort = self.crew.open_socket(id, request);
                self.sockets.insert(id, Link::Opening(abort));
            }
            Effect::SendText { id, text } => {
                if let Some(Link::Open(socket)) = self.sockets.get_mut(&id) {
                    socket.send_text(&text);
                }
            }
            Effect::SendPing { id, payload } => {
                if let Some(Link::Open(socket)) = self.sockets.get_mut(&id) {
                    socket.send_ping(payload);
                }
            }
            Effect::CloseSocket { id, code } => match self.sockets.get_mut(&id) {
                Some(Link::Open(socket)) => socket.send_close(code),
                Some(Link::Opening(_)) => {
                    self.abort_socket(id);
                    let refusal = Refusal::Network(NetworkFailure::Ended);
                    let refused = Input::SocketRefused { id, refusal };
                    machine.handle_input(now, refused);
                }
                None => {}
            },
            Effect::AbortSocket { id } => self.abort_socket(id),
            Effect::SendHttp { id, request } => {
                let abort = self.crew.call(id, request);
                self.calls.insert(id, abort);
            }
            Effect::CancelHttp { id } => {
                self.calls.remove(&id);
            }
            Effect::OpenStream { id, request } => {
                let stream = self.crew.open_stream(id, request);
                self.streams.insert(id, stream);
            }
            Effect::CloseStream { id } => {
                self.streams.remove(&id);
            }
        }
    }

    fn abort_socket(&mut self, id: SocketId) {
        if let Some(Link::Open(mut socket)) = self.sockets.remove(&id) {
            // A socket that can't be taken out goes when it is closed.
            let _ = self.registry.deregister(socket.source());
        }
    }
}

/// Hands in what one connection brings in a turn, for as long as the machine wants it. Whether the
/// connection is still open.
fn read(
    now: Timestamp,
    machine: &mut impl Machine,
    changed: &mut bool,
    mut next: impl FnMut() -> Option<Input>,
) -> bool {
    for _ in 0..TURN {
        if !machine.wants_read() {
            return true;
        }
        let Some(input) = next() else {
            return true;
        };
        *changed = true;
        let closed = matches!(
            input,
            Input::SocketClosed { .. } | Input::StreamClosed { .. }
        );
        if closed {
            tracing::debug!(?input, "connection closed");
        }
        machine.handle_input(now, input);
        if closed {
            return false;
        }
    }
    true
}
