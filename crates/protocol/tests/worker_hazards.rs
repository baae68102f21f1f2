//! Moments in which a worker could do the wrong thing, each as short as it gets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

use std::time::Duration;

use attache_protocol::{
    io::{Effect, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, StreamId, Token},
    time::Timestamp,
    worker::{
        AgentState, NewSession, SessionChoice, Timer, Worker, WorkerConfig, WorkerEvent,
        WorkerStatus,
    },
};

/// How long credentials live.
const LIFETIME: Duration = Duration::from_secs(60);

/// A worker whose answers a test gives itself.
struct Rig {
    worker: Worker,
    now: Timestamp,
    stream: StreamId,
}

/// An order, in short.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Token,
    Call(HttpRequestId, String, String),
    Cancel(HttpRequestId),
    Open(StreamId, String),
    Close(StreamId),
}

impl Rig {
    /// A worker that runs, at the origin of time.
    fn running() -> Self {
        let config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
        let now = Timestamp::ORIGIN;
        let mut worker = Worker::new(config, [3; 32], now);
        worker.start(now).unwrap();
        let (mut epoch, mut stream) = (0, None);
        while let Some(effect) = worker.poll_effect() {
            let input = match effect {
                Effect::FetchToken { id, .. } => Input::TokenFetched {
                    id,
                    token: Token::new("person"),
                },
                Effect::SendHttp { id, request } => {
                    let body = if request.path.ends_with("/bridge") {
                        epoch += 1;
                        bridged(epoch)
                    } else {
                        r#"{"session":{"id":"cse_1"}}"#.to_owned()
                    };
                    answered(id, 200, &body)
                }
                Effect::OpenStream { id, .. } => {
                    stream = Some(id);
                    Input::StreamOpened { id }
                }
                other => panic!("{other:?}"),
            };
            worker.handle_input(now, input);
        }
        assert_eq!(worker.status(), WorkerStatus::Running);
        let stream = stream.unwrap();
        Self {
            worker,
            now,
            stream,
        }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = Timestamp::from_origin(Duration::from_secs(seconds));
        self
    }

    fn input(&mut self, input: Input) {
        self.worker.handle_input(self.now, input);
    }

    fn timeout(&mut self) {
        self.worker.handle_timeout(self.now);
    }

    /// Fires the next timer, when it is due.
    fn next_timer(&mut self) {
        let (at, _) = self.worker.poll_timeout().unwrap();
        self.now = at;
        self.timeout();
    }

    fn orders(&mut self) -> Vec<Order> {
        std::iter::from_fn(|| self.worker.poll_effect())
            .map(|effect| match effect {
                Effect::FetchToken { .. } => Order::Token,
                Effect::SendHttp { id, request } => {
                    Order::Call(id, request.path, request.bearer.expose().to_owned())
                }
                Effect::CancelHttp { id } => Order::Cancel(id),
                Effect::OpenStream { id, request } => {
                    Order::Open(id, request.bearer.expose().to_owned())
                }
                Effect::CloseStream { id } => Order::Close(id),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// The one call that is ordered.
    fn call(&mut self) -> (HttpRequestId, String, String) {
        let mut calls = self.orders().into_iter().filter_map(|order| match order {
            Order::Call(id, path, bearer) => Some((id, path, bearer)),
            _ => None,
        });
        let call = calls.next().unwrap();
        assert_eq!(calls.next(), None);
        call
    }
}

fn bridged(epoch: u64) -> String {
    format!(
        r#"{{"worker_jwt":"jwt{epoch}","api_base_url":"https://w.example","expires_in":{},"worker_epoch":{epoch}}}"#,
        LIFETIME.as_secs()
    )
}

fn answered(id: HttpRequestId, status: u16, body: &str) -> Input {
    let response = HttpResponse {
        status,
        retry_after: None,
        body: body.to_owned().into(),
    };
    Input::HttpAnswered { id, response }
}

#[test]
fn credentials_that_ran_out_during_a_sleep_are_not_used_again() {
    let mut rig = Rig::running();
    rig.at(61).timeout();
    let orders = rig.orders();
    assert!(orders.contains(&Order::Token), "{orders:?}");
    let uses = |order: &&Order| matches!(order, Order::Call(..) | Order::Open(..));
    assert_eq!(orders.iter().find(uses), None);
}

#[test]
fn credentials_that_run_out_while_the_stream_is_down_are_renewed() {
    let mut rig = Rig::running();
    let reset = |id| Input::StreamClosed {
        id,
        ending: Refusal::Network(NetworkFailure::Reset),
    };
    let stream = rig.stream;
    rig.at(20).input(reset(stream));
    let end = Timestamp::from_origin(LIFETIME);
    loop {
        let orders = rig.orders();
        if orders.contains(&Order::Token) {
            break;
        }
        assert!(rig.now < end, "{orders:?}");
        for order in orders {
            match order {
                Order::Open(id, _) => rig.input(reset(id)),
                Order::Call(id, ..) => rig.input(answered(id, 200, "{}")),
                Order::Token | Order::Cancel(_) | Order::Close(_) => {}
            }
        }
        rig.next_timer();
    }
    assert!(rig.now >= end, "the session may be another worker's");
}

#[test]
fn refused_credentials_do_not_archive_the_session() {
    let mut rig = Rig::running();
    rig.next_timer();
    let (heartbeat, ..) = rig.call();
    rig.input(answered(heartbeat, 401, ""));
    assert!(rig.orders().contains(&Order::Token));

    rig.worker.close(rig.now);
    let (archive, path, bearer) = rig.call();
    assert_eq!(
        (path.as_str(), bearer.as_str()),
        ("/v1/sessions/session_1/archive", "person")
    );
    rig.input(answered(archive, 401, ""));
    assert_eq!(rig.orders(), []);
    assert!(!rig.worker.is_closed(), "another token is on its way");
    rig.next_timer();
    assert_eq!(rig.orders(), []);
    assert!(rig.worker.is_closed());
}

#[test]
fn an_input_that_comes_late_does_not_hide_that_a_call_is_overdue() {
    let mut rig = Rig::running();
    rig.next_timer();
    let (heartbeat, ..) = rig.call();
    // Asleep until the next heartbeat is due as well.
    rig.at(45).input(Input::Woke);
    assert_eq!(rig.orders(), []);
    rig.timeout();
    let orders = rig.orders();
    assert_eq!(
        orders.first(),
        Some(&Order::Cancel(heartbeat)),
        "{orders:?}"
    );
}

#[test]
fn a_state_whose_report_may_have_arrived_is_corrected_when_the_agent_goes_back() {
    let mut rig = Rig::running();
    rig.worker.report(rig.now, AgentState::Running);
    let (report, ..) = rig.call();
    rig.worker.report(rig.now, AgentState::Idle);
    rig.input(Input::HttpFailed {
        id: report,
        failure: NetworkFailure::Ended,
    });
    rig.next_timer();
    let (_, path, _) = rig.call();
    assert_eq!(path, "/v1/code/sessions/cse_1/worker", "idle is reported");
}

#[test]
fn an_application_that_is_away_for_an_hour_costs_no_wake_ups_and_loses_nothing() {
    let mut rig = Rig::running();
    rig.orders();
    while rig.worker.poll_event().is_some() {}
    let event = |n: usize| {
        format!(
            "event: client_event\nid: {n}\ndata: {{\"event_id\":\"e{n}\",\"sequence_num\":{n},\
             \"payload\":{{\"type\":\"user\",\"uuid\":\"u{n}\"}}}}\n\n"
        )
    };
    let events: Vec<String> = (0..3000).map(event).collect();
    let id = rig.stream;
    let bytes = events.concat().into();
    rig.input(Input::StreamBytes { id, bytes });
    assert!(!rig.worker.wants_read());

    let mut looks = 0;
    while rig.now < Timestamp::from_origin(Duration::from_secs(3600)) {
        let (at, timer) = rig.worker.poll_timeout().unwrap();
        looks += usize::from(timer == Timer::Backlog);
        rig.now = rig.now.max(at);
        rig.timeout();
        rig.orders();
    }
    assert_eq!(looks, 0);

    let mut taken = Vec::new();
    loop {
        while let Some(event) = rig.worker.poll_event() {
            if let WorkerEvent::Inbound(inbound) = event {
                taken.push(inbound.event_id.as_str().to_owned());
            }
        }
        match rig.worker.poll_timeout() {
            Some((at, Timer::Backlog)) if at <= rig.now => rig.timeout(),
            _ => break,
        }
    }
    let all: Vec<String> = (0..3000).map(|n| format!("e{n}")).collect();
    assert_eq!(taken, all);
    assert!(rig.worker.wants_read());
}

#[test]
fn credentials_older_than_the_known_ones_are_never_used() {
    let mut rig = Rig::running();
    let (mut epoch, mut used) = (0, false);
    // Refused, so that all is built anew; the first answer is one that another worker's has overtaken.
    rig.next_timer();
    let (heartbeat, ..) = rig.call();
    rig.input(answered(heartbeat, 401, ""));
    for _ in 0..20 {
        let Some(effect) = rig.worker.poll_effect() else {
            rig.next_timer();
            continue;
        };
        match effect {
            Effect::FetchToken { id, .. } => rig.input(Input::TokenFetched {
                id,
                token: Token::new("person"),
            }),
            Effect::SendHttp { id, request } if request.path.ends_with("/bridge") => {
                rig.input(answered(id, 200, &bridged(epoch)));
                epoch += 5;
            }
            Effect::SendHttp { id, request } => {
                assert_eq!(request.bearer.expose(), "jwt5");
                rig.input(answered(id, 200, "{}"));
            }
            Effect::OpenStream { request, .. } => {
                assert_eq!(request.bearer.expose(), "jwt5");
                used = true;
                break;
            }
            _ => {}
        }
    }
    assert!(used, "it asks again, and goes on with what is newer");
}

#[test]
fn a_server_that_takes_every_lease_away_is_not_asked_without_a_pause() {
    let mut rig = Rig::running();
    let end = rig.now.checked_add(Duration::from_secs(60)).unwrap();
    let (mut epoch, mut bridges) = (1, 0);
    let (id, ..) = {
        rig.at(21).timeout();
        rig.call()
    };
    rig.input(answered(id, 410, "{}"));
    while rig.now < end {
        while let Some(effect) = rig.worker.poll_effect() {
            let input = match effect {
                Effect::FetchToken { id, .. } => Input::TokenFetched {
                    id,
                    token: Token::new("person"),
                },
                Effect::SendHttp { id, request } if request.path.ends_with("/bridge") => {
                    epoch += 1;
                    bridges += 1;
                    assert!(bridges < 40, "{bridges} times in {:?}", rig.now);
                    answered(id, 200, &bridged(epoch))
                }
                Effect::SendHttp { id, .. } => answered(id, 410, "{}"),
                _ => continue,
            };
            rig.input(input);
        }
        rig.next_timer();
    }
    assert!(bridges > 3, "it gave up after {bridges}");
}
