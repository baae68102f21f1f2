//! A worker against a server that fails in every way, for many lifetimes of its credentials.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a schedule that goes wrong fails here"
)]

use std::{collections::BTreeMap, time::Duration};

use attache_protocol::{
    io::{
        Effect, HttpRequest, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, StreamId,
        Token,
    },
    time::Timestamp,
    worker::{NewSession, SessionChoice, Worker, WorkerCloseCause, WorkerConfig, WorkerEvent},
};
use proptest::prelude::*;

const LIFETIME: Duration = Duration::from_secs(60);

/// What happens to a call.
#[derive(Copy, Clone, Debug)]
enum Fate {
    Fine,
    /// Done, but the answer never comes.
    AnswerLost,
    /// Not done, and nothing comes.
    Swallowed,
    Broken,
    Status(u16),
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Fine),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Swallowed),
        1 => Just(Fate::Broken),
        1 => prop_oneof![Just(500_u16), Just(503), Just(429), Just(401)].prop_map(Fate::Status),
    ]
}

struct Relay {
    worker: Worker,
    now: Timestamp,
    fates: Vec<Fate>,
    drawn: usize,
    sessions: u64,
    archived: bool,
    epoch: u64,
    log: Vec<String>,
    /// Calls on their way, with their answers and when these come.
    calls: BTreeMap<HttpRequestId, (Timestamp, &'static str, Option<Input>)>,
    stream: Option<(StreamId, u64)>,
    /// What viewers sent, by sequence number.
    sent: u64,
    delivered: Vec<u64>,
    refreshes: u64,
    /// The person's token was refused, and none has been accepted since.
    refused: bool,
    closed: Option<WorkerCloseCause>,
}

impl Relay {
    fn new(fates: Vec<Fate>, seed: u8) -> Self {
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
                    let input = match self.fate() {
                        Fate::Fine | Fate::AnswerLost => Input::StreamOpened { id },
                        Fate::Swallowed | Fate::Broken => {
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
                Fate::AnswerLost | Fate::Swallowed | Fate::Broken | Fate::Status(_) => self.refused,
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
            Fate::AnswerLost | Fate::Swallowed => None,
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
    fn run_until(&mut self, end: Timestamp) {
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
    fn say(&mut self) {
        self.sent += 1;
        self.carry();
    }

    fn carry(&mut self) {
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

/// Talks both ways for `rounds` rounds of 5 s, then heals, then closes.
fn story(fates: Vec<Fate>, seed: u8, rounds: u32) -> Relay {
    let mut relay = Relay::new(fates, seed);
    relay.worker.start(relay.now).unwrap();
    let mut uploaded = Vec::new();
    for round in 0..rounds {
        let end = relay.now.checked_add(Duration::from_secs(5)).unwrap();
        relay.run_until(end);
        relay.say();
        let uuid = format!("a{round}");
        let text = format!(r#"{{"type":"assistant","uuid":"{uuid}"}}"#);
        if relay.worker.upload(relay.now, text.into()).is_ok() {
            uploaded.push(uuid);
        }
    }
    relay.fates = vec![Fate::Fine];
    for _ in 0..60 {
        let end = relay.now.checked_add(Duration::from_secs(5)).unwrap();
        relay.run_until(end);
        relay.carry();
    }
    assert_eq!(relay.closed, None);
    assert_eq!(relay.log, uploaded, "uploads lost, repeated or reordered");
    let expected: Vec<u64> = (1..=relay.sent).collect();
    assert_eq!(
        relay.delivered, expected,
        "deliveries lost, repeated or reordered"
    );

    relay.worker.close(relay.now);
    let end = relay.now.checked_add(Duration::from_secs(4)).unwrap();
    relay.run_until(end);
    assert_eq!(relay.closed, Some(WorkerCloseCause::Requested));
    assert!(relay.archived && relay.stream.is_none() && relay.calls.is_empty());
    assert_eq!(relay.worker.poll_timeout(), None);
    relay
}

#[test]
fn a_thousand_refreshes_change_nothing_for_anybody() {
    let relay = story(vec![Fate::Fine], 1, 10_000);
    assert!(relay.refreshes >= 1000, "{} refreshes", relay.refreshes);
    assert_eq!(relay.sessions, 1);
}

#[test]
fn a_token_that_was_good_enough_to_register_may_be_replaced_once_more() {
    let mut fates = vec![Fate::Fine; 8];
    // What calls meet, in this order: registering twice, then three tries at credentials.
    fates[2] = Fate::Status(401);
    fates[0] = Fate::AnswerLost;
    fates[6] = Fate::AnswerLost;
    assert_eq!(story(fates, 0, 10).sessions, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_schedule_of_failures_loses_repeats_or_reorders_anything(
        fates in proptest::collection::vec(fates(), 5..80),
        seed in any::<u8>(),
    ) {
        story(fates, seed, 200);
    }

    #[test]
    fn closing_at_any_moment_ends_in_time_and_leaves_nothing_open(
        fates in proptest::collection::vec(fates(), 5..80),
        seed in any::<u8>(),
        moment in 0..60_000_u64,
    ) {
        let mut relay = Relay::new(fates, seed);
        relay.worker.start(relay.now).unwrap();
        relay.run_until(Timestamp::from_origin(Duration::from_millis(moment)));
        let known = relay.worker.session().is_some();
        let _ = relay.worker.upload(relay.now, r#"{"type":"assistant"}"#.into());
        relay.worker.close(relay.now);
        relay.fates = vec![Fate::Fine];
        let end = relay.now.checked_add(Duration::from_millis(3600)).unwrap();
        relay.run_until(end);
        prop_assert!(relay.worker.is_closed());
        prop_assert!(relay.stream.is_none() && relay.calls.is_empty());
        if known {
            prop_assert!(relay.archived, "an orphan");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_life(
        fates in proptest::collection::vec(fates(), 5..40),
        seed in any::<u8>(),
    ) {
        let (one, other) = (story(fates.clone(), seed, 50), story(fates, seed, 50));
        prop_assert_eq!((one.refreshes, one.drawn, one.now), (other.refreshes, other.drawn, other.now));
    }
}
