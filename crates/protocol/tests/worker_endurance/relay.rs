//! A relay that fails as it is told to, and checks every promise a worker makes it.

use std::{collections::BTreeMap, time::Duration};

use attache_protocol::{
    io::{
        Effect, HttpRequest, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, StreamId,
        Token,
    },
    time::Timestamp,
    worker::{NewSession, SessionChoice, Worker, WorkerCloseCause, WorkerConfig, WorkerEvent},
};

/// How long credentials live.
const LIFETIME: Duration = Duration::from_secs(60);

/// What happens to a call.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Fate {
    Fine,
    /// Done, but the answer never comes.
    AnswerLost,
    Broken,
    Status(u16),
}

/// The relay's side of one session, and the worker on the other.
pub(crate) struct Relay {
    pub(crate) worker: Worker,
    pub(crate) now: Timestamp,
    pub(crate) fates: Vec<Fate>,
    pub(crate) drawn: usize,
    pub(crate) sessions: u64,
    pub(crate) archived: bool,
    epoch: u64,
    pub(crate) log: Vec<String>,
    /// Calls on their way, with their answers and when these come.
    pub(crate) calls: BTreeMap<HttpRequestId, (Timestamp, &'static str, Option<Input>)>,
    pub(crate) stream: Option<(StreamId, u64)>,
    /// What viewers sent, by sequence number.
    pub(crate) sent: u64,
    pub(crate) delivered: Vec<u64>,
    pub(crate) refreshes: u64,
    /// The person's token was refused, and none has been accepted since.
    refused: bool,
    pub(crate) closed: Option<WorkerCloseCause>,
}

impl Relay {
    pub(crate) fn new(fates: Vec<Fate>, seed: u8) -> Self {
        let mut config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
        config.start.attempts = u32::MAX;
        config.liveness.refusals = u32::MAX;
        let now = Timestamp::ORIGIN;
        Self {
            worker: Worker::new(config, [seed; 32], now),
            now,
            fates,
            drawn: 0,
            sessions: 0,
            archived: false,
            epoch: 0,
            log: vec![],
            calls: BTreeMap::new(),
            stream: None,
            sent: 0,
            delivered: vec![],
            refreshes: 0,
            refused: false,
            closed: None,
        }
    }

    fn fate(&mut self) -> Fate {
        self.drawn += 1;
        self.fates[self.drawn % self.fates.len()]
    }

    /// Carries orders out until there are none, checking every promise on the way.
    fn serve(&mut self) {
        while let Some(effect) = self.worker.poll_effect() {
            match effect {
                Effect::FetchToken { id, .. } => {
                    // A refused token is replaced by a different one.
                    let token = Token::new(format!("person {}", self.drawn));
                    self.drawn += 1;
                    let input = Input::TokenFetched { id, token };
                    self.worker.handle_input(self.now, input);
                }
                Effect::SendHttp { id, request } => self.take(id, &request),
                Effect::CancelHttp { id } => {
                    self.calls
                        .remove(&id)
                        .expect("a call under way is given up");
                }
                Effect::OpenStream { id, request } => {
                    assert!(self.stream.is_none(), "two transports at once");
                    assert!(
                        request
                            .bearer
                            .expose()
                            .ends_with(&format!(" {}", self.epoch))
                    );
                    let after: u64 = request.path.rsplit('=').next().unwrap().parse().unwrap();
                    assert_eq!(after, self.delivered.last().copied().unwrap_or(0));
                    self.stream = Some((id, after));
                    let fate = self.fate();
                    let input = match fate {
                        Fate::Fine | Fate::AnswerLost => Input::StreamOpened { id },
                        Fate::Broken => {
                            self.stream = None;
                            let ending = Refusal::Network(NetworkFailure::Reset);
                            Input::StreamClosed { id, ending }
                        }
                        Fate::Status(status) => {
                            self.stream = None;
                            let retry_after = None;
                            let ending = Refusal::Http {
                                status,
                                retry_after,
                            };
                            Input::StreamClosed { id, ending }
                        }
                    };
                    self.worker.handle_input(self.now, input);
                }
                Effect::CloseStream { id } => {
                    assert_eq!(self.stream.take().map(|(open, _)| open), Some(id));
                }
                other => panic!("a worker does not order {other:?}"),
            }
            self.listen();
        }
        self.listen();
    }

    fn listen(&mut self) {
        while let Some(event) = self.worker.poll_event() {
            assert!(self.closed.is_none(), "{event:?} after the end");
            match event {
                WorkerEvent::Inbound(inbound) => {
                    let number = inbound.event_id.as_str()[1..].parse().unwrap();
                    self.delivered.push(number);
                }
                WorkerEvent::Closed(cause) => self.closed = Some(cause),
                WorkerEvent::UploadRejected { uuid, .. } => panic!("{uuid} rejected"),
                _ => {}
            }
        }
    }

    fn take(&mut self, id: HttpRequestId, request: &HttpRequest) {
        let kind = kind(&request.path);
        assert!(
            self.calls.values().all(|(_, open, _)| *open != kind),
            "two calls of kind {kind} at once"
        );
        let mut fate = self.fate();
        if matches!(kind, "register" | "bridge") {
            // Two different tokens refused in a row would rightly be the end.
            let refused = matches!(fate, Fate::Status(401));
            if refused && self.refused {
                fate = Fate::Fine;
            }
            self.refused = match fate {
                Fate::Fine => false,
                Fate::Status(401) => true,
                Fate::AnswerLost | Fate::Broken | Fate::Status(_) => self.refused,
            };
        }
        let done = matches!(fate, Fate::Fine | Fate::AnswerLost);
        let body = if done {
            self.perform(kind, request)
        } else {
            String::new()
        };
        let answer = |status| {
            Some(Input::HttpAnswered {
                id,
                response: HttpResponse {
                    status,
                    retry_after: None,
                    body: body.clone().into(),
                },
            })
        };
        let answer = match fate {
            Fate::Fine => answer(200),
            Fate::AnswerLost => None,
            Fate::Broken => Some(Input::HttpFailed {
                id,
                failure: NetworkFailure::Reset,
            }),
            Fate::Status(status) => answer(status),
        };
        let at = self.now.checked_add(Duration::from_millis(50)).unwrap();
        self.calls.insert(id, (at, kind, answer));
    }

    fn perform(&mut self, kind: &str, request: &HttpRequest) -> String {
        let body = request.body.clone().unwrap_or_default();
        let body = String::from_utf8(body.to_vec()).unwrap();
        if kind.starts_with("worker") {
            assert!(
                request
                    .bearer
                    .expose()
                    .ends_with(&format!(" {}", self.epoch))
            );
            assert!(!self.archived, "{kind} after the archive");
        }
        match kind {
            "register" => {
                self.sessions += 1;
                r#"{"session":{"id":"cse_1"}}"#.into()
            }
            "bridge" => {
                self.epoch += 1;
                self.refreshes += 1;
                format!(
                    r#"{{"worker_jwt":"jwt {0}","api_base_url":"https://w.example","expires_in":{1},"worker_epoch":{0}}}"#,
                    self.epoch,
                    LIFETIME.as_secs()
                )
            }
            "archive" => {
                self.archived = true;
                String::new()
            }
            "worker upload" => {
                for part in body.split("\"uuid\":\"").skip(1) {
                    let uuid = part.split('"').next().unwrap().to_owned();
                    if !self.log.contains(&uuid) {
                        self.log.push(uuid);
                    }
                }
                "{}".into()
            }
            _ => "{}".into(),
        }
    }

    /// Lets time pass up to `end`, answering calls as their answers come.
    pub(crate) fn run_until(&mut self, end: Timestamp) {
        loop {
            self.serve();
            let call = self
                .calls
                .iter()
                .filter(|(_, (_, _, answer))| answer.is_some())
                .min_by_key(|(_, (at, ..))| *at)
                .map(|(id, (at, ..))| (*at, *id));
            let timer = self.worker.poll_timeout().map(|(at, _)| at);
            match (call, timer) {
                (Some((at, id)), timer) if at <= end && timer.is_none_or(|timer| at <= timer) => {
                    self.now = at;
                    let (_, _, answer) = self.calls.remove(&id).unwrap();
                    self.worker.handle_input(at, answer.unwrap());
                }
                (_, Some(at)) if at <= end => {
                    self.now = at.max(self.now);
                    self.worker.handle_timeout(self.now);
                    let later = self
                        .worker
                        .poll_timeout()
                        .is_none_or(|(next, _)| next > self.now);
                    assert!(later, "a timer fires for ever");
                }
                _ => break,
            }
        }
        self.now = end.max(self.now);
    }

    /// A viewer says something; the stream carries it if there is one.
    pub(crate) fn say(&mut self) {
        self.sent += 1;
        self.carry();
    }

    pub(crate) fn carry(&mut self) {
        let Some((id, after)) = self.stream else {
            return;
        };
        for number in after + 1..=self.sent {
            let data = format!(
                r#"{{"event_id":"e{number}","sequence_num":{number},"payload":{{"type":"user","uuid":"v{number}"}}}}"#
            );
            let bytes = format!("event: client_event\nid: {number}\ndata: {data}\n\n").into();
            self.worker
                .handle_input(self.now, Input::StreamBytes { id, bytes });
            self.serve();
            if self.stream.map(|(open, _)| open) != Some(id) {
                return;
            }
            self.stream = Some((id, number));
        }
        let bytes = ":\n\n".into();
        self.worker
            .handle_input(self.now, Input::StreamBytes { id, bytes });
    }
}

fn kind(path: &str) -> &'static str {
    match path {
        "/v1/code/sessions" => "register",
        path if path.ends_with("/bridge") => "bridge",
        path if path.ends_with("/archive") => "archive",
        path if path.ends_with("/events/delivery") => "worker delivery",
        path if path.ends_with("/worker/events") => "worker upload",
        path if path.ends_with("/heartbeat") => "worker heartbeat",
        _ => "worker state",
    }
}
