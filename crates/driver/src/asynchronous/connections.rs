//! Everything that is under way outside the machine: sockets, streams, calls, questions for tokens.

use std::{
    collections::BTreeMap,
    task::{Context, Poll},
};

use attache_protocol::{
    io::{
        Effect, HttpRequestId, Input, NetworkFailure, Refusal, SocketId, StreamId, Token,
        TokenRefusal, TokenRequestId,
    },
    time::Timestamp,
};
use tracing::Instrument as _;

use super::{
    in_flight::InFlight,
    network::{Answer, Network},
    socket::Link,
    stream::EventStream,
    token::ErasedTokenSource,
};
use crate::Machine;

/// Messages or chunks read from one connection before everybody else has a turn, and their bytes: few enough to be
/// still at hand, for the processor as well, when the application looks at them, and enough to be worth waking it.
const TURN: usize = 256;
const TURN_BYTES: usize = 256 * 1024;

/// What a turn brought.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    Nothing,
    /// Messages, and there may be more than are read in a turn; nothing but messages.
    Plenty,
    Something,
}

impl Progress {
    pub(crate) fn of(changed: bool) -> Self {
        if changed {
            Self::Something
        } else {
            Self::Nothing
        }
    }
}

/// Carries effects out and reports what comes of them. Dropping it aborts everything at once.
pub(crate) struct Connections<N: Network> {
    network: N,
    tokens: ErasedTokenSource,
    sockets: BTreeMap<SocketId, Link<N::Socket>>,
    streams: BTreeMap<StreamId, EventStream<N::Body>>,
    calls: InFlight<HttpRequestId, Answer>,
    fetches: InFlight<TokenRequestId, Result<Token, TokenRefusal>>,
}

impl<N: Network> Connections<N> {
    pub(crate) fn new(network: N, tokens: ErasedTokenSource) -> Self {
        Self {
            network,
            tokens,
            sockets: BTreeMap::new(),
            streams: BTreeMap::new(),
            calls: InFlight::new(),
            fetches: InFlight::new(),
        }
    }

    /// Tells the machine what has happened.
    pub(crate) fn report(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        machine: &mut impl Machine,
    ) -> Progress {
        let mut progress = Progress::of(self.open_sockets(cx, now, machine));
        progress = progress.max(self.read_sockets(cx, now, machine));
        progress = progress.max(Progress::of(self.open_streams(cx, now, machine)));
        progress = progress.max(self.read_streams(cx, now, machine));
        progress.max(Progress::of(self.take_answers(cx, now, machine)))
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

    /// Writes what the sockets take.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) {
        for link in self.sockets.values_mut() {
            if let Link::Open(socket) = link {
                socket.write(cx);
            }
        }
    }

    fn open_sockets(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        machine: &mut impl Machine,
    ) -> bool {
        let mut changed = false;
        self.sockets
            .retain(|&id, link| match link.poll_opening(cx) {
                Poll::Pending => true,
                Poll::Ready(opened) => {
                    changed = true;
                    tracing::debug!(socket = id.get(), ?opened, "socket attempt decided");
                    machine.handle_input(
                        now,
                        match opened {
                            Ok(()) => Input::SocketOpened { id },
                            Err(refusal) => Input::SocketRefused { id, refusal },
                        },
                    );
                    opened.is_ok()
                }
            });
        changed
    }

    fn read_sockets(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        machine: &mut impl Machine,
    ) -> Progress {
        let mut progress = Progress::Nothing;
        self.sockets.retain(|&id, link| {
            let Link::Open(socket) = link else {
                return true;
            };
            read(now, machine, &mut progress, || socket.poll_read(id, cx))
        });
        progress
    }

    fn open_streams(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        machine: &mut impl Machine,
    ) -> bool {
        let mut changed = false;
        self.streams
            .retain(|&id, stream| match stream.poll_opening(cx) {
                Poll::Pending => true,
                Poll::Ready(opened) => {
                    changed = true;
                    tracing::debug!(stream = id.get(), ?opened, "stream attempt decided");
                    machine.handle_input(
                        now,
                        match opened {
                            Ok(()) => Input::StreamOpened { id },
                            Err(ending) => Input::StreamClosed { id, ending },
                        },
                    );
                    opened.is_ok()
                }
            });
        changed
    }

    fn read_streams(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        machine: &mut impl Machine,
    ) -> Progress {
        let mut progress = Progress::Nothing;
        self.streams
            .retain(|&id, stream| read(now, machine, &mut progress, || stream.poll_read(id, cx)));
        progress
    }

    fn take_answers(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        machine: &mut impl Machine,
    ) -> bool {
        let mut changed = false;
        while let Poll::Ready((id, fetched)) = self.fetches.poll_next(cx) {
            changed = true;
            machine.handle_input(
                now,
                match fetched {
                    Ok(token) => Input::TokenFetched { id, token },
                    Err(refusal) => Input::TokenRefused { id, refusal },
                },
            );
        }
        while let Poll::Ready((id, answered)) = self.calls.poll_next(cx) {
            changed = true;
            tracing::debug!(request = id.get(), ?answered, "request over");
            machine.handle_input(
                now,
                match answered {
                    Ok(response) => Input::HttpAnswered { id, response },
                    Err(failure) => Input::HttpFailed { id, failure },
                },
            );
        }
        changed
    }

    fn carry_out_one(&mut self, effect: Effect, now: Timestamp, machine: &mut impl Machine) {
        match effect {
            Effect::FetchToken { id, reason } => self.fetches.start(id, (self.tokens)(reason)),
            Effect::OpenSocket { id, request } => {
                let span = tracing::debug_span!("socket", id = id.get());
                let link = span.in_scope(|| Link::open(self.network.clone(), request));
                self.sockets.insert(id, link);
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
                    self.sockets.remove(&id);
                    let refusal = Refusal::Network(NetworkFailure::Ended);
                    let refused = Input::SocketRefused { id, refusal };
                    machine.handle_input(now, refused);
                }
                None => {}
            },
            Effect::AbortSocket { id } => {
                self.sockets.remove(&id);
            }
            Effect::SendHttp { id, request } => {
                let span = tracing::debug_span!("request", id = id.get());
                let network = self.network.clone();
                let call = async move { network.call(request).await }.instrument(span);
                self.calls.start(id, Box::pin(call));
            }
            Effect::CancelHttp { id } => {
                self.calls.cancel(id);
            }
            Effect::OpenStream { id, request } => {
                let span = tracing::debug_span!("stream", id = id.get());
                let stream = span.in_scope(|| EventStream::open(self.network.clone(), request));
                self.streams.insert(id, stream);
            }
            Effect::CloseStream { id } => {
                self.streams.remove(&id);
            }
        }
    }
}

/// Hands in what one connection brings in a turn, for as long as the machine wants it. Whether the
/// connection is still open.
fn read(
    now: Timestamp,
    machine: &mut impl Machine,
    progress: &mut Progress,
    mut next: impl FnMut() -> Poll<Input>,
) -> bool {
    let (mut count, mut bytes) = (0, 0);
    while count < TURN && bytes < TURN_BYTES {
        let input = if machine.wants_read() {
            next()
        } else {
            Poll::Pending
        };
        let Poll::Ready(input) = input else {
            *progress = Progress::of(count > 0).max(*progress);
            return true;
        };
        count += 1;
        bytes += weight(&input);
        let closed = matches!(
            input,
            Input::SocketClosed { .. } | Input::StreamClosed { .. }
        );
        if closed {
            tracing::debug!(?input, "connection closed");
        }
        machine.handle_input(now, input);
        if closed {
            *progress = Progress::Something;
            return false;
        }
    }
    *progress = Progress::Plenty.max(*progress);
    true
}

/// What an input carries, in bytes.
fn weight(input: &Input) -> usize {
    match input {
        Input::SocketText { text, .. } => text.len(),
        Input::SocketBinary { bytes, .. } | Input::StreamBytes { bytes, .. } => bytes.len(),
        Input::TokenFetched { .. }
        | Input::TokenRefused { .. }
        | Input::SocketOpened { .. }
        | Input::SocketRefused { .. }
        | Input::SocketBytes { .. }
        | Input::SocketPing { .. }
        | Input::SocketPong { .. }
        | Input::SocketClosed { .. }
        | Input::HttpAnswered { .. }
        | Input::HttpFailed { .. }
        | Input::StreamOpened { .. }
        | Input::StreamClosed { .. }
        | Input::Woke => 0,
    }
}
