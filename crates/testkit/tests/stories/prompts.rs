//! Permission prompts: shown once, answered once, never approved by accident.

use attache_protocol::{
    frame::RawJson,
    viewer::{AfterDeny, Allow, DecideError, Decision, Deny, History, MalformedCause, Status},
};
use attache_testkit::{World, millis, secs};
use serde_json::{Value, json};

use super::config;

fn live() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world
}

/// A live world with one open prompt.
fn asked() -> World {
    let mut world = live();
    world.server().ask("r1", "ls");
    world.run_for(millis(100));
    world
}

fn answers(world: &mut World) -> Vec<Value> {
    world.server().received_of("control_response")
}

#[test]
fn a_prompt_is_shown_and_an_approval_hands_its_input_back() {
    let mut world = asked();
    assert_eq!(world.prompts(), ["asked r1"]);
    assert!(world.messages().is_empty());
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(1));
    let mut sent = answers(&mut world);
    let uuid = sent[0].as_object_mut().unwrap().remove("uuid");
    assert!(uuid.is_some_and(|uuid| uuid.is_string()));
    assert_eq!(
        sent,
        [json!({
            "type": "control_response",
            "response": {
                "subtype": "success",
                "request_id": "r1",
                "response": {"behavior": "allow", "updatedInput": {"command": "ls"}},
            },
        })]
    );
    assert_eq!(
        world.prompts(),
        ["asked r1", "r1 Answered", "r1 Sent", "settled r1 by us"]
    );
}

#[test]
fn a_changed_input_and_a_refusal_go_out_as_decided() {
    let mut world = asked();
    world.server().ask("r2", "rm");
    world.run_for(millis(100));
    let changed = Decision::Allow(Allow {
        updated_input: Some(RawJson::parse(r#"{"command":"ls -l"}"#).unwrap()),
        updated_permissions: Some(RawJson::parse("[]").unwrap()),
        ..Allow::default()
    });
    world.decide("r1", &changed).unwrap();
    let refused = Decision::Deny(Deny {
        message: "no".into(),
        then: AfterDeny::Interrupt,
    });
    world.decide("r2", &refused).unwrap();
    world.run_for(secs(1));
    let bodies: Vec<Value> = answers(&mut world)
        .into_iter()
        .map(|answer| answer["response"]["response"].clone())
        .collect();
    assert_eq!(
        bodies,
        [
            json!({"behavior": "allow", "updatedInput": {"command": "ls -l"}, "updatedPermissions": []}),
            json!({"behavior": "deny", "message": "no", "interrupt": true}),
        ]
    );
}

#[test]
fn without_an_echo_the_pong_to_a_later_ping_settles_a_prompt() {
    let mut world = live();
    world.server().echoes_answers = false;
    world.server().ask("r1", "ls");
    world.run_for(millis(100));
    world.decide("r1", &Decision::deny("no")).unwrap();
    assert_eq!(world.prompts().last().unwrap(), "r1 Sent");
    world.run_for(secs(1));
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
}

#[test]
fn an_answer_is_given_once() {
    let mut world = asked();
    world.decide("r1", &Decision::allow()).unwrap();
    assert_eq!(
        world.decide("r1", &Decision::deny("no")),
        Err(DecideError::AlreadyAnswered)
    );
    world.run_for(secs(1));
    assert_eq!(
        world.decide("r1", &Decision::deny("no")),
        Err(DecideError::UnknownPrompt)
    );
    assert_eq!(answers(&mut world).len(), 1);
}

#[test]
fn an_answer_of_the_wrong_shape_is_refused_and_the_prompt_stays() {
    let mut world = asked();
    let wrong = Decision::Allow(Allow {
        updated_input: Some(RawJson::parse("[]").unwrap()),
        ..Allow::default()
    });
    assert_eq!(world.decide("r1", &wrong), Err(DecideError::InvalidUpdate));
    world.decide("r1", &Decision::allow()).unwrap();
}

#[test]
fn a_prompt_answered_by_another_viewer_is_settled() {
    let mut world = asked();
    world.server().answer_by_another("r1");
    world.run_for(secs(1));
    assert_eq!(world.prompts(), ["asked r1", "settled r1 by another"]);
    assert_eq!(
        world.decide("r1", &Decision::allow()),
        Err(DecideError::UnknownPrompt)
    );
}

#[test]
fn the_same_request_id_twice_is_one_prompt() {
    let mut world = asked();
    world.server().ask("r1", "ls");
    world.run_for(secs(1));
    assert_eq!(world.prompts(), ["asked r1"]);
    assert!(world.malformed().is_empty());
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(1));
    assert_eq!(answers(&mut world).len(), 1);
}

#[test]
fn the_same_request_id_with_other_content_is_refused() {
    let mut world = asked();
    world.server().ask("r1", "rm -rf /");
    world.run_for(secs(1));
    assert_eq!(world.prompts(), ["asked r1"]);
    assert!(matches!(
        world.malformed()[0].error,
        MalformedCause::RequestIdReused(_)
    ));
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(1));
    let allowed: Vec<Value> = answers(&mut world)
        .into_iter()
        .filter(|answer| answer["response"]["subtype"] == "success")
        .collect();
    assert_eq!(allowed.len(), 1);
    assert_eq!(
        allowed[0]["response"]["response"]["updatedInput"],
        json!({"command": "ls"})
    );
}

#[test]
fn a_malformed_control_request_gets_an_error_response() {
    let mut world = live();
    for (number, request) in [
        r#"{"subtype":"can_use_tool"}"#,
        r#"{"subtype":"can_use_tool","tool_name":7,"input":{}}"#,
        r#"{"subtype":"can_use_tool","tool_name":"Bash","input":[]}"#,
        r"{}",
        r#""x""#,
        "null",
    ]
    .into_iter()
    .enumerate()
    {
        world.server().blurt(format!(
            r#"{{"type":"control_request","request_id":"bad{number}","request":{request}}}"#
        ));
        world.run_for(secs(1));
        let answers = answers(&mut world);
        assert_eq!(answers.len(), number + 1, "{request}");
        let response = &answers[number]["response"];
        assert_eq!(response["subtype"], "error");
        assert_eq!(response["request_id"], format!("bad{number}"));
    }
    world
        .server()
        .blurt(r#"{"type":"control_request","request_id":"bad"}"#);
    world.run_for(secs(1));
    assert_eq!(answers(&mut world).len(), 7);
    assert_eq!(world.malformed().len(), 7);
    assert!(world.prompts().is_empty());
}

#[test]
fn a_cancel_without_a_request_is_told_and_harmless() {
    let mut world = live();
    world.server().cancel("r1");
    world.run_for(secs(1));
    assert_eq!(world.prompts(), ["withdrawn r1"]);
}

#[test]
fn a_cancel_before_its_request_leaves_nothing_to_approve() {
    let mut world = live();
    world
        .server()
        .blurt(r#"{"type":"control_cancel_request","request_id":"r1"}"#);
    world.server().ask("r1", "ls");
    world.run_for(secs(1));
    assert!(
        !world.prompts().contains(&"asked r1".to_owned()),
        "{:?}",
        world.prompts()
    );
    assert_eq!(
        world.decide("r1", &Decision::allow()),
        Err(DecideError::UnknownPrompt)
    );
    assert!(
        answers(&mut world)
            .iter()
            .all(|answer| answer["response"]["response"]["behavior"] != "allow")
    );
}

#[test]
fn a_cancel_that_crosses_the_answer_ends_the_prompt_once() {
    let mut world = asked();
    world.server().echoes_answers = false;
    world.server().cancel("r1");
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(2));
    let ends = world
        .prompts()
        .iter()
        .filter(|what| what.starts_with("withdrawn") || what.starts_with("settled"))
        .count();
    assert_eq!(ends, 1, "{:?}", world.prompts());
    assert_eq!(world.prompts().last().unwrap(), "withdrawn r1");
}

#[test]
fn a_hundred_thousand_prompts_stay_in_bounds_and_each_is_answered() {
    let mut world = live();
    world.server().echoes_answers = false;
    for batch in 0..100 {
        let lines: Vec<String> = (0..1000)
            .map(|number| {
                format!(
                    r#"{{"type":"control_request","request_id":"r{}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{}}}}}}"#,
                    batch * 1000 + number
                )
            })
            .collect();
        world.server().blurt(lines.join("\n"));
        world.run_for(secs(1));
    }
    world.run_for(secs(60));
    assert_eq!(world.prompts().len(), 256);
    let errors = answers(&mut world);
    assert_eq!(errors.len(), 100_000 - 256);
    assert_eq!(world.malformed().len(), 100_000 - 256);
    assert!(
        errors
            .iter()
            .all(|answer| answer["response"]["subtype"] == "error")
    );
    assert_eq!(*world.status(), Status::Live);
    world.decide("r0", &Decision::allow()).unwrap();
}

#[test]
fn a_watching_viewer_shows_prompts_and_answers_nothing() {
    let mut config = config();
    config.viewer_only = true;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    world.server().ask("r1", "ls");
    world
        .server()
        .blurt(r#"{"type":"control_request","request_id":"x","request":{"subtype":"novelty"}}"#);
    world.server().blurt(
        r#"{"type":"control_request","request_id":"y","request":{"subtype":"can_use_tool"}}"#,
    );
    world
        .server()
        .blurt(r#"{"type":"control_request","request_id":"z"}"#);
    world.run_for(secs(1));
    assert_eq!(world.prompts(), ["asked r1"]);
    assert_eq!(
        world.decide("r1", &Decision::deny("no")),
        Err(DecideError::ViewerOnly)
    );
    world.cut();
    world.run_for(secs(60));
    assert!(world.server().received().is_empty());
}

#[test]
fn prompts_named_in_the_answer_to_initialize_are_shown() {
    let mut config = config();
    config.initialize = true;
    config.history = History::None;
    let mut world = World::new(config);
    world.server().answers_requests = false;
    world.connect();
    world.run_until_live();
    let initialize = &world.server().received_of("control_request")[0];
    assert_eq!(initialize["request"]["subtype"], "initialize");
    let id = initialize["request_id"].as_str().unwrap().to_owned();
    let prompt = json!({
        "type": "control_request",
        "request_id": "late",
        "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": {}},
    });
    world.server().respond(
        &id,
        &json!({"commands": [], "pending_permission_requests": [prompt]}),
    );
    world.run_for(secs(1));
    assert_eq!(world.prompts(), ["asked late"]);
}

#[test]
fn answers_to_requests_of_others_are_not_shown() {
    let mut world = live();
    world.server().answer_by_another("never-seen");
    world.run_for(secs(1));
    assert!(world.prompts().is_empty());
    assert!(world.messages().is_empty());
    assert!(world.malformed().is_empty());
}
