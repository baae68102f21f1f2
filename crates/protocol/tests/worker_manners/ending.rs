//! The end, and what comes before it.

use attache_protocol::{
    io::{Effect, Input},
    worker::{Delivery, StartError, UploadRefusal, WorkerCloseCause, WorkerEvent},
};

use crate::{Rig, body, config, event};

#[test]
fn a_source_without_a_token_is_asked_again_and_signed_out_is_the_end() {
    use attache_protocol::io::TokenRefusal::{SignedOut, Unavailable};
    let mut rig = Rig::new(config(), 3);
    for refusal in [Unavailable, SignedOut] {
        let id = loop {
            match rig.worker.poll_effect() {
                Some(Effect::FetchToken { id, .. }) => break id,
                Some(other) => panic!("{other:?}"),
                None => rig.next_timer(),
            }
        };
        rig.input(Input::TokenRefused { id, refusal });
        assert_eq!(rig.worker.is_closed(), refusal == SignedOut);
    }
}

#[test]
fn what_the_agent_is_done_with_is_told_before_the_session_goes() {
    let mut rig = Rig::running();
    rig.hear(event(1, r#"{"type":"user"}"#));
    let (received, _) = rig.call_to("/events/delivery");
    let inbound = rig.inbound();
    rig.worker
        .acknowledge(rig.now, &inbound[0].event_id, Delivery::Processed);
    rig.worker.close(rig.now);
    rig.answer(received, 200, "{}");
    let (_, request) = rig.call().unwrap();
    assert!(body(&request).contains("processed"), "{}", request.path);
}

#[test]
fn a_worker_that_never_got_a_session_ends_at_once_whatever_waits() {
    let mut rig = Rig::new(config(), 3);
    rig.upload(r#"{"type":"assistant","uuid":"u1"}"#);
    let Some(Effect::FetchToken { .. }) = rig.worker.poll_effect() else {
        panic!("no token")
    };
    rig.worker.close(rig.now);
    assert!(rig.worker.is_closed());
}

#[test]
fn closing_is_final_and_drained_once_everything_was_taken() {
    let mut rig = Rig::running();
    assert_eq!(rig.worker.session().unwrap().v2(), "cse_1");
    assert!(!rig.worker.is_drained());
    rig.worker.close(rig.now);
    let frame = r#"{"type":"assistant"}"#;
    let refused = rig.worker.upload(rig.now, frame.into()).unwrap_err();
    assert_eq!(
        (refused.reason, &*refused.text),
        (UploadRefusal::Closed, frame)
    );
    assert!(!UploadRefusal::Closed.is_retryable() && UploadRefusal::Full.is_retryable());
    assert_eq!(rig.worker.start(rig.now), Err(StartError::Closed));
    assert!(!rig.worker.wants_write());
    while !rig.worker.is_closed() {
        match rig.worker.poll_effect() {
            Some(effect) => rig.comply(effect),
            None => rig.next_timer(),
        }
    }
    assert!(!rig.worker.is_drained(), "its last words were not taken");
    let mut last = None;
    while let Some(event) = rig.worker.poll_event() {
        last = Some(event);
    }
    assert!(matches!(
        last,
        Some(WorkerEvent::Closed(WorkerCloseCause::Requested))
    ));
    while rig.worker.poll_effect().is_some() {}
    assert!(rig.worker.is_drained());
}
