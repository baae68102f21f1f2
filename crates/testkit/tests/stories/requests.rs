//! Requests to the agent, and its requests to us: one id, one outcome, never too late.

use attache_protocol::{
    frame::{RawJson, control::Fields},
    viewer::{RequestError, RequestOutcome},
};
use attache_testkit::{World, millis, secs};
use serde_json::{Value, json};

use super::config;

/// The frames without their ids, which what is posted has and what goes over a socket has not.
fn unnamed(mut frames: Vec<Value>) -> Vec<Value> {
    for frame in &mut frames {
        frame.as_object_mut().unwrap().remove("uuid");
    }
    frames
}

fn live() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world
}

#[test]
fn an_interrupt_reaches_the_agent_and_is_answered() {
    let mut world = live();
    let id = world.interrupt().unwrap();
    world.run_for(secs(1));
    let requests = unnamed(world.server().received_of("control_request"));
    assert_eq!(
        requests,
        [json!({
            "type": "control_request",
            "request_id": id.as_str(),
            "request": {"subtype": "interrupt"},
        })]
    );
    assert!(matches!(
        world.outcome(id.as_str()),
        Some(RequestOutcome::Succeeded(_))
    ));
    assert!(world.messages().is_empty());
}

#[test]
fn any_subtype_with_any_fields_can_be_asked() {
    let mut world = live();
    let fields = Fields::parse(r#"{"model":"x","deep":{"a":[1]}}"#).unwrap();
    world.request("set_novelty", &fields).unwrap();
    world.run_for(secs(1));
    assert_eq!(
        world.server().received_of("control_request")[0]["request"],
        json!({"subtype": "set_novelty", "model": "x", "deep": {"a": [1]}})
    );
}

#[test]
fn the_answer_comes_as_the_agent_wrote_it() {
    let mut world = live();
    world.server().answers_requests = false;
    let good = world.request("mcp_status", &Fields::NONE).unwrap();
    let bad = world.request("mcp_status", &Fields::NONE).unwrap();
    world.run_for(millis(10));
    world.server().emit(&format!(
        r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{good}","response":{{"a": 1.0}}}}}}"#
    ));
    world.server().emit(&format!(
        r#"{{"type":"control_response","response":{{"subtype":"error","request_id":"{bad}","error":"no such thing"}}}}"#
    ));
    world.run_for(secs(1));
    let raw = RawJson::parse(r#"{"a": 1.0}"#).unwrap();
    assert_eq!(
        world.outcome(good.as_str()),
        Some(RequestOutcome::Succeeded(Some(raw)))
    );
    assert_eq!(
        world.outcome(bad.as_str()),
        Some(RequestOutcome::Failed("no such thing".into()))
    );
}

#[test]
fn without_an_answer_a_request_ends_at_its_deadline() {
    let mut world = live();
    world.server().answers_requests = false;
    let interrupt = world.interrupt().unwrap();
    let request = world.request("mcp_status", &Fields::NONE).unwrap();
    world.run_for(millis(4900));
    assert_eq!(world.outcome(interrupt.as_str()), None);
    world.run_for(millis(200));
    assert_eq!(
        world.outcome(interrupt.as_str()),
        Some(RequestOutcome::Unanswered)
    );
    assert_eq!(world.outcome(request.as_str()), None);
    world.run_for(secs(26));
    assert_eq!(
        world.outcome(request.as_str()),
        Some(RequestOutcome::Unanswered)
    );
    // An answer after that changes nothing.
    world.server().respond(request.as_str(), &json!({}));
    world.run_for(secs(1));
    assert!(world.messages().is_empty());
}

#[test]
fn an_interrupt_asked_for_offline_expires() {
    let mut world = live();
    world.server().go_down();
    world.run_for(secs(1));
    let id = world.interrupt().unwrap();
    world.run_for(millis(5100));
    assert_eq!(world.outcome(id.as_str()), Some(RequestOutcome::Expired));
    world.server().come_up();
    world.run_for(secs(60));
    assert!(world.server().received_of("control_request").is_empty());
}

#[test]
fn an_interrupt_never_hits_a_later_turn() {
    let mut world = live();
    world.server().say("assistant", "u0");
    world.run_for(secs(20));
    world.cut();
    // Offline for a moment only: the interrupt would be in time, but its turn ends in the gap.
    let id = world.interrupt().unwrap();
    world
        .server()
        .emit(r#"{"type":"result","uuid":"r","subtype":"success","is_error":false}"#);
    world.server().say("user", "next turn");
    world.run_for(secs(30));
    assert_eq!(world.outcome(id.as_str()), Some(RequestOutcome::Expired));
    assert!(world.server().received_of("control_request").is_empty());
}

#[test]
fn an_interrupt_asked_for_in_a_short_gap_reaches_the_turn_it_was_meant_for() {
    let mut world = live();
    world.server().say("assistant", "u0");
    world.run_for(secs(20));
    world.cut();
    let id = world.interrupt().unwrap();
    world.server().say("assistant", "still the same turn");
    world.run_for(secs(30));
    assert!(matches!(
        world.outcome(id.as_str()),
        Some(RequestOutcome::Succeeded(_))
    ));
}

#[test]
fn a_request_sent_before_a_drop_is_not_sent_twice() {
    let mut world = live();
    world.server().answers_requests = false;
    let id = world.request("rename_session", &Fields::NONE).unwrap();
    world.run_for(secs(1));
    world.cut();
    world.run_for(secs(60));
    assert_eq!(world.server().received_of("control_request").len(), 1);
    assert_eq!(world.outcome(id.as_str()), Some(RequestOutcome::Unanswered));
}

#[test]
fn an_answer_that_came_in_the_gap_still_counts() {
    let mut world = live();
    world.server().answers_requests = false;
    world.server().say("assistant", "u0");
    world.run_for(secs(20));
    let id = world.request("mcp_status", &Fields::NONE).unwrap();
    world.cut();
    world.server().respond(id.as_str(), &json!({}));
    world.run_for(secs(20));
    assert!(matches!(
        world.outcome(id.as_str()),
        Some(RequestOutcome::Succeeded(_))
    ));
}

#[test]
fn a_watching_viewer_asks_for_nothing() {
    let mut config = config();
    config.viewer_only = true;
    config.initialize = true;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    assert_eq!(world.interrupt(), Err(RequestError::ViewerOnly));
    assert_eq!(
        world.request("set_model", &Fields::NONE),
        Err(RequestError::ViewerOnly)
    );
    world.run_for(secs(60));
    assert!(world.server().received_of("control_request").is_empty());
}

#[test]
fn open_requests_are_bounded() {
    let mut world = World::new(config());
    for _ in 0..64 {
        world.request("mcp_status", &Fields::NONE).unwrap();
    }
    let refused = world.request("mcp_status", &Fields::NONE).unwrap_err();
    assert_eq!(refused, RequestError::Full);
    assert!(refused.is_retryable());
    world.connect();
    world.run_for(secs(60));
    world.request("mcp_status", &Fields::NONE).unwrap();
}

#[test]
fn a_request_we_do_not_know_gets_an_error_response() {
    let mut world = live();
    world.server().blurt(
        r#"{"type":"control_request","request_id":"q","request":{"subtype":"elicitation"}}"#,
    );
    world.run_for(secs(1));
    let answers = unnamed(world.server().received_of("control_response"));
    assert_eq!(
        answers,
        [json!({
            "type": "control_response",
            "response": {
                "subtype": "error",
                "request_id": "q",
                "error": "Unsupported control request subtype: elicitation",
            },
        })]
    );
    assert!(world.messages().is_empty());
}

#[test]
fn requests_of_the_past_are_not_answered_again() {
    let mut world = World::new(config());
    world.server().store_unseen(
        r#"{"type":"control_request","request_id":"q","request":{"subtype":"interrupt"}}"#,
    );
    world.connect();
    world.run_for(secs(10));
    assert!(world.server().received().is_empty());
}

#[test]
fn our_own_initialize_is_no_business_of_the_application() {
    for answers in [true, false] {
        let mut config = config();
        config.initialize = true;
        let mut world = World::new(config);
        world.server().answers_requests = answers;
        world.connect();
        world.run_for(secs(120));
        assert_eq!(world.server().received_of("control_request").len(), 1);
        assert!(
            !world
                .events()
                .any(|event| matches!(event, attache_protocol::viewer::Event::Request { .. }))
        );
        assert_eq!(*world.status(), attache_protocol::viewer::Status::Live);
    }
}

#[test]
fn requests_keep_their_order() {
    let mut world = live();
    world.server().go_down();
    world.run_for(secs(1));
    let ids: Vec<String> = (0..20)
        .map(|number| {
            let subtype = format!("step_{number}");
            world.request(&subtype, &Fields::NONE).unwrap().to_string()
        })
        .collect();
    world.server().come_up();
    world.run_for(secs(20));
    let asked: Vec<String> = world
        .server()
        .received_of("control_request")
        .iter()
        .map(|request| request["request_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(asked, ids);
}
