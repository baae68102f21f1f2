//! A worker whose server sends without end and takes nothing.

use core::time::Duration;

use attache_protocol::{
    SessionId,
    io::{Effect, HttpResponse, Input, StreamId, Token},
    time::Timestamp,
    worker::{SessionChoice, Worker, WorkerConfig, WorkerLimits, WorkerStatus},
};

use crate::{
    KIB, MIB,
    floods::{FRAMES, small},
    most_held,
};

/// So much is sent, and so much may be held of it.
const SENT: usize = 8 * MIB;
const HELD: usize = 2 * MIB;

/// What the application does with events.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Application {
    Takes,
    IsAway,
}

#[test]
fn a_worker_holds_no_more_than_its_limits_whatever_is_sent_without_end() {
    for application in [Application::Takes, Application::IsAway] {
        for (what, frame) in FRAMES {
            let wrapped = |number: usize| {
                let payload = frame(number);
                format!(r#"{{"event_id":"e{number}","sequence_num":{number},"payload":{payload}}}"#)
            };
            flooded(what, &wrapped, application);
        }
        let long_id = |number: usize| {
            let long = "i".repeat(16 * KIB);
            format!(r#"{{"event_id":"e{number}{long}","payload":{{"type":"user"}}}}"#)
        };
        flooded("events with long ids", &long_id, application);
        let tiny =
            |number: usize| format!(r#"{{"event_id":"e{number}","payload":{{"type":"user"}}}}"#);
        flooded("small events", &tiny, application);
        let beside = |number: usize| {
            let x = "x".repeat(16_000);
            let payload = small(number);
            format!(r#"{{"event_id":"e{number}","x":"{x}","payload":{payload}}}"#)
        };
        flooded("small events with much beside them", &beside, application);
        let request = |number: usize| {
            format!(
                r#"{{"event_id":"e{number}","payload":{{"type":"control_request","request_id":"r{number}","request":{{"subtype":"x"}}}}}}"#
            )
        };
        flooded("small requests", &request, application);
    }
}

fn flooded(what: &str, event: &dyn Fn(usize) -> String, application: Application) {
    let mut work = Work::running();
    let held = most_held(|| work.flood(event, application));
    assert!(held <= HELD, "{what}, {application:?}: {held} bytes");
    assert_eq!(work.worker.status(), WorkerStatus::Running, "{what}");
}

#[test]
fn an_agent_that_says_more_than_is_taken_is_held_up() {
    let mut work = Work::running();
    let held = most_held(|| {
        let mut taken = 0;
        for number in 0..10_000 {
            let text = format!(
                r#"{{"type":"user","uuid":"u{number}","x":"{}"}}"#,
                "x".repeat(4000)
            );
            taken += usize::from(work.worker.upload(work.now, text.into()).is_ok());
            work.take_effects(None);
        }
        assert!(
            !work.worker.wants_write() && taken < 1000,
            "{taken} were taken"
        );
    });
    assert!(held <= HELD, "{held} bytes");
}

struct Work {
    worker: Worker,
    now: Timestamp,
    stream: Option<StreamId>,
}

impl Work {
    fn running() -> Self {
        let session = SessionId::parse("cse_a").unwrap();
        let mut config = WorkerConfig::new(SessionChoice::Join(session));
        config.limits = limits();
        let now = Timestamp::ORIGIN;
        let mut worker = Worker::new(config, [5; 32], now);
        worker.start(now).unwrap();
        let mut work = Self {
            worker,
            now,
            stream: None,
        };
        work.take_effects(Some(
            r#"{"worker_jwt":"j","api_base_url":"https://a.example","expires_in":360000,"worker_epoch":1}"#,
        ));
        assert_eq!(work.worker.status(), WorkerStatus::Running);
        while work.worker.poll_event().is_some() {}
        work
    }

    /// Sends events for as long as the worker reads; every call is left without an answer.
    fn flood(&mut self, event: &dyn Fn(usize) -> String, application: Application) {
        let id = self.stream.unwrap();
        let (mut sent, mut number) = (0, 0);
        while sent < SENT && self.worker.wants_read() {
            number += 1;
            let data = event(number);
            sent += data.len().max(200);
            let bytes = format!("id: {number}\nevent: client_event\ndata: {data}\n\n").into();
            self.worker
                .handle_input(self.now, Input::StreamBytes { id, bytes });
            self.settle(application);
        }
    }

    fn settle(&mut self, application: Application) {
        for _ in 0..10 {
            self.take_effects(None);
            if application == Application::IsAway {
                return;
            }
            while self.worker.poll_event().is_some() {}
            if self.worker.wants_read() {
                return;
            }
            self.now = self.now.checked_add(Duration::from_millis(10)).unwrap();
            self.worker.handle_timeout(self.now);
        }
    }

    /// Carries orders out; calls are answered with this, or not at all.
    fn take_effects(&mut self, answer: Option<&'static str>) {
        while let Some(effect) = self.worker.poll_effect() {
            let input = match effect {
                Effect::FetchToken { id, .. } => Input::TokenFetched {
                    id,
                    token: Token::new("t"),
                },
                Effect::OpenStream { id, .. } => {
                    self.stream = Some(id);
                    Input::StreamOpened { id }
                }
                Effect::SendHttp { id, .. } => {
                    let Some(body) = answer else {
                        continue;
                    };
                    let response = HttpResponse {
                        status: 200,
                        retry_after: None,
                        body: body.into(),
                    };
                    Input::HttpAnswered { id, response }
                }
                _ => continue,
            };
            self.worker.handle_input(self.now, input);
        }
    }
}

/// Small ones, so that a flood is over soon.
fn limits() -> WorkerLimits {
    let mut limits = WorkerLimits::default();
    limits.uploads = 64;
    limits.upload_bytes = 256 * KIB;
    limits.batch = 16;
    limits.batch_bytes = 64 * KIB;
    limits.events = 64;
    limits.event_bytes = 256 * KIB;
    limits.stream_event_bytes = 64 * KIB;
    limits.remembered = 1000;
    limits.requests = 256;
    limits
}
