//! A worker that is led to one of its calls.

use core::time::Duration;

use attache_protocol::{
    io::{
        Effect, HttpRequest, HttpRequestId, HttpResponse, Input, Method, NetworkFailure, Refusal,
        StreamId, Token, TokenReason,
    },
    time::Timestamp,
    worker::{
        AgentState, Farewell, NewSession, SessionChoice, Worker, WorkerCloseCause, WorkerConfig,
        WorkerEvent, WorkerStatus,
    },
};

/// What the worker asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Register,
    Bridge,
    Read,
    /// The state, before it runs.
    FirstReport,
    /// The stream, before it runs.
    FirstStream,
    /// The stream, open and then over.
    Stream,
    Upload,
    Report,
    Delivery,
    Heartbeat,
}

impl Ask {
    pub(crate) const ALL: [Self; 10] = [
        Self::Register,
        Self::Bridge,
        Self::Read,
        Self::FirstReport,
        Self::FirstStream,
        Self::Stream,
        Self::Upload,
        Self::Report,
        Self::Delivery,
        Self::Heartbeat,
    ];

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::FirstStream | Self::Stream)
    }

    /// Whether it is asked before the worker runs.
    pub(crate) fn is_start(self) -> bool {
        matches!(
            self,
            Self::Register | Self::Bridge | Self::Read | Self::FirstReport | Self::FirstStream
        )
    }

    fn of(request: &HttpRequest, runs: bool) -> Option<Self> {
        let path = &*request.path;
        Some(match (request.method, path.rsplit('/').next()?) {
            (Method::Post, "sessions") => Self::Register,
            (_, "bridge") => Self::Bridge,
            (Method::Get, "worker") => Self::Read,
            (Method::Put, "worker") if runs => Self::Report,
            (Method::Put, "worker") => Self::FirstReport,
            (_, "events") => Self::Upload,
            (_, "delivery") => Self::Delivery,
            (_, "heartbeat") => Self::Heartbeat,
            _ => return None,
        })
    }
}

/// What comes of it.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Answer {
    Status(u16, Option<Duration>),
    None(NetworkFailure),
}

#[derive(Copy, Clone, Debug)]
enum Asked {
    Call(HttpRequestId),
    Stream(StreamId),
}

/// The worker, with a server that grants everything but what is under test.
pub(crate) struct Work {
    worker: Worker,
    now: Timestamp,
    token: u32,
    pub(crate) has_other_token: bool,
    stream: Option<StreamId>,
    asked: Option<Asked>,
    epoch: u64,
    said: u64,
    pub(crate) rejected: Vec<u16>,
}

impl Work {
    pub(crate) fn begin() -> Self {
        let mut config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
        // What is tested is how it ends, and not what it still does then.
        config.farewell = Farewell::Leave;
        let now = Timestamp::ORIGIN;
        let mut worker = Worker::new(config, [7; 32], now);
        worker.start(now).unwrap();
        Self {
            worker,
            now,
            token: 0,
            has_other_token: true,
            stream: None,
            asked: None,
            epoch: 0,
            said: 0,
            rejected: vec![],
        }
    }

    /// Goes on until this is asked for, and says how long that took; `None` if it ends before.
    pub(crate) fn reach(&mut self, ask: Ask) -> Option<Duration> {
        self.go_on(ask, false)
    }

    /// The same, when it has reason enough to ask.
    pub(crate) fn reach_again(&mut self, ask: Ask) -> Option<Duration> {
        self.go_on(ask, ask != Ask::Stream)
    }

    fn go_on(&mut self, ask: Ask, mut prompted: bool) -> Option<Duration> {
        let start = self.now;
        for _ in 0..1000 {
            self.take_effects(ask);
            if self.asked.is_some() {
                return Some(self.now.saturating_since(start));
            }
            if self.runs() && !prompted {
                prompted = true;
                self.prompt(ask);
                continue;
            }
            let (deadline, _) = self.worker.poll_timeout()?;
            self.now = deadline;
            self.worker.handle_timeout(deadline);
            self.hear(":\n\n".into());
        }
        panic!("{ask:?} is not reached");
    }

    /// Answers what was asked for.
    pub(crate) fn answer(&mut self, answer: Answer) {
        let input = match (self.asked.take().unwrap(), answer) {
            (Asked::Call(id), Answer::Status(status, retry_after)) => Input::HttpAnswered {
                id,
                response: HttpResponse {
                    status,
                    retry_after,
                    body: "{}".into(),
                },
            },
            (Asked::Call(id), Answer::None(failure)) => Input::HttpFailed { id, failure },
            (Asked::Stream(id), Answer::Status(status, retry_after)) => Input::StreamClosed {
                id,
                ending: Refusal::Http {
                    status,
                    retry_after,
                },
            },
            (Asked::Stream(id), Answer::None(failure)) => Input::StreamClosed {
                id,
                ending: Refusal::Network(failure),
            },
        };
        if matches!(input, Input::StreamClosed { .. }) {
            self.stream = None;
        }
        self.worker.handle_input(self.now, input);
    }

    pub(crate) fn closed(&self) -> Option<WorkerCloseCause> {
        match self.worker.status() {
            WorkerStatus::Closed(cause) => Some(cause),
            _ => None,
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.worker.status() == WorkerStatus::Running
    }

    fn take_effects(&mut self, ask: Ask) {
        while let Some(effect) = self.worker.poll_effect() {
            match effect {
                Effect::FetchToken { id, reason } => {
                    if reason == TokenReason::Rejected && self.has_other_token {
                        self.token += 1;
                    }
                    let token = Token::new(self.token.to_string());
                    self.feed(Input::TokenFetched { id, token });
                }
                Effect::SendHttp { id, request } => {
                    let runs = !matches!(
                        self.worker.status(),
                        WorkerStatus::Connecting | WorkerStatus::Rebuilding
                    );
                    if Ask::of(&request, runs) == Some(ask) {
                        self.asked = Some(Asked::Call(id));
                    } else {
                        let response = self.grant(&request);
                        self.feed(Input::HttpAnswered { id, response });
                    }
                }
                Effect::OpenStream { id, .. } => {
                    self.stream = Some(id);
                    if ask == Ask::FirstStream {
                        self.asked = Some(Asked::Stream(id));
                    } else {
                        self.feed(Input::StreamOpened { id });
                    }
                }
                Effect::CloseStream { .. } => self.stream = None,
                Effect::CancelHttp { .. } => {}
                other => panic!("a worker does not order {other:?}"),
            }
        }
        while let Some(event) = self.worker.poll_event() {
            if let WorkerEvent::UploadRejected { status, .. } = event {
                self.rejected.push(status);
            }
        }
    }

    /// Does what makes the worker ask for it.
    fn prompt(&mut self, ask: Ask) {
        match ask {
            Ask::Stream => self.asked = self.stream.map(Asked::Stream),
            Ask::Upload => {
                self.said += 1;
                let text = format!(r#"{{"type":"user","uuid":"u{}"}}"#, self.said);
                self.worker.upload(self.now, text.into()).unwrap();
            }
            Ask::Report => {
                self.said += 1;
                let state = match self.said % 2 {
                    0 => AgentState::Idle,
                    _ => AgentState::Running,
                };
                self.worker.report(self.now, state);
            }
            Ask::Delivery => {
                self.said += 1;
                let number = self.said;
                self.hear(format!(
                    "event: client_event\nid: {number}\ndata: {{\"event_id\":\"e{number}\",\"payload\":{{\"type\":\"user\"}}}}\n\n"
                ));
            }
            Ask::Register
            | Ask::Bridge
            | Ask::Read
            | Ask::FirstReport
            | Ask::FirstStream
            | Ask::Heartbeat => {}
        }
    }

    fn grant(&mut self, request: &HttpRequest) -> HttpResponse {
        let body = match Ask::of(request, true) {
            Some(Ask::Register) => r#"{"session":{"id":"cse_1"}}"#.to_owned(),
            Some(Ask::Bridge) => {
                self.epoch += 1;
                format!(
                    r#"{{"worker_jwt":"jwt{0}","api_base_url":"https://work.example","expires_in":360000,"worker_epoch":{0}}}"#,
                    self.epoch
                )
            }
            _ => "{}".to_owned(),
        };
        HttpResponse {
            status: 200,
            retry_after: None,
            body: body.into(),
        }
    }

    fn hear(&mut self, text: String) {
        if let Some(id) = self.stream {
            let bytes = text.into();
            self.feed(Input::StreamBytes { id, bytes });
        }
    }

    fn feed(&mut self, input: Input) {
        self.worker.handle_input(self.now, input);
    }
}
