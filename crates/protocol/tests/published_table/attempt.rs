//! A viewer that is led to a place on its way, where its connection ends.

use core::time::Duration;

use attache_protocol::{
    SessionId,
    io::{
        Effect, HttpRequestId, HttpResponse, Input, Refusal, SocketEnding, SocketId, StreamId,
        Token, TokenReason,
    },
    policy::CloseCause,
    time::Timestamp,
    viewer::{History, Status, Transport, Viewer, ViewerConfig},
};

/// A place on the way.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The stream's position is asked for; sockets skip this.
    Locating,
    /// The connection is being opened.
    Opening,
    /// It is open, and the past is loaded.
    CatchingUp,
    /// It is open, and the past is there.
    Live,
}

/// How a connection ends.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// With a close frame.
    Close { code: u16, reason: &'static str },
    /// With an answer that opens nothing.
    Status(u16, Option<Duration>),
}

#[derive(Copy, Clone, Debug)]
enum Line {
    Socket(SocketId),
    Stream(StreamId),
}

/// The viewer with what surrounds it.
#[derive(Clone)]
pub(crate) struct Attempt {
    viewer: Viewer,
    now: Timestamp,
    /// Tokens are numbers; a refused one is replaced by the next if there is one.
    token: u32,
    pub(crate) has_other_token: bool,
    line: Option<Line>,
    gone: Option<Line>,
    call: Option<HttpRequestId>,
}

impl Attempt {
    /// One that has just begun to connect.
    pub(crate) fn begin(transport: Transport, history: History) -> Self {
        let mut config = ViewerConfig::new(SessionId::parse("session_a").unwrap());
        config.transport = transport;
        config.history = history;
        let now = Timestamp::ORIGIN;
        let mut viewer = Viewer::new(config, [7; 32], now);
        viewer.connect(now).unwrap();
        Self {
            viewer,
            now,
            token: 0,
            has_other_token: true,
            line: None,
            gone: None,
            call: None,
        }
    }

    /// Goes on until it is at `stage`, through waits.
    pub(crate) fn reach(&mut self, stage: Stage) {
        for _ in 0..1000 {
            if self.take_effects(stage) {
                return;
            }
            let (deadline, _) = self.viewer.poll_timeout().expect("it goes on by itself");
            self.now = deadline;
            self.viewer.handle_timeout(deadline);
        }
        panic!("{stage:?} is not reached");
    }

    /// Carries orders out; true as soon as the stage is reached.
    fn take_effects(&mut self, stage: Stage) -> bool {
        while let Some(effect) = self.viewer.poll_effect() {
            let input = match effect {
                Effect::FetchToken { id, reason } => {
                    if reason == TokenReason::Rejected && self.has_other_token {
                        self.token += 1;
                    }
                    let token = Token::new(self.token.to_string());
                    Input::TokenFetched { id, token }
                }
                Effect::OpenSocket { id, .. } => {
                    self.line = Some(Line::Socket(id));
                    if stage == Stage::Opening {
                        return true;
                    }
                    Input::SocketOpened { id }
                }
                Effect::OpenStream { id, .. } => {
                    self.line = Some(Line::Stream(id));
                    if stage == Stage::Opening {
                        return true;
                    }
                    Input::StreamOpened { id }
                }
                Effect::SendHttp { id, .. } => {
                    self.call = Some(id);
                    match (stage, self.viewer.status()) {
                        (Stage::Locating, Status::Connecting { .. })
                        | (Stage::CatchingUp, Status::CatchingUp) => return true,
                        _ => {}
                    }
                    let body = r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#;
                    let response = answer(200, None, body);
                    Input::HttpAnswered { id, response }
                }
                Effect::SendPing { id, payload } => {
                    let payload = Some(payload);
                    Input::SocketPong { id, payload }
                }
                _ => continue,
            };
            self.viewer.handle_input(self.now, input);
        }
        match stage {
            Stage::Locating | Stage::Opening => false,
            Stage::CatchingUp => *self.viewer.status() == Status::CatchingUp,
            Stage::Live => *self.viewer.status() == Status::Live,
        }
    }

    /// The connection, or the attempt, ends.
    pub(crate) fn hit(&mut self, end: &End) {
        let input = self.ended(end, self.line);
        if let Some(line) = self.line.take() {
            self.gone = Some(line);
        }
        self.viewer.handle_input(self.now, input);
    }

    /// A connection that is over already ends once more.
    pub(crate) fn hit_again(&mut self, end: &End) {
        let input = self.ended(end, self.gone);
        self.viewer.handle_input(self.now, input);
    }

    fn ended(&self, end: &End, line: Option<Line>) -> Input {
        match (end, line) {
            (End::Close { code, reason }, Some(Line::Socket(id))) => Input::SocketClosed {
                id,
                ending: SocketEnding::CloseFrame {
                    code: *code,
                    reason: (*reason).into(),
                },
            },
            (End::Status(status, retry_after), Some(line)) => {
                let (status, retry_after) = (*status, *retry_after);
                let refusal = Refusal::Http {
                    status,
                    retry_after,
                };
                match line {
                    Line::Socket(id) => Input::SocketRefused { id, refusal },
                    Line::Stream(id) => Input::StreamClosed {
                        id,
                        ending: refusal,
                    },
                }
            }
            (End::Status(status, retry_after), None) => Input::HttpAnswered {
                id: self.call.unwrap(),
                response: answer(*status, *retry_after, ""),
            },
            (End::Close { .. }, _) => panic!("only a socket is closed with a code"),
        }
    }

    /// The application wants no more.
    pub(crate) fn close(&mut self) {
        self.viewer.close(self.now);
    }

    /// How long it waits before the next try, if it does.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self.viewer.status() {
            Status::Waiting {
                next_attempt_at, ..
            } => {
                let (deadline, _) = self.viewer.poll_timeout().expect("a wait has an end");
                assert!(deadline <= *next_attempt_at);
                Some(next_attempt_at.saturating_since(self.now))
            }
            _ => None,
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        *self.viewer.status() == Status::Live
    }

    /// Why it is closed. What is still loaded by then is not to be had.
    pub(crate) fn closed(&mut self) -> Option<CloseCause> {
        for _ in 0..100 {
            match self.viewer.status() {
                Status::Closed { cause } => return Some(*cause),
                Status::Waiting { .. } => return None,
                _ => {}
            }
            let (deadline, _) = self.viewer.poll_timeout()?;
            self.now = deadline;
            self.viewer.handle_timeout(deadline);
        }
        None
    }

    /// Answers the question for a token.
    pub(crate) fn fetch_token(&mut self) {
        self.take_effects(Stage::Opening);
    }

    /// Whether it asks for another token at once.
    pub(crate) fn wants_other_token(&self) -> bool {
        let mut viewer = self.viewer.clone();
        core::iter::from_fn(|| viewer.poll_effect()).any(|effect| {
            matches!(
                effect,
                Effect::FetchToken {
                    reason: TokenReason::Rejected,
                    ..
                }
            )
        })
    }
}

pub(crate) fn answer(
    status: u16,
    retry_after: Option<Duration>,
    body: &'static str,
) -> HttpResponse {
    HttpResponse {
        status,
        retry_after,
        body: body.into(),
    }
}
