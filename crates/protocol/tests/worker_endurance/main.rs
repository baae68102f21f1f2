//! A worker over many lifetimes of its credentials, and over a long time without its server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a schedule that goes wrong fails here"
)]

mod relay;

use std::time::Duration;

use attache_protocol::{time::Timestamp, worker::WorkerCloseCause};
use relay::{Fate, Relay};

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

#[test]
fn an_hour_without_the_relay_is_bounded_and_loses_nothing() {
    let mut relay = Relay::new(vec![Fate::Fine], 1);
    relay.worker.start(relay.now).unwrap();
    relay.run_until(Timestamp::from_origin(Duration::from_secs(5)));
    relay.fates = vec![Fate::Broken];
    let mut uploaded = Vec::new();
    for second in 5..3605_u64 {
        relay.run_until(Timestamp::from_origin(Duration::from_secs(second)));
        let uuid = format!("a{second}");
        let text = format!(r#"{{"type":"assistant","uuid":"{uuid}"}}"#);
        if relay.worker.upload(relay.now, text.into()).is_ok() {
            uploaded.push(uuid);
        }
    }
    assert!(!relay.worker.wants_write());
    assert!(uploaded.len() <= 1001, "{} frames kept", uploaded.len());

    relay.fates = vec![Fate::Fine];
    let end = relay.now.checked_add(Duration::from_secs(60)).unwrap();
    relay.run_until(end);
    assert!(relay.worker.wants_write());
    assert_eq!(relay.log, uploaded);
}
