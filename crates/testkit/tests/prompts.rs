//! Permission prompts: shown once, answered once, never approved by accident.

#![allow(
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]

use attache_protocol::{
    frame::RawJson,
    viewer::{
        AfterDeny, Allow, DecideError, Decision, Deny, History, MalformedCause, Standing, Status,
    },
};
use attache_testkit::{HttpPlan, World, config, millis, secs};
use serde_json::{Value, json};

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

fn even_if_unverified() -> Decision {
    Decision::Allow(Allow {
        standing: Standing::EvenIfUnverified,
        ..Allow::default()
    })
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
    assert_eq!(
        answers(&mut world),
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
fn an_answer_given_offline_arrives() {
    let mut world = asked();
    world.server().go_down();
    world.run_for(secs(2));
    world.decide("r1", &Decision::deny("no")).unwrap();
    world.run_for(secs(20));
    assert!(answers(&mut world).is_empty());
    world.server().come_up();
    world.run_for(secs(60));
    assert_eq!(answers(&mut world).len(), 1);
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
}

#[test]
fn an_approval_given_offline_arrives_once_the_prompt_is_known_to_be_open() {
    for repeats in [true, false] {
        let mut world = asked();
        world.server().repeats_prompts = repeats;
        world.server().go_down();
        world.run_for(secs(2));
        assert_eq!(
            world.decide("r1", &Decision::allow()),
            Err(DecideError::Unverified)
        );
        world.decide("r1", &even_if_unverified()).unwrap();
        world.server().come_up();
        world.run_for(secs(60));
        assert_eq!(answers(&mut world).len(), 1, "repeats {repeats}");
        assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
    }
}

#[test]
fn an_answer_lost_with_the_link_is_sent_again() {
    let mut world = asked();
    world.server().freeze();
    world.decide("r1", &Decision::allow()).unwrap();
    assert_eq!(world.prompts().last().unwrap(), "r1 Sent");
    world.run_for(secs(120));
    assert_eq!(answers(&mut world).len(), 1);
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
}

#[test]
fn an_answer_that_arrived_before_the_drop_is_not_sent_again() {
    let mut world = live();
    world.server().echoes_answers = false;
    world.server().answers_pings = false;
    world.server().ask("r1", "ls");
    world.run_for(millis(100));
    world.decide("r1", &Decision::allow()).unwrap();
    world.cut();
    world.server().answers_pings = true;
    world.run_for(secs(60));
    assert_eq!(answers(&mut world).len(), 1, "the list shows it");
    assert!(world.prompts().last().unwrap().starts_with("settled r1"));
}

#[test]
fn a_prompt_cancelled_in_the_gap_cannot_be_allowed() {
    let mut world = asked();
    world.server().go_down();
    world.run_for(secs(1));
    world.server().cancel("r1");
    assert_eq!(
        world.decide("r1", &Decision::allow()),
        Err(DecideError::Unverified)
    );
    world.server().come_up();
    world.run_for(secs(60));
    assert_eq!(
        world.prompts(),
        ["asked r1", "r1 Unverified", "withdrawn r1"]
    );
    assert_eq!(
        world.decide("r1", &even_if_unverified()),
        Err(DecideError::UnknownPrompt)
    );
    assert!(answers(&mut world).is_empty());
}

#[test]
fn an_approval_kept_for_a_prompt_cancelled_in_the_gap_is_dropped() {
    let mut world = asked();
    world.server().go_down();
    world.run_for(secs(1));
    world.decide("r1", &even_if_unverified()).unwrap();
    world.server().cancel("r1");
    world.server().come_up();
    world.run_for(secs(60));
    assert!(answers(&mut world).is_empty());
    assert_eq!(world.prompts().last().unwrap(), "withdrawn r1");
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
fn a_prompt_answered_by_another_viewer_in_the_gap_is_settled() {
    let mut world = asked();
    world.server().go_down();
    world.run_for(secs(1));
    world.server().answer_by_another("r1");
    world.server().come_up();
    world.run_for(secs(60));
    assert_eq!(
        world.prompts(),
        ["asked r1", "r1 Unverified", "settled r1 by another"]
    );
}

#[test]
fn a_prompt_still_open_after_the_gap_is_pending_again() {
    for repeats in [true, false] {
        let mut world = asked();
        world.server().repeats_prompts = repeats;
        world.cut();
        world.run_for(secs(30));
        assert_eq!(
            world.prompts(),
            ["asked r1", "r1 Unverified", "r1 Pending"],
            "repeats {repeats}"
        );
        world.decide("r1", &Decision::allow()).unwrap();
    }
}

#[test]
fn a_prompt_stays_unverified_after_a_catch_up_with_a_hole() {
    let mut world = asked();
    world.server().repeats_prompts = false;
    world.server().every_list(HttpPlan::Status(422, None));
    world.cut();
    world.run_for(secs(30));
    assert_eq!(*world.status(), Status::Live);
    assert_eq!(world.prompts(), ["asked r1", "r1 Unverified"]);
    assert_eq!(
        world.decide("r1", &Decision::allow()),
        Err(DecideError::Unverified)
    );
    world.decide("r1", &even_if_unverified()).unwrap();
    world.run_for(secs(1));
    assert_eq!(answers(&mut world).len(), 1);
}

#[test]
fn refusing_needs_no_verification() {
    let mut world = asked();
    world.server().repeats_prompts = false;
    world.server().every_list(HttpPlan::Status(422, None));
    world.cut();
    world.run_for(secs(30));
    world.decide("r1", &Decision::deny("no")).unwrap();
    world.run_for(secs(1));
    assert_eq!(answers(&mut world).len(), 1);
}

#[test]
fn a_prompt_asked_in_the_gap_is_shown_once() {
    for repeats in [true, false] {
        let mut world = live();
        world.server().repeats_prompts = repeats;
        world.server().say("assistant", "u0");
        world.run_for(secs(1));
        world.server().go_down();
        world.server().ask("r1", "ls");
        world.server().ask("r2", "rm");
        world.server().cancel("r2");
        world.run_for(secs(1));
        world.server().come_up();
        world.run_for(secs(60));
        assert_eq!(world.prompts(), ["asked r1"], "repeats {repeats}");
    }
}

#[test]
fn prompts_from_the_past_are_shown_only_if_still_open() {
    for repeats in [true, false] {
        for history in [History::All, History::Latest(2)] {
            let mut config = config();
            config.history = history;
            let mut world = World::new(config);
            world.server().repeats_prompts = repeats;
            for id in ["answered", "cancelled", "open"] {
                world.server().ask(id, "ls");
            }
            world.server().answer_by_another("answered");
            world.server().cancel("cancelled");
            for number in 0..10 {
                world.server().say("assistant", &format!("u{number}"));
            }
            world.connect();
            world.run_until_live();
            world.run_for(secs(1));
            assert_eq!(
                world.prompts(),
                ["asked open"],
                "{history:?}, repeats {repeats}"
            );
        }
    }
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
fn a_refusal_lost_with_the_link_is_given_again() {
    let malformed =
        r#"{"type":"control_request","request_id":"bad","request":{"subtype":"can_use_tool"}}"#;
    let mut world = live();
    world.server().blurt(malformed);
    world.run_for(secs(1));
    assert_eq!(answers(&mut world).len(), 1);
    world.server().blurt(malformed);
    world.run_for(secs(1));
    assert_eq!(answers(&mut world).len(), 1, "one answer a link is enough");
    world.cut();
    world.run_for(secs(10));
    world.server().blurt(malformed);
    world.run_for(secs(1));
    assert_eq!(answers(&mut world).len(), 2);
}

#[test]
fn a_settled_prompt_that_the_server_forgot_gets_its_answer_again_without_asking_the_person() {
    let mut world = asked();
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(1));
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
    world.cut();
    world.run_for(secs(10));
    world.server().ask("r1", "ls");
    world.run_for(secs(1));
    let given = answers(&mut world);
    assert_eq!(given.len(), 2);
    assert_eq!(given[0], given[1]);
    let asked = world
        .prompts()
        .iter()
        .filter(|what| *what == "asked r1")
        .count();
    assert_eq!(asked, 1);
}

#[test]
fn an_approval_that_may_be_lost_is_not_repeated_until_the_prompt_is_known_to_be_open() {
    let mut world = asked();
    world.server().repeats_prompts = false;
    world.server().every_list(HttpPlan::Status(422, None));
    world.server().freeze();
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(120));
    assert_eq!(*world.status(), Status::Live);
    assert!(answers(&mut world).is_empty(), "the hole may hold a cancel");

    world.server().ask("r1", "ls");
    world.run_for(secs(1));
    assert_eq!(answers(&mut world).len(), 1);
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
}

#[test]
fn an_approval_that_was_explicit_is_sent_even_after_a_hole() {
    let mut world = asked();
    world.server().repeats_prompts = false;
    world.server().every_list(HttpPlan::Status(422, None));
    world
        .server()
        .every_upgrade(attache_testkit::Upgrade::Never);
    world.cut();
    world.run_for(secs(1));
    world.decide("r1", &even_if_unverified()).unwrap();
    world
        .server()
        .every_upgrade(attache_testkit::Upgrade::Accept);
    world.run_for(secs(120));
    assert_eq!(answers(&mut world).len(), 1);
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
