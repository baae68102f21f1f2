//! Closing a worker takes no longer than it may, whatever the server does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that goes wrong fails here"
)]

mod scripted;

use std::time::Duration;

use attache_protocol::{
    SessionId,
    worker::{
        AgentState, Farewell, NewSession, SessionChoice, WorkerCloseCause, WorkerConfig,
        WorkerStatus,
    },
};
use proptest::prelude::*;

use scripted::{Fate, Scripted};

const MS: Duration = Duration::from_millis(1);

fn config() -> WorkerConfig {
    WorkerConfig::new(SessionChoice::Create(NewSession::default()))
}

fn frame(uuid: &str) -> attache_protocol::ByteString {
    format!(r#"{{"type":"assistant","uuid":"{uuid}","message":{{}}}}"#).into()
}

#[test]
fn by_default_closing_leaves_a_driver_some_of_two_seconds() {
    let patience = config().patience;
    assert!(patience.close <= 1800 * MS);
    let mut server = Scripted::running(config());
    server.worker.upload(server.now, frame("a")).unwrap();
    server.take_orders();
    let closing = server.now;

    server.close();
    server.wait(10_000 * MS);

    let [(at, cause)] = server.closed[..] else {
        panic!("closed {:?}", server.closed);
    };
    assert_eq!(cause, WorkerCloseCause::Requested);
    assert_eq!(at.saturating_since(closing), patience.close);
}

/// How long after it was told to close a worker archives, with a frame that nobody takes.
fn archived_after(config: WorkerConfig) -> Duration {
    let mut server = Scripted::running(config);
    server.worker.upload(server.now, frame("a")).unwrap();
    server.take_orders();
    let closing = server.now;

    server.close();
    server.wait(10_000 * MS);

    let [archived] = server.archives()[..] else {
        panic!("asked {:?}", server.asked);
    };
    archived.saturating_since(closing)
}

#[test]
fn an_archive_has_time_left_when_nothing_could_be_sent() {
    assert_eq!(archived_after(config()), 1100 * MS);
}

#[test]
fn a_patient_flush_leaves_a_third_to_the_archive() {
    let mut config = config();
    config.patience.flush = 60_000 * MS;
    config.patience.close = 3000 * MS;
    assert_eq!(archived_after(config), 2000 * MS);
}

#[test]
fn a_session_that_comes_into_being_late_is_archived_all_the_same() {
    let answers = vec![(Fate::Done, Duration::ZERO), (Fate::Done, 1700 * MS)];
    let mut server = Scripted::start(config(), answers);
    server.wait(MS);
    assert!(server.asked("/v1/code/sessions"));
    server.close();
    server.wait(10_000 * MS);

    assert_eq!(server.archives().len(), 1, "{:?}", server.asked);
    assert_eq!(server.closed.len(), 1);
}

#[test]
fn a_token_that_is_still_on_its_way_archives_the_session() {
    let rebuilt = [Fate::Status(401), Fate::Done, Fate::Status(401)];
    let started = [&[Fate::Done; 7], &rebuilt[..]].concat();
    let mut answers: Vec<_> = started
        .into_iter()
        .map(|fate| (fate, Duration::ZERO))
        .collect();
    answers.push((Fate::Done, 1200 * MS));
    for archive in [Fate::Done, Fate::Status(401), Fate::Silence] {
        let answers = [&answers[..], &[(archive, Duration::ZERO)]].concat();
        let mut server = Scripted::start(config(), answers);
        server.wait(MS);
        server.worker.report(server.now, AgentState::Running);
        server.take_orders();
        server.wait(MS);
        assert_eq!(server.worker.status(), WorkerStatus::Rebuilding);
        server.close();
        server.wait(10_000 * MS);

        assert_eq!(server.archives().len(), 1, "{:?}", server.asked);
        assert_eq!(server.closed.len(), 1);
    }
}

#[test]
fn a_session_that_stays_is_not_left_as_busy_for_want_of_a_credential() {
    let mut config = config();
    config.farewell = Farewell::Leave;
    let is_refused_once = [Fate::Done, Fate::Status(401)];
    let fates = [&is_refused_once[..], &[Fate::Done; 20]].concat();
    let mut server = Scripted::running_until(config, &fates);
    server.worker.report(server.now, AgentState::Running);
    server.take_orders();
    server.wait(MS);
    let reports = server.reports();

    server.close();
    server.wait(10_000 * MS);

    assert_eq!(server.reports(), reports + 2, "{:?}", server.asked);
    let causes: Vec<_> = server.closed.iter().map(|(_, cause)| *cause).collect();
    assert_eq!(causes, [WorkerCloseCause::Requested]);
}

#[test]
fn what_waits_to_be_tried_again_is_tried_once_more_at_the_end() {
    // After two refusals in a row the next attempt is further away than the end of the flush.
    let fates = [Fate::Status(500), Fate::Status(500), Fate::Done, Fate::Done];
    let mut server = Scripted::running_until(config(), &fates);
    server.worker.report(server.now, AgentState::Running);
    server.take_orders();
    server.wait(1100 * MS);
    let reports = server.reports();

    server.close();
    let closing = server.now;
    server.wait(10_000 * MS);

    assert_eq!(server.reports(), reports + 1, "{:?}", server.asked);
    assert_eq!(server.archives(), [closing], "{:?}", server.asked);
}

#[test]
fn closing_while_the_session_is_archived_does_not_archive_it_again() {
    let mut config = config();
    config.start.attempts = 1;
    config.patience.archive = 5000 * MS;
    let done = (Fate::Done, Duration::ZERO);
    let answers = vec![done, done, done, (Fate::Status(400), Duration::ZERO)];
    let mut server = Scripted::start(config.clone(), answers);
    server.wait(MS);
    assert_eq!(server.archives().len(), 1, "the start failed");
    let closing = server.now;

    server.close();
    server.wait(10_000 * MS);

    assert_eq!(server.archives().len(), 1, "{:?}", server.asked);
    let [(at, cause)] = server.closed[..] else {
        panic!("closed {:?}", server.closed);
    };
    assert_eq!(cause, WorkerCloseCause::Rejected { status: 400 });
    assert_eq!(at.saturating_since(closing), config.patience.close);
}

fn answers() -> impl Strategy<Value = Vec<(Fate, Duration)>> {
    let fate = prop_oneof![
        12 => Just(Fate::Done),
        1 => prop_oneof![Just(401), Just(404), Just(409), Just(410), Just(429), Just(503), Just(400)]
            .prop_map(Fate::Status),
        1 => Just(Fate::Broken),
        1 => Just(Fate::Silence),
    ];
    let delay = prop_oneof![3 => Just(0), 2 => 0..3000_u64].prop_map(Duration::from_millis);
    prop::collection::vec((fate, delay), 0..24)
}

fn patience() -> impl Strategy<Value = Option<[u64; 3]>> {
    prop_oneof![
        Just(None),
        prop::array::uniform3(prop_oneof![Just(0), 0..5000_u64]).prop_map(Some)
    ]
}

fn session() -> impl Strategy<Value = SessionChoice> {
    prop_oneof![
        Just(SessionChoice::Create(NewSession::default())),
        Just(SessionChoice::Join(SessionId::parse("cse_7").unwrap())),
    ]
}

proptest! {
    #[test]
    fn a_worker_is_closed_in_time_wherever_it_stands_and_whatever_it_is_told(
        answers in answers(),
        patience in patience(),
        session in session(),
        stays in any::<bool>(),
        before in 0..4000_u64,
        frames in 0..3_usize,
    ) {
        let mut config = WorkerConfig::new(session);
        if stays {
            config.farewell = Farewell::Leave;
        }
        if let Some([close, flush, archive]) = patience {
            config.patience.close = Duration::from_millis(close);
            config.patience.flush = Duration::from_millis(flush);
            config.patience.archive = Duration::from_millis(archive);
        }
        // Time is counted in nanoseconds, and the shortest deadline is one away.
        let limit = config.patience.close.max(Duration::from_nanos(1));
        let mut server = Scripted::start(config, answers);
        server.wait(Duration::from_millis(before));
        for number in 0..frames {
            let _ = server.worker.upload(server.now, frame(&number.to_string()));
        }
        server.worker.report(server.now, AgentState::Running);
        server.take_orders();
        let closing = server.now;

        server.close();
        server.wait(60_000 * MS);

        prop_assert_eq!(server.closed.len(), 1);
        let (at, _) = server.closed.first().unwrap();
        prop_assert!(at.saturating_since(closing) <= limit, "closed after {at:?}");
        prop_assert!(server.worker.is_drained());
        prop_assert_eq!(server.worker.poll_timeout(), None);
        prop_assert!(server.archives().len() <= 2, "once with each credential");
    }
}
