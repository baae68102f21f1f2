//! A server that does what a script says.

use std::{collections::BTreeMap, time::Duration};

use attache_protocol::{
    io::{Effect, HttpRequest, HttpResponse, Input, NetworkFailure, Refusal, Token, TokenRefusal},
    time::Timestamp,
    worker::{Worker, WorkerCloseCause, WorkerConfig, WorkerEvent, WorkerStatus},
};

use super::MS;

/// What becomes of an order.
#[derive(Copy, Clone, Debug)]
pub(super) enum Fate {
    /// It is done.
    Done,
    /// The server refuses, with a status.
    Status(u16),
    /// The network fails.
    Broken,
    /// Nobody ever answers.
    Silence,
}

/// A server with an answer to each order in turn, some of them late, and silence after the last one.
pub(super) struct Scripted {
    pub(super) worker: Worker,
    pub(super) now: Timestamp,
    pub(super) answers: std::vec::IntoIter<(Fate, Duration)>,
    /// Answers on their way, by when they arrive.
    pub(super) coming: BTreeMap<(Timestamp, usize), Input>,
    pub(super) arrived: usize,
    pub(super) tokens: u32,
    pub(super) epoch: u64,
    /// What was ordered, and when.
    pub(super) asked: Vec<(Timestamp, String)>,
    pub(super) closed: Vec<(Timestamp, WorkerCloseCause)>,
}

impl Scripted {
    pub(super) fn start(config: WorkerConfig, answers: Vec<(Fate, Duration)>) -> Self {
        let now = Timestamp::ORIGIN;
        let mut scripted = Self {
            worker: Worker::new(config, [5; 32], now),
            now,
            answers: answers.into_iter(),
            coming: BTreeMap::new(),
            arrived: 0,
            tokens: 0,
            epoch: 0,
            asked: vec![],
            closed: vec![],
        };
        scripted.worker.start(now).unwrap();
        scripted.take_orders();
        scripted
    }

    /// One that has come so far that everything is up, and then falls silent.
    pub(super) fn running(config: WorkerConfig) -> Self {
        Self::running_until(config, &[])
    }

    /// One that has come so far that everything is up, and then answers with `fates`.
    pub(super) fn running_until(config: WorkerConfig, fates: &[Fate]) -> Self {
        let fates = [&[Fate::Done; 7], fates].concat();
        let answers = fates.into_iter().map(|fate| (fate, Duration::ZERO));
        let mut running = Self::start(config, answers.collect());
        running.wait(MS);
        assert_eq!(running.worker.status(), WorkerStatus::Running);
        running
    }

    pub(super) fn take_orders(&mut self) {
        while let Some(effect) = self.worker.poll_effect() {
            let Some((fate, delay)) = self.fate_of(&effect) else {
                continue;
            };
            if let Some(input) = self.answer(effect, fate) {
                let at = self.now.checked_add(delay).unwrap();
                self.arrived += 1;
                self.coming.insert((at, self.arrived), input);
            }
        }
        while let Some(event) = self.worker.poll_event() {
            if let WorkerEvent::Closed(cause) = event {
                self.closed.push((self.now, cause));
            }
        }
    }

    fn fate_of(&mut self, effect: &Effect) -> Option<(Fate, Duration)> {
        if let Effect::SendHttp { request, .. } = effect {
            let asked = format!("{:?} {}", request.method, request.path);
            self.asked.push((self.now, asked));
        }
        let is_over = matches!(
            effect,
            Effect::CancelHttp { .. } | Effect::CloseStream { .. }
        );
        (!is_over).then(|| {
            self.answers
                .next()
                .unwrap_or((Fate::Silence, Duration::ZERO))
        })
    }

    fn answer(&mut self, effect: Effect, fate: Fate) -> Option<Input> {
        Some(match (effect, fate) {
            (_, Fate::Silence) => return None,
            (Effect::FetchToken { id, .. }, Fate::Done) => {
                self.tokens += 1;
                let token = Token::new(format!("person{}", self.tokens));
                Input::TokenFetched { id, token }
            }
            (Effect::FetchToken { id, .. }, Fate::Status(_) | Fate::Broken) => {
                let refusal = TokenRefusal::Unavailable;
                Input::TokenRefused { id, refusal }
            }
            (Effect::SendHttp { id, request }, Fate::Done) => {
                let response = self.fine(&request);
                Input::HttpAnswered { id, response }
            }
            (Effect::SendHttp { id, .. }, Fate::Status(status)) => {
                let response = response(status, String::new());
                Input::HttpAnswered { id, response }
            }
            (Effect::SendHttp { id, .. }, Fate::Broken) => {
                let failure = NetworkFailure::Reset;
                Input::HttpFailed { id, failure }
            }
            (Effect::OpenStream { id, .. }, Fate::Done) => Input::StreamOpened { id },
            (Effect::OpenStream { id, .. }, Fate::Status(status)) => {
                let retry_after = None;
                let ending = Refusal::Http {
                    status,
                    retry_after,
                };
                Input::StreamClosed { id, ending }
            }
            (Effect::OpenStream { id, .. }, Fate::Broken) => {
                let ending = Refusal::Network(NetworkFailure::Reset);
                Input::StreamClosed { id, ending }
            }
            (other, _) => panic!("a worker does not order {other:?}"),
        })
    }

    fn fine(&mut self, request: &HttpRequest) -> HttpResponse {
        let body = if request.path.ends_with("/bridge") {
            self.epoch += 1;
            format!(
                r#"{{"worker_jwt":"jwt{0}","api_base_url":"https://work.example","expires_in":3600,"worker_epoch":"{0}"}}"#,
                self.epoch
            )
        } else if request.path.ends_with("/v1/code/sessions") {
            r#"{"session":{"id":"cse_1"}}"#.into()
        } else {
            "{}".into()
        };
        response(200, body)
    }

    /// Lets time pass, and whatever comes in it.
    pub(super) fn wait(&mut self, duration: Duration) {
        let end = self.now.checked_add(duration).unwrap();
        loop {
            let arrival = self.coming.keys().next().map(|(at, _)| *at);
            let deadline = self.worker.poll_timeout().map(|(deadline, _)| deadline);
            let Some(next) = [arrival, deadline].into_iter().flatten().min() else {
                break;
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, input) = self.coming.pop_first().unwrap();
                self.worker.handle_input(self.now, input);
            } else {
                self.worker.handle_timeout(self.now);
            }
            self.take_orders();
        }
        self.now = end;
    }

    pub(super) fn close(&mut self) {
        self.worker.close(self.now);
        self.take_orders();
    }

    pub(super) fn asked(&self, suffix: &str) -> bool {
        self.asked.iter().any(|(_, asked)| asked.ends_with(suffix))
    }

    /// How many reports were ordered.
    pub(super) fn reports(&self) -> usize {
        let reports = self.asked.iter();
        reports
            .filter(|(_, asked)| asked.starts_with("Put "))
            .count()
    }

    /// When each archive was ordered.
    pub(super) fn archives(&self) -> Vec<Timestamp> {
        let archives = self.asked.iter();
        archives
            .filter(|(_, asked)| asked.ends_with("/archive"))
            .map(|(at, _)| *at)
            .collect()
    }
}

fn response(status: u16, body: String) -> HttpResponse {
    HttpResponse {
        status,
        retry_after: None,
        body: body.into(),
    }
}
