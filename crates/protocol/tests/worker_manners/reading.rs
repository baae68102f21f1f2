//! What comes down the stream, and what is made of silence.

use attache_protocol::{
    io::{Effect, Input, NetworkFailure, Refusal},
    time::Timestamp,
    worker::{WorkerEvent, WorkerStatus},
};

use crate::{Rig, SECOND, body, config, event, request};

#[test]
fn only_events_of_clients_are_for_the_agent() {
    let mut rig = Rig::running();
    rig.hear(event(1, r#"{"type":"user"}"#).replace("client_event", "ephemeral_event"));
    assert!(rig.inbound().is_empty());
}

#[test]
fn an_event_that_can_not_be_read_is_reported_and_the_next_one_is_delivered() {
    let mut config = config();
    config.limits.stream_event_bytes = 1000;
    let id = "i".repeat(257);
    for bad in [
        "event: client_event\nid: 1\ndata: nonsense\n\n".to_owned(),
        format!("event: client_event\nid: 1\ndata: {}\n\n", "x".repeat(2000)),
        event(1, r#"{"type":"user"}"#).replace("e1", &id),
    ] {
        let mut rig = Rig::running_with(config.clone(), 3);
        rig.hear(bad);
        rig.hear(event(2, r#"{"type":"user"}"#).replace("e2", &id[..256]));
        let told: Vec<_> = std::iter::from_fn(|| rig.worker.poll_event()).collect();
        assert!(
            matches!(
                &told[..],
                [WorkerEvent::Malformed(_), WorkerEvent::Inbound(_)]
            ),
            "{told:?}"
        );
    }
}

#[test]
fn a_request_that_was_withdrawn_gets_no_answer_from_anybody() {
    let mut rig = Rig::running();
    rig.hear(request(1, "set_model"));
    rig.hear(event(
        2,
        r#"{"type":"control_cancel_request","request_id":"r1"}"#,
    ));
    assert_eq!(rig.inbound().len(), 2);
    for _ in 0..30 {
        while let Some(effect) = rig.worker.poll_effect() {
            if let Effect::SendHttp { request, .. } = &effect
                && request.path.ends_with("/events")
            {
                panic!("{}", body(request));
            }
            rig.comply(effect);
        }
        rig.next_timer();
        rig.hear(":\n\n".to_owned());
    }
    assert!(rig.now > Timestamp::from_origin(SECOND * 60));
}

#[test]
fn who_asks_without_end_waits_until_the_answers_are_through() {
    let mut config = config();
    config.limits.requests = 1;
    let mut rig = Rig::running_with(config, 3);
    rig.hear((1..=5).map(|number| request(number, "set_model")).collect());
    assert_eq!(
        rig.inbound().len(),
        1,
        "one is open, and the next is refused"
    );
    assert!(!rig.worker.wants_read());
    let (id, refusal) = rig.call_to("/events");
    assert!(body(&refusal).contains("Too many open requests"));
    rig.hear(":\n\n".to_owned());
    rig.answer(id, 200, "{}");
    for number in 3..=5 {
        rig.next_timer();
        let (id, refusal) = rig.call_to("/events");
        assert!(body(&refusal).contains(&format!("r{number}")));
        rig.answer(id, 200, "{}");
    }
    rig.next_timer();
    assert!(rig.worker.wants_read());
}

#[test]
fn silence_is_not_held_against_a_server_that_nobody_listens_to() {
    let mut config = config();
    config.limits.events = 1;
    let mut rig = Rig::running_with(config, 3);
    rig.hear(event(1, r#"{"type":"user"}"#));
    assert!(!rig.worker.wants_read());
    for _ in 0..20 {
        rig.call_to("/heartbeat");
    }
    assert_eq!(rig.worker.status(), WorkerStatus::Running);

    // Listening again, it gives the server the whole time once more.
    rig.inbound();
    rig.next_timer();
    assert!(rig.worker.wants_read());
    let listening = rig.now;
    while rig.worker.status() == WorkerStatus::Running {
        match rig.worker.poll_effect() {
            Some(effect) => rig.comply(effect),
            None => rig.next_timer(),
        }
    }
    let waited = rig.now.saturating_since(listening);
    assert!((SECOND * 45..=SECOND * 90).contains(&waited), "{waited:?}");
}

#[test]
fn waking_up_tries_a_lost_stream_at_once_and_asks_after_a_present_one() {
    let mut rig = Rig::running();
    rig.input(Input::Woke);
    let (heartbeat, request) = rig.call().unwrap();
    assert!(request.path.ends_with("/heartbeat"));
    rig.input(Input::Woke);
    assert_eq!(rig.call(), None, "one question is enough");
    rig.answer(heartbeat, 200, "{}");

    let id = rig.stream.unwrap();
    let ending = Refusal::Network(NetworkFailure::Reset);
    rig.input(Input::StreamClosed { id, ending });
    assert_eq!(rig.worker.poll_effect(), None);
    rig.input(Input::Woke);
    assert!(matches!(
        rig.worker.poll_effect(),
        Some(Effect::OpenStream { .. })
    ));
}
