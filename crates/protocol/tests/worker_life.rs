//! A worker's whole life against a server that does everything right.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

use std::time::Duration;

use attache_protocol::{
    io::{Effect, HttpRequest, HttpResponse, Input, Server, StreamId, Token},
    time::Timestamp,
    worker::{
        AgentState, Delivery, NewSession, SessionChoice, Worker, WorkerCloseCause, WorkerConfig,
        WorkerEvent, WorkerStatus,
    },
};

/// Answers every order at once and remembers what it was asked.
struct KindServer {
    worker: Worker,
    now: Timestamp,
    epoch: u64,
    asked: Vec<String>,
    uploads: Vec<String>,
    stream: Option<StreamId>,
    events: Vec<WorkerEvent>,
    /// What the worker called itself when it registered.
    instances: Vec<String>,
    refuses_bridge: bool,
}

impl KindServer {
    fn start() -> Self {
        Self::start_with(config())
    }

    fn start_with(config: WorkerConfig) -> Self {
        let mut server = Self::new(config);
        server.begin();
        server
    }

    fn new(config: WorkerConfig) -> Self {
        let now = Timestamp::ORIGIN;
        Self {
            worker: Worker::new(config, [3; 32], now),
            now,
            epoch: 0,
            asked: vec![],
            uploads: vec![],
            stream: None,
            events: vec![],
            instances: vec![],
            refuses_bridge: false,
        }
    }

    fn begin(&mut self) {
        self.worker.start(self.now).unwrap();
        self.serve();
    }

    fn serve(&mut self) {
        while let Some(effect) = self.worker.poll_effect() {
            let input = match effect {
                Effect::FetchToken { id, .. } => Input::TokenFetched {
                    id,
                    token: Token::new("person"),
                },
                Effect::SendHttp { id, request } => Input::HttpAnswered {
                    id,
                    response: self.answer(&request),
                },
                Effect::OpenStream { id, request } => {
                    self.asked.push(format!("OPEN {}", request.path));
                    self.stream = Some(id);
                    Input::StreamOpened { id }
                }
                Effect::CloseStream { id } => {
                    assert_eq!(self.stream.take(), Some(id));
                    continue;
                }
                Effect::CancelHttp { .. } => continue,
                other => panic!("a worker does not order {other:?}"),
            };
            self.worker.handle_input(self.now, input);
        }
        while let Some(event) = self.worker.poll_event() {
            self.events.push(event);
        }
    }

    fn answer(&mut self, request: &HttpRequest) -> HttpResponse {
        self.asked
            .push(format!("{:?} {}", request.method, request.path));
        if self.refuses_bridge && request.path.ends_with("/bridge") {
            return HttpResponse {
                status: 503,
                retry_after: None,
                body: "".into(),
            };
        }
        let body = if request.path.ends_with("/bridge") {
            self.epoch += 1;
            let mut headers = request.headers.iter();
            let instance = headers.find(|header| header.name == "x-attache-worker-instance");
            self.instances.push(instance.unwrap().value.clone());
            format!(
                r#"{{"worker_jwt":"jwt{0}","api_base_url":"https://work.example","expires_in":3600,"worker_epoch":"{0}"}}"#,
                self.epoch
            )
        } else if request.path.ends_with("/v1/code/sessions") {
            r#"{"session":{"id":"cse_1"}}"#.into()
        } else {
            if request.path.contains("/worker") {
                assert_eq!(request.server, Server::At("https://work.example".into()));
                assert_eq!(request.bearer.expose(), format!("jwt{}", self.epoch));
            }
            if request.path.ends_with("/worker/events") {
                let body = request.body.clone().unwrap();
                self.uploads.push(String::from_utf8(body.to_vec()).unwrap());
            }
            "{}".into()
        };
        HttpResponse {
            status: 200,
            retry_after: None,
            body: body.into(),
        }
    }

    fn say(&mut self, sequence: u64, payload: &str) {
        let id = self.stream.unwrap();
        let data = format!(
            r#"{{"event_id":"e{sequence}","sequence_num":{sequence},"event_type":"x","payload":{payload}}}"#
        );
        let bytes = format!("event: client_event\nid: {sequence}\ndata: {data}\n\n").into();
        self.worker
            .handle_input(self.now, Input::StreamBytes { id, bytes });
        self.serve();
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now.checked_add(duration).unwrap();
        while let Some((deadline, _)) = self.worker.poll_timeout() {
            if deadline > end {
                break;
            }
            self.now = deadline;
            self.worker.handle_timeout(deadline);
            if let Some(id) = self.stream {
                let bytes = ":\n\n".into();
                self.worker
                    .handle_input(self.now, Input::StreamBytes { id, bytes });
            }
            self.serve();
        }
        self.now = end;
    }

    fn inbound(&self) -> Vec<&str> {
        let text = |event: &'_ WorkerEvent| matches!(event, WorkerEvent::Inbound(_));
        self.events
            .iter()
            .filter(|event| text(event))
            .map(|event| match event {
                WorkerEvent::Inbound(inbound) => inbound.event_id.as_str(),
                _ => "",
            })
            .collect()
    }
}

fn config() -> WorkerConfig {
    WorkerConfig::new(SessionChoice::Create(NewSession::default()))
}

#[test]
fn a_worker_registers_connects_works_and_leaves_nothing_behind() {
    let mut server = KindServer::start();
    assert_eq!(server.worker.status(), WorkerStatus::Running);
    assert_eq!(
        server.asked,
        [
            "Post /v1/code/sessions",
            "Post /v1/code/sessions/cse_1/bridge",
            "Get /v1/code/sessions/cse_1/worker",
            "Put /v1/code/sessions/cse_1/worker",
            "OPEN /v1/code/sessions/cse_1/worker/events/stream?from_sequence_num=0",
        ]
    );

    server.say(1, r#"{"type":"user","uuid":"u1","message":{}}"#);
    server.say(1, r#"{"type":"user","uuid":"u1","message":{}}"#);
    assert_eq!(server.inbound(), ["e1"]);

    server.worker.report(server.now, AgentState::Running);
    let answer = r#"{"type":"assistant","message":{}}"#;
    server.worker.upload(server.now, answer.into()).unwrap();
    server.serve();
    assert!(server.uploads[0].starts_with(
        r#"{"worker_epoch":1,"events":[{"payload":{"type":"assistant","message":{},"uuid":""#
    ));

    server.worker.close(server.now);
    server.serve();
    assert_eq!(
        server.asked.last().unwrap(),
        "Post /v1/sessions/session_1/archive"
    );
    assert!(matches!(
        server.events.last(),
        Some(WorkerEvent::Closed(WorkerCloseCause::Requested))
    ));
    assert!(server.worker.is_drained() && server.stream.is_none());
    assert_eq!(server.worker.poll_timeout(), None);
}

#[test]
fn a_refresh_goes_on_where_the_stream_was() {
    let mut server = KindServer::start();
    server.say(41, r#"{"type":"user","uuid":"u1"}"#);
    server.wait(Duration::from_secs(3600));
    assert_eq!(server.epoch, 2);
    assert_eq!(server.worker.status(), WorkerStatus::Running);
    assert!(server.asked.contains(
        &"OPEN /v1/code/sessions/cse_1/worker/events/stream?from_sequence_num=41".to_owned()
    ));
    server.say(42, r#"{"type":"user","uuid":"u2"}"#);
    assert_eq!(server.inbound(), ["e41", "e42"]);
    let [first, second] = &server.instances[..] else {
        panic!("it registers twice");
    };
    assert_eq!((first, first.len()), (second, 36), "it is the same worker");
}

#[test]
fn initialize_is_answered_even_when_the_agent_says_nothing() {
    let mut server = KindServer::start();
    server.say(
        1,
        r#"{"type":"control_request","request_id":"r1","request":{"subtype":"initialize"}}"#,
    );
    server.wait(Duration::from_secs(9));
    assert!(server.uploads[0].contains(r#""request_id":"r1""#));

    let late = r#"{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{}}}"#;
    server.worker.upload(server.now, late.into()).unwrap();
    server.serve();
    assert_eq!(server.uploads.len(), 1);
}

#[test]
fn a_delivery_is_told_in_order() {
    let mut server = KindServer::start();
    server.say(1, r#"{"type":"user","uuid":"u1"}"#);
    let event = match server.events.last() {
        Some(WorkerEvent::Inbound(inbound)) => inbound.event_id.clone(),
        other => panic!("{other:?}"),
    };
    server
        .worker
        .acknowledge(server.now, &event, Delivery::Processed);
    server.serve();
    let told = server
        .asked
        .iter()
        .filter(|asked| asked.ends_with("/worker/events/delivery"))
        .count();
    assert_eq!(told, 2);
}

#[test]
fn what_was_read_is_used_up_before_more_is_read() {
    let mut config = config();
    config.limits.events = 1;
    let mut server = KindServer::start_with(config);
    let id = server.stream.unwrap();
    let event = |number: u64| {
        format!(
            "event: client_event\nid: {number}\ndata: {{\"event_id\":\"e{number}\",\"payload\":{{\"type\":\"user\"}}}}\n\n"
        )
    };
    let bytes = [event(1), event(2)].concat().into();
    server
        .worker
        .handle_input(server.now, Input::StreamBytes { id, bytes });

    assert!(server.worker.poll_event().is_some());
    assert!(!server.worker.wants_read(), "the second event is waiting");
    let (deadline, _) = server.worker.poll_timeout().unwrap();
    server.worker.handle_timeout(deadline);
    assert!(server.worker.poll_event().is_some());
    let (deadline, _) = server.worker.poll_timeout().unwrap();
    server.worker.handle_timeout(deadline);
    assert!(server.worker.wants_read());
}

#[test]
fn a_start_that_fails_after_registration_leaves_no_orphan() {
    let mut server = KindServer::new(config());
    server.refuses_bridge = true;
    server.begin();
    server.wait(Duration::from_secs(30));
    assert!(matches!(
        server.events.last(),
        Some(WorkerEvent::Closed(WorkerCloseCause::StartFailed { .. }))
    ));
    assert_eq!(
        server.asked.last().unwrap(),
        "Post /v1/sessions/session_1/archive"
    );
}

#[test]
fn a_heartbeat_waits_for_the_answer_to_the_one_before() {
    let mut config = config();
    config.patience.http = Duration::from_secs(3600);
    config.liveness.stream_silence = Duration::from_secs(3600);
    let mut server = KindServer::start_with(config);
    for seconds in [30, 60, 90, 120] {
        let now = Timestamp::from_origin(Duration::from_secs(seconds));
        server.worker.handle_timeout(now);
    }
    let effects = std::iter::from_fn(|| server.worker.poll_effect());
    let heartbeats = effects.filter(|effect| {
        matches!(effect, Effect::SendHttp { request, .. } if request.path.ends_with("/heartbeat"))
    });
    assert_eq!(heartbeats.count(), 1);
}
