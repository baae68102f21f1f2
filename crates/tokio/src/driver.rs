//! The driver: carries the machine's orders out and tells it what happens.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use attache_driver::Clock;
use attache_protocol::{
    io::{
        Effect, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, SocketId, Token,
        TokenRefusal, TokenRequestId,
    },
    policy::CloseCause,
    time::Timestamp,
    viewer::{Viewer, ViewerConfig},
};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{Instrument as _, Span};

use crate::{
    events::{self, Events, Outlet},
    http::Http,
    in_flight::InFlight,
    session::{self, Command, Inlet, Session, closed_cause},
    socket::Link,
    token::ErasedTokenSource,
};

/// Messages read from a socket, and commands taken, before everybody else has a turn.
const TURN: usize = 64;

/// Does a session's work: a future to spawn, which is done when the session is closed and nothing is
/// left to do. Events that the application has not taken by then stay readable.
///
/// One poll is one turn: take what came, let the machine judge, carry out what it orders. A turn that
/// changed anything asks for another one; the timer is armed in a turn that changed nothing.
///
/// Needs a tokio runtime with I/O and time enabled. Dropping it aborts everything at once.
#[must_use = "nothing happens unless the driver is spawned or polled"]
pub struct Driver {
    viewer: Viewer,
    clock: Clock,
    inlet: Inlet,
    outlet: Outlet,
    http: Http,
    tokens: ErasedTokenSource,
    sockets: BTreeMap<SocketId, Link>,
    calls: InFlight<HttpRequestId, Result<HttpResponse, NetworkFailure>>,
    fetches: InFlight<TokenRequestId, Result<Token, TokenRefusal>>,
    timer: Option<Pin<Box<Sleep>>>,
    stage: Stage,
    span: Span,
}

/// What the next turn must think of.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Stage {
    /// Nobody has told the machine to connect.
    New,
    /// Commands may come.
    Commanded,
    /// Every handle is gone.
    Abandoned,
}

impl Driver {
    pub(crate) fn prepare(
        config: ViewerConfig,
        seed: [u8; 32],
        http: Http,
        tokens: ErasedTokenSource,
    ) -> (Session, Events, Self) {
        let clock = Clock::start();
        let span = tracing::info_span!("session", id = %config.session);
        let (inlet, session, commands) = session::channel(clock);
        let (outlet, events) = events::channel(commands);
        let driver = Self {
            viewer: Viewer::new(config, seed, clock.now()),
            clock,
            inlet,
            outlet,
            http,
            tokens,
            sockets: BTreeMap::new(),
            calls: InFlight::new(),
            fetches: InFlight::new(),
            timer: None,
            stage: Stage::New,
            span,
        };
        (session, events, driver)
    }

    /// One turn. Whether anything changed.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        // The clock first, inputs next, the timer last: what came before a deadline counts.
        let now = self.clock.now();
        let mut changed = self.take_commands(cx, now);
        changed |= self.open_sockets(cx, now);
        changed |= self.read_sockets(cx, now);
        changed |= self.take_answers(cx, now);
        changed |= self.fire_timer(now);
        changed |= self.carry_out(now);
        self.write_sockets(cx);
        changed |= self.outlet.deliver(cx, &mut self.viewer);
        self.publish_status();
        changed
    }

    fn take_commands(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let mut changed = false;
        if self.stage == Stage::New {
            self.stage = Stage::Commanded;
            changed = true;
            if let Err(error) = self.viewer.connect(now) {
                tracing::debug!(%error, "not connecting");
            }
        }
        if self.inlet.wake.take(cx) {
            self.viewer.handle_input(now, Input::Woke);
            changed = true;
        }
        for _ in 0..TURN {
            if self.stage == Stage::Abandoned {
                break;
            }
            match self.inlet.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.obey(command, now),
                Poll::Ready(None) => {
                    self.stage = Stage::Abandoned;
                    self.viewer.close(now);
                }
                Poll::Pending => break,
            }
            changed = true;
        }
        changed
    }

    /// Whoever asked may have gone; a reply that nobody waits for is dropped.
    fn obey(&mut self, command: Command, now: Timestamp) {
        match command {
            Command::Send(content, reply) => {
                let _ = reply.send(self.viewer.send(now, content));
            }
            Command::Decide(request_id, decision, reply) => {
                let _ = reply.send(self.viewer.decide(now, &request_id, &decision));
            }
            Command::Request(subtype, fields, reply) => {
                let _ = reply.send(self.viewer.request(now, &subtype, &fields));
            }
            Command::Interrupt(reply) => {
                let _ = reply.send(self.viewer.interrupt(now));
            }
            Command::Reconnect(reply) => {
                let _ = reply.send(self.viewer.reconnect(now));
            }
            Command::Close => self.viewer.close(now),
        }
    }

    fn open_sockets(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let mut changed = false;
        let viewer = &mut self.viewer;
        self.sockets
            .retain(|&id, link| match link.poll_opening(cx) {
                Poll::Pending => true,
                Poll::Ready(opened) => {
                    changed = true;
                    tracing::debug!(socket = id.get(), ?opened, "socket attempt decided");
                    viewer.handle_input(
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

    fn read_sockets(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let mut changed = false;
        let viewer = &mut self.viewer;
        self.sockets.retain(|&id, link| {
            let Link::Open(socket) = link else {
                return true;
            };
            for _ in 0..TURN {
                if !viewer.wants_read() {
                    return true;
                }
                let Poll::Ready(input) = socket.poll_read(id, cx) else {
                    return true;
                };
                changed = true;
                let closed = matches!(input, Input::SocketClosed { .. });
                if closed {
                    tracing::debug!(socket = id.get(), ?input, "socket closed");
                }
                viewer.handle_input(now, input);
                if closed {
                    return false;
                }
            }
            true
        });
        changed
    }

    fn take_answers(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let mut changed = false;
        while let Poll::Ready((id, fetched)) = self.fetches.poll_next(cx) {
            changed = true;
            self.viewer.handle_input(
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
            self.viewer.handle_input(
                now,
                match answered {
                    Ok(response) => Input::HttpAnswered { id, response },
                    Err(failure) => Input::HttpFailed { id, failure },
                },
            );
        }
        changed
    }

    fn fire_timer(&mut self, now: Timestamp) -> bool {
        let due = self
            .viewer
            .poll_timeout()
            .is_some_and(|(deadline, _)| deadline <= now);
        if due {
            self.viewer.handle_timeout(now);
        }
        due
    }

    fn carry_out(&mut self, now: Timestamp) -> bool {
        let mut changed = false;
        while let Some(effect) = self.viewer.poll_effect() {
            changed = true;
            tracing::trace!(?effect);
            self.carry_out_one(effect, now);
        }
        changed
    }

    fn carry_out_one(&mut self, effect: Effect, now: Timestamp) {
        match effect {
            Effect::FetchToken { id, reason } => self.fetches.start(id, (self.tokens)(reason)),
            Effect::OpenSocket { id, request } => {
                let span = tracing::debug_span!("socket", id = id.get());
                let link = span.in_scope(|| Link::open(self.http.clone(), request));
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
                    self.viewer.handle_input(now, refused);
                }
                None => {}
            },
            Effect::AbortSocket { id } => {
                self.sockets.remove(&id);
            }
            Effect::SendHttp { id, request } => {
                let span = tracing::debug_span!("request", id = id.get());
                let http = self.http.clone();
                let call = async move { http.call(request).await }.instrument(span);
                self.calls.start(id, Box::pin(call));
            }
            Effect::CancelHttp { id } => {
                self.calls.cancel(id);
            }
        }
    }

    fn write_sockets(&mut self, cx: &mut Context<'_>) {
        for link in self.sockets.values_mut() {
            if let Link::Open(socket) = link {
                socket.write(cx);
            }
        }
    }

    fn publish_status(&self) {
        let status = self.viewer.status();
        self.inlet.status.send_if_modified(|published| {
            let changed = published != status;
            if changed {
                tracing::info!(?status);
                published.clone_from(status);
            }
            changed
        });
    }

    /// Waits for the machine's deadline. Ready if that has come already.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.viewer.poll_timeout().map(|(deadline, _)| deadline);
        let Some(instant) = deadline.and_then(|deadline| self.clock.instant(deadline)) else {
            return Poll::Pending;
        };
        let instant = Instant::from_std(instant);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(instant)));
        if timer.deadline() != instant {
            timer.as_mut().reset(instant);
        }
        timer.as_mut().poll(cx)
    }
}

impl Future for Driver {
    type Output = CloseCause;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseCause> {
        let this = &mut *self;
        let span = this.span.clone();
        let _entered = span.enter();
        let changed = this.turn(cx);
        // The turn has carried every order out; events that are left wait for the application.
        if this.viewer.is_closed() {
            this.outlet.finish(&mut this.viewer);
            this.inlet.finish();
            let cause = closed_cause(this.viewer.status()).unwrap_or(CloseCause::Requested);
            return Poll::Ready(cause);
        }
        if changed || this.poll_timer(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("status", self.viewer.status())
            .finish_non_exhaustive()
    }
}
