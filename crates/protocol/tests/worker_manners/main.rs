//! What a worker owes the server it works for: when it waits, what it says again, what it does not take.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

mod ending;
mod reading;
mod sending;

use std::time::Duration;

use attache_protocol::{
    io::{Effect, HttpRequest, HttpRequestId, HttpResponse, Input, StreamId, Token},
    time::Timestamp,
    worker::{Inbound, NewSession, SessionChoice, Worker, WorkerConfig, WorkerEvent, WorkerStatus},
};

const SECOND: Duration = Duration::from_secs(1);

/// A worker whose answers a test gives itself.
struct Rig {
    worker: Worker,
    now: Timestamp,
    stream: Option<StreamId>,
}

impl Rig {
    fn new(config: WorkerConfig, seed: u8) -> Self {
        let now = Timestamp::ORIGIN;
        let mut worker = Worker::new(config, [seed; 32], now);
        worker.start(now).unwrap();
        Self {
            worker,
            now,
            stream: None,
        }
    }

    fn running() -> Self {
        Self::running_with(config(), 3)
    }

    fn running_with(config: WorkerConfig, seed: u8) -> Self {
        let mut rig = Self::new(config, seed);
        while rig.worker.status() != WorkerStatus::Running {
            let effect = rig.worker.poll_effect().unwrap();
            rig.comply(effect);
        }
        while rig.worker.poll_event().is_some() {}
        rig
    }

    /// Does as ordered, successfully.
    fn comply(&mut self, effect: Effect) {
        match effect {
            Effect::FetchToken { id, .. } => {
                let token = Token::new("person");
                self.input(Input::TokenFetched { id, token });
            }
            Effect::SendHttp { id, request } => {
                self.answer(id, 200, if request.path.ends_with("/bridge") {
                    r#"{"worker_jwt":"jwt","api_base_url":"https://w.example","expires_in":36000,"worker_epoch":1}"#
                } else {
                    r#"{"session":{"id":"cse_1"}}"#
                });
            }
            Effect::OpenStream { id, .. } => {
                self.stream = Some(id);
                self.input(Input::StreamOpened { id });
            }
            Effect::CancelHttp { .. } | Effect::CloseStream { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn input(&mut self, input: Input) {
        self.worker.handle_input(self.now, input);
    }

    fn answer(&mut self, id: HttpRequestId, status: u16, body: &'static str) {
        let response = HttpResponse {
            status,
            retry_after: None,
            body: body.into(),
        };
        self.input(Input::HttpAnswered { id, response });
    }

    fn upload(&mut self, text: &str) {
        self.worker.upload(self.now, text.into()).unwrap();
    }

    /// The next call that is ordered now.
    fn call(&mut self) -> Option<(HttpRequestId, HttpRequest)> {
        std::iter::from_fn(|| self.worker.poll_effect()).find_map(|effect| match effect {
            Effect::SendHttp { id, request } => Some((id, request)),
            _ => None,
        })
    }

    /// The next call that goes there, however long that takes; all others succeed.
    fn call_to(&mut self, end: &str) -> (HttpRequestId, HttpRequest) {
        for _ in 0..100 {
            match self.worker.poll_effect() {
                Some(Effect::SendHttp { id, request }) if request.path.ends_with(end) => {
                    return (id, request);
                }
                Some(effect) => self.comply(effect),
                None => self.next_timer(),
            }
        }
        panic!("nothing goes to {end}");
    }

    /// The stream brings these bytes.
    fn hear(&mut self, text: String) {
        let id = self.stream.unwrap();
        let bytes = text.into();
        self.input(Input::StreamBytes { id, bytes });
    }

    fn next_timer(&mut self) {
        let (at, _) = self.worker.poll_timeout().unwrap();
        self.now = self.now.max(at);
        self.worker.handle_timeout(self.now);
    }

    fn inbound(&mut self) -> Vec<Inbound> {
        std::iter::from_fn(|| self.worker.poll_event())
            .filter_map(|event| match event {
                WorkerEvent::Inbound(inbound) => Some(inbound),
                _ => None,
            })
            .collect()
    }
}

fn config() -> WorkerConfig {
    WorkerConfig::new(SessionChoice::Create(NewSession::default()))
}

fn event(number: u32, payload: &str) -> String {
    format!(
        "event: client_event\nid: {number}\ndata: {{\"event_id\":\"e{number}\",\"sequence_num\":{number},\"payload\":{payload}}}\n\n"
    )
}

fn request(number: u32, subtype: &str) -> String {
    let payload = format!(
        r#"{{"type":"control_request","request_id":"r{number}","request":{{"subtype":"{subtype}"}}}}"#
    );
    event(number, &payload)
}

fn body(request: &HttpRequest) -> String {
    String::from_utf8(request.body.clone().unwrap().to_vec()).unwrap()
}
