//! Prompts while the link is down: what was asked, answered or withdrawn in the gap.

use attache_protocol::viewer::{Allow, DecideError, Decision, History, Standing};
use attache_testkit::{HttpPlan, World, millis, secs};
use serde_json::Value;

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
fn an_end_that_overtakes_the_repeated_question_in_the_list_still_ends_it() {
    // The server repeats the open prompt to whoever subscribes; the prompt ends; then the list is
    // written, with the end in it. So the list tells the end before the socket tells the question.
    for known_before in [true, false] {
        for cancelled in [true, false] {
            let mut world = live();
            world.server().say("assistant", "u0");
            if known_before {
                world.server().ask("r1", "ls");
            }
            world.run_for(secs(1));
            world.server().go_down();
            world.run_for(secs(1));
            world
                .server()
                .ask(if known_before { "other" } else { "r1" }, "ls");
            world.server().come_up();
            world.set_latency(millis(100));
            let opens = world.opens().len();
            world.run_until(secs(60), |world| world.opens().len() > opens);
            world.run_for(millis(50));
            if cancelled {
                world.server().cancel("r1");
            } else {
                world.server().answer_by_another("r1");
            }
            world.run_until_live();
            world.run_for(secs(1));
            assert_eq!(
                world.decide("r1", &Decision::allow()),
                Err(DecideError::UnknownPrompt),
                "known before: {known_before}, cancelled: {cancelled}, {:?}",
                world.prompts()
            );
        }
    }
}

#[test]
fn a_prompt_whose_end_may_lie_in_a_hole_is_verified_by_nothing_but_being_asked_again() {
    let mut world = live();
    world.server().say("assistant", "u1");
    world.server().ask("r1", "ls");
    world.run_for(millis(100));
    world.server().repeats_prompts = false;
    world.server().reset();
    world.server().cancel("r1");
    world.server().forget_everything();
    world.run_for(secs(30));
    assert_eq!(world.gaps().len(), 1);
    // A later catch-up is complete, and says nothing of what is in the hole.
    world.server().say("assistant", "u2");
    world.run_for(secs(1));
    world.cut();
    world.run_for(secs(30));
    assert_eq!(world.catch_ups(), 3);
    assert_eq!(
        world.decide("r1", &Decision::allow()),
        Err(DecideError::Unverified)
    );
}

#[test]
fn a_prompt_held_over_a_drop_that_the_log_has_forgotten_is_not_known_to_be_open() {
    for history in [History::All, History::Latest(10)] {
        let mut config = config();
        config.history = history;
        let mut world = World::new(config);
        world.server().ask("r1", "ls");
        world.connect();
        world.run_for(millis(10));
        world.server().reset();
        world.server().cancel("r1");
        world.server().forget(2);
        world.run_until_live();
        let approved = world.decide("r1", &Decision::allow());
        assert!(
            matches!(
                approved,
                Err(DecideError::Unverified | DecideError::UnknownPrompt)
            ),
            "{history:?}: {approved:?}"
        );
    }
}

#[test]
fn a_prompt_held_over_a_drop_that_the_log_holds_is_known_to_be_open() {
    for repeats in [true, false] {
        let mut config = config();
        config.history = History::All;
        let mut world = World::new(config);
        world.server().ask("r1", "ls");
        world.connect();
        world.run_for(millis(10));
        world.server().repeats_prompts = repeats;
        world.server().reset();
        world.run_until_live();
        world.decide("r1", &Decision::allow()).unwrap();
        world.run_for(secs(1));
        assert_eq!(answers(&mut world).len(), 1, "{repeats}");
    }
}
