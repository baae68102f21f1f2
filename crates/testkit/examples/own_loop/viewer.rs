//! The loop: orders out, facts in, time passes.

use std::{
    collections::VecDeque,
    error::Error as StdError,
    io,
    net::TcpStream,
    thread,
    time::{Duration, Instant, SystemTime},
};

use attache_driver::{
    BaseUrl, Clock, Plaintext, WebSocketOptions, failure, ping_payload, pong_payload, request,
};
use attache_protocol::{
    ByteString, Bytes,
    frame::RequestId,
    io::{Effect, HttpRequestId, Input, NetworkFailure, Refusal, SocketId, SocketRequest},
    policy::CloseCause,
    viewer::{Content, Decision, Event, MessageId, Status, Viewer, ViewerConfig},
};
use attache_testkit::conformance::{Names, Next, OpenViewer, Place, Tokens};
use tungstenite::{
    ClientHandshake, Error, HandshakeError, Message, WebSocket,
    client::client_with_config,
    handshake::MidHandshake,
    protocol::{CloseFrame, frame::Utf8Bytes},
};

use super::call::{Call, connect};

/// How often the sockets are looked at. A loop that means it waits in `poll(2)` instead.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Messages read before everything else has a turn.
const TURN: usize = 64;

pub(crate) struct OwnLoop {
    viewer: Viewer,
    clock: Clock,
    base: BaseUrl,
    tokens: Tokens,
    names: Names,
    facts: VecDeque<Input>,
    socket: Option<(SocketId, Link)>,
    calls: Vec<(HttpRequestId, Call)>,
}

enum Link {
    Opening(MidHandshake<ClientHandshake<TcpStream>>),
    Open(Box<WebSocket<TcpStream>>),
}

impl OwnLoop {
    pub(crate) fn open(config: ViewerConfig, place: Place) -> Result<Self, Box<dyn StdError>> {
        let clock = Clock::start();
        let mut viewer = Viewer::new(config, attache_driver::seed()?, clock.now());
        viewer.connect(clock.now())?;
        Ok(Self {
            viewer,
            clock,
            base: BaseUrl::parse(&place.base_url, Plaintext::Allowed)?,
            tokens: place.tokens,
            names: place.names,
            facts: VecDeque::new(),
            socket: None,
            calls: Vec::new(),
        })
    }

    fn turn(&mut self) {
        // 1. Carry the orders out.
        while let Some(effect) = self.viewer.poll_effect() {
            self.carry_out(effect);
        }
        // 2. Hand in what has happened.
        self.look_at_calls();
        if let Some((id, link)) = self.socket.take() {
            self.socket = self.look_at(id, link).map(|link| (id, link));
        }
        while let Some(fact) = self.facts.pop_front() {
            self.viewer.handle_input(self.clock.now(), fact);
        }
        // 3. Time passes.
        self.viewer.handle_timeout(self.clock.now());
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::FetchToken { id, reason } => {
                let token = self.tokens.fetch(reason);
                self.facts.push_back(Input::TokenFetched { id, token });
            }
            Effect::OpenSocket { id, request } => {
                let opened = self.open_socket(&request);
                self.socket = self.opened(id, opened).map(|link| (id, link));
            }
            Effect::SendText { text, .. } => {
                if let Ok(text) = Utf8Bytes::try_from(text.as_bytes().clone()) {
                    self.write(Message::Text(text));
                }
            }
            Effect::SendPing { payload, .. } => {
                self.write(Message::Ping(Bytes::copy_from_slice(&ping_payload(
                    payload,
                ))));
            }
            Effect::CloseSocket { id, code } => match &mut self.socket {
                Some((_, Link::Open(socket))) => {
                    // What can't be written shows when it is read.
                    let _ = socket.close(Some(CloseFrame {
                        code: code.into(),
                        reason: Utf8Bytes::from_static(""),
                    }));
                }
                Some((_, Link::Opening(_))) => {
                    self.socket = None;
                    let refusal = Refusal::Network(NetworkFailure::Ended);
                    self.facts.push_back(Input::SocketRefused { id, refusal });
                }
                None => {}
            },
            Effect::AbortSocket { .. } => self.socket = None,
            Effect::SendHttp { id, request } => match Call::start(&self.base, &self.names, request)
            {
                Ok(call) => self.calls.push((id, call)),
                Err(failure) => self.facts.push_back(Input::HttpFailed { id, failure }),
            },
            Effect::CancelHttp { id } => self.calls.retain(|(call, _)| *call != id),
            Effect::OpenStream { .. } | Effect::CloseStream { .. } => {} // workers, and viewers over SSE
        }
    }

    fn open_socket(&self, request: &SocketRequest) -> Result<Option<Link>, Refusal> {
        let upgrade = request::websocket(&self.base, request)
            .map_err(|_| Refusal::Network(NetworkFailure::Other))?;
        let stream = connect(&self.base, &self.names).map_err(Refusal::Network)?;
        let config = WebSocketOptions::default().config();
        match client_with_config(upgrade, stream, Some(config)) {
            Ok((socket, _)) => Ok(Some(Link::Open(Box::new(socket)))),
            Err(HandshakeError::Interrupted(handshake)) => Ok(Some(Link::Opening(handshake))),
            Err(HandshakeError::Failure(error)) => Err(failure::refusal(&error, SystemTime::now())),
        }
    }

    /// Reports how an attempt goes.
    fn opened(&mut self, id: SocketId, opened: Result<Option<Link>, Refusal>) -> Option<Link> {
        match opened {
            Ok(link) => {
                if let Some(Link::Open(_)) = link {
                    self.facts.push_back(Input::SocketOpened { id });
                }
                link
            }
            Err(refusal) => {
                self.facts.push_back(Input::SocketRefused { id, refusal });
                None
            }
        }
    }

    fn write(&mut self, message: Message) {
        if let Some((_, Link::Open(socket))) = &mut self.socket {
            // What can't be written now is kept and flushed later, or never: that shows when it is read.
            let _ = socket.write(message);
        }
    }

    fn look_at_calls(&mut self) {
        self.calls.retain_mut(|(id, call)| {
            let id = *id;
            self.facts.extend(match call.poll() {
                None => return true,
                Some(Ok(response)) => [Input::HttpAnswered { id, response }],
                Some(Err(failure)) => [Input::HttpFailed { id, failure }],
            });
            false
        });
    }

    /// Goes on with a socket; what is left of it.
    fn look_at(&mut self, id: SocketId, link: Link) -> Option<Link> {
        let mut socket = match link {
            Link::Open(socket) => socket,
            Link::Opening(handshake) => {
                let opened = match handshake.handshake() {
                    Ok((socket, _)) => Ok(Some(Link::Open(Box::new(socket)))),
                    Err(HandshakeError::Interrupted(handshake)) => {
                        Ok(Some(Link::Opening(handshake)))
                    }
                    Err(HandshakeError::Failure(error)) => {
                        Err(failure::refusal(&error, SystemTime::now()))
                    }
                };
                return self.opened(id, opened);
            }
        };
        let _ = socket.flush();
        for _ in 0..TURN {
            if !self.viewer.wants_read() {
                break;
            }
            match socket.read() {
                Ok(message) => {
                    let fact = fact(id, message);
                    let is_over = matches!(fact, Input::SocketClosed { .. });
                    self.facts.push_back(fact);
                    if is_over {
                        // The reply to a close frame.
                        let _ = socket.flush();
                        return None;
                    }
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    let ending = failure::lost(&error);
                    self.facts.push_back(Input::SocketClosed { id, ending });
                    return None;
                }
            }
        }
        Some(Link::Open(socket))
    }
}

fn fact(id: SocketId, message: Message) -> Input {
    match message {
        Message::Text(text) => match ByteString::try_from(Bytes::from(text)) {
            Ok(text) => Input::SocketText { id, text },
            Err(_) => Input::SocketBytes { id },
        },
        Message::Binary(bytes) => Input::SocketBinary { id, bytes },
        Message::Ping(_) => Input::SocketPing { id },
        Message::Pong(payload) => Input::SocketPong {
            id,
            payload: pong_payload(&payload),
        },
        Message::Close(frame) => Input::SocketClosed {
            id,
            ending: failure::closed(frame.as_ref()),
        },
        Message::Frame(_) => Input::SocketBytes { id },
    }
}

impl OpenViewer for OwnLoop {
    fn send(&mut self, content: Content) -> Option<MessageId> {
        self.viewer.send(self.clock.now(), content).ok()
    }

    fn decide(&mut self, request: RequestId, decision: Decision) -> bool {
        let decided = self.viewer.decide(self.clock.now(), &request, &decision);
        decided.is_ok()
    }

    fn interrupt(&mut self) -> Option<RequestId> {
        self.viewer.interrupt(self.clock.now()).ok()
    }

    fn next_event(&mut self, timeout: Duration) -> Next<Event> {
        let until = Instant::now() + timeout;
        loop {
            self.turn();
            if let Some(event) = self.viewer.poll_event() {
                return Next::Event(event);
            }
            if self.viewer.is_drained() {
                return Next::Over;
            }
            if Instant::now() >= until {
                return Next::Nothing;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn close(&mut self) -> Option<CloseCause> {
        self.viewer.close(self.clock.now());
        loop {
            if let Status::Closed { cause } = self.viewer.status() {
                // The last orders, which let go of everything.
                let cause = *cause;
                self.turn();
                return Some(cause);
            }
            self.turn();
            thread::sleep(LOOK_EVERY);
        }
    }
}
