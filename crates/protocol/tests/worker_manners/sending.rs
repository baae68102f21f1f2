//! What goes up, and when it goes up again.

use attache_protocol::{
    io::Effect,
    worker::{Delivery, WorkerStatus},
};

use crate::{Rig, SECOND, body, config, event};

#[test]
fn heartbeats_come_every_20_seconds_give_or_take_a_tenth_and_not_in_step() {
    let mut seen = Vec::new();
    for seed in 0..40 {
        let mut rig = Rig::running_with(config(), seed);
        let before = rig.now;
        rig.call_to("/heartbeat");
        seen.push(rig.now.saturating_since(before));
    }
    assert!(
        seen.iter()
            .all(|delay| (SECOND * 18..=SECOND * 22).contains(delay))
    );
    let (least, most) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
    assert!(
        most.saturating_sub(*least) > SECOND * 2,
        "{least:?} to {most:?}"
    );
}

#[test]
fn a_heartbeat_that_fails_now_and_then_is_no_reason_to_build_anew() {
    let mut rig = Rig::running();
    for _ in 0..20 {
        for _ in 0..2 {
            let (id, _) = rig.call_to("/heartbeat");
            rig.answer(id, 500, "");
            rig.hear(":\n\n".to_owned());
            assert_eq!(rig.call(), None);
        }
        let (id, _) = rig.call_to("/heartbeat");
        rig.answer(id, 200, "{}");
    }
    assert_eq!(rig.worker.status(), WorkerStatus::Running);
}

#[test]
fn after_a_failure_nothing_goes_up_before_the_pause_is_over() {
    let mut rig = Rig::running();
    rig.upload(r#"{"type":"assistant","uuid":"u1"}"#);
    let (id, _) = rig.call_to("/events");
    rig.answer(id, 503, "");
    rig.upload(r#"{"type":"assistant","uuid":"u2"}"#);
    assert_eq!(rig.call(), None);
    let before = rig.now;
    let (_, again) = rig.call_to("/events");
    assert!(rig.now.saturating_since(before) >= SECOND / 2);
    assert!(body(&again).contains("u1") && body(&again).contains("u2"));
}

#[test]
fn what_the_agent_is_done_with_is_not_told_again_before_the_pause_is_over() {
    let mut rig = Rig::running();
    rig.hear(event(1, r#"{"type":"user"}"#));
    let (id, _) = rig.call_to("/events/delivery");
    rig.answer(id, 503, "");
    let inbound = rig.inbound();
    rig.worker
        .acknowledge(rig.now, &inbound[0].event_id, Delivery::Processed);
    assert_eq!(rig.call(), None);
    let (_, again) = rig.call_to("/events/delivery");
    assert!(body(&again).contains("received") && body(&again).contains("processed"));
}

#[test]
fn what_was_surely_not_taken_is_sent_again_even_if_it_is_only_live() {
    let partial = r#"{"type":"stream_event","uuid":"s1"}"#;
    for (status, comes_again) in [(429, true), (503, false)] {
        let mut rig = Rig::running();
        rig.upload(partial);
        let (id, _) = rig.call_to("/events");
        rig.answer(id, status, "");
        rig.upload(r#"{"type":"assistant","uuid":"u1"}"#);
        let (_, again) = rig.call_to("/events");
        assert_eq!(body(&again).contains("s1"), comes_again, "after {status}");
        assert!(body(&again).contains("u1"));
    }
}

#[test]
fn every_call_names_the_version_it_speaks() {
    let mut rig = Rig::new(config(), 3);
    let mut calls = 0;
    while rig.worker.status() != WorkerStatus::Running {
        let effect = rig.worker.poll_effect().unwrap();
        if let Effect::SendHttp { request, .. } | Effect::OpenStream { request, .. } = &effect {
            calls += 1;
            let version = request
                .headers
                .iter()
                .find(|header| header.name == "anthropic-version");
            assert_eq!(version.unwrap().value, "2023-06-01", "{}", request.path);
        }
        rig.comply(effect);
    }
    assert!(calls > 3);
}
