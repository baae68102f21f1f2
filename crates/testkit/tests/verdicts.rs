//! A relay that says whose answer counted, and how far a message has got.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]

use attache_protocol::{
    frame::{
        RequestId,
        relay::{
            AnswerRefused, AnsweredBy, Behavior, DeliveryStatus, DeliveryUpdate, Hello,
            RefusedBecause, Settlement,
        },
    },
    viewer::{Decision, SendState, Status},
};
use attache_testkit::{World, config, millis, secs};

/// A live world whose relay gives verdicts, with one open prompt.
fn asked() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    hello(&mut world);
    world.server().ask("r1", "ls");
    world.run_for(millis(100));
    world
}

fn hello(world: &mut World) {
    let hello = Hello::confirming("approve").to_frame();
    world.server().blurt(hello);
    world.run_for(millis(100));
}

/// Answers the prompt, and lets the pong behind the answer come back.
fn answered() -> (World, String) {
    let mut world = asked();
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(1));
    let answers = world.server().received_of("control_response");
    let uuid = answers[0]["uuid"].as_str().unwrap().to_owned();
    (world, uuid)
}

fn settlement(answer_id: &str, name: &str) -> String {
    let settlement = Settlement {
        request_id: RequestId::new("r1").unwrap(),
        behavior: Behavior::Deny,
        answer_id: Some(answer_id.to_owned()),
        answered_by: Some(AnsweredBy {
            name: Some(name.to_owned()),
            role: Some("approve".to_owned()),
        }),
    };
    settlement.to_frame("settled-r1")
}

fn refused(reason: RefusedBecause, answer_id: &str) -> String {
    let refused = AnswerRefused {
        request_id: RequestId::new("r1").unwrap(),
        answer_id: Some(answer_id.to_owned()),
        reason,
        answered_by: Some(AnsweredBy {
            name: Some("grace".to_owned()),
            role: None,
        }),
        message: "no".to_owned(),
    };
    refused.to_frame()
}

#[test]
fn an_answer_counts_when_the_relay_says_so_and_not_when_it_is_read() {
    let (mut world, uuid) = answered();
    assert_eq!(world.prompts(), ["asked r1", "r1 Answered", "r1 Sent"]);
    world.server().emit(&settlement(&uuid, "ada"));
    world.run_for(secs(1));
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
    assert_eq!(world.messages(), ["settled-r1"]);
}

#[test]
fn of_two_answers_in_the_same_moment_the_second_learns_whose_counted() {
    let (mut world, uuid) = answered();
    world.server().emit(&settlement("another-answer", "ada"));
    world
        .server()
        .blurt(refused(RefusedBecause::Answered, &uuid));
    world.run_for(secs(1));
    assert_eq!(
        world.prompts(),
        ["asked r1", "r1 Answered", "r1 Sent", "settled r1 by ada"]
    );

    let (mut world, uuid) = answered();
    world
        .server()
        .blurt(refused(RefusedBecause::Answered, &uuid));
    world.run_for(secs(1));
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by grace");
}

#[test]
fn an_answer_to_what_is_no_longer_asked_is_a_withdrawal() {
    let (mut world, uuid) = answered();
    world
        .server()
        .blurt(refused(RefusedBecause::Withdrawn, &uuid));
    world.run_for(secs(1));
    assert_eq!(world.prompts().last().unwrap(), "withdrawn r1");
    assert!(world.decide("r1", &Decision::allow()).is_err());
}

#[test]
fn an_answer_that_the_role_does_not_allow_leaves_the_prompt_open() {
    let (mut world, uuid) = answered();
    world
        .server()
        .blurt(refused(RefusedBecause::Forbidden, &uuid));
    world.run_for(secs(1));
    let prompts = world.prompts();
    assert_eq!(prompts[3..], ["refused r1", "r1 Pending"]);
    assert_eq!(*world.viewer().status(), Status::Live);
}

#[test]
fn an_answer_that_got_lost_is_given_again_on_the_next_link() {
    let mut world = asked();
    world.server().freeze();
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(1));
    assert!(world.server().received_of("control_response").is_empty());
    // The silence is noticed, and another link made.
    world.run_for(secs(60));
    let answers = world.server().received_of("control_response");
    assert_eq!(answers.len(), 1);
    assert!(answers[0]["uuid"].is_string());
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
}

#[test]
fn a_verdict_that_came_while_away_is_in_the_backfill() {
    let mut world = asked();
    world.server().reset();
    world.server().answer_by_another("r1");
    world.server().emit(&settlement("theirs", "ada"));
    world.run_until_live();
    world.run_for(secs(1));
    let prompts = world.prompts();
    assert!(
        prompts.last().unwrap().starts_with("settled r1 by"),
        "{prompts:?}"
    );
    assert!(world.server().received_of("control_response").is_empty());
}

fn update(event_id: &str, status: DeliveryStatus) -> String {
    let event_id = event_id.to_owned();
    DeliveryUpdate { event_id, status }.to_frame()
}

#[test]
fn a_message_is_followed_to_its_end() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    let id = world.send("hello");
    world.run_for(secs(1));
    for status in [
        DeliveryStatus::Received,
        DeliveryStatus::Received,
        DeliveryStatus::Processing,
        DeliveryStatus::Received,
        DeliveryStatus::Processed,
        DeliveryStatus::Processed,
    ] {
        world.server().blurt(update(id.as_str(), status));
        world.run_for(millis(100));
    }
    world
        .server()
        .blurt(update("somebody-else's", DeliveryStatus::Received));
    world.run_for(secs(1));
    assert_eq!(
        world.send_states(&id),
        [
            SendState::Queued,
            SendState::InFlight,
            SendState::Accepted,
            SendState::Delivered,
            SendState::Processing,
            SendState::Processed,
        ]
    );
    assert!(world.messages().is_empty());
}

#[test]
fn what_the_worker_has_the_server_has() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.server().http_delay = secs(3);
    world.server().echoes = 0;
    let id = world.send("hello");
    world.run_for(millis(100));
    world
        .server()
        .blurt(update(id.as_str(), DeliveryStatus::Processing));
    world.run_for(secs(10));
    assert_eq!(
        world.send_states(&id),
        [
            SendState::Queued,
            SendState::InFlight,
            SendState::Accepted,
            SendState::Processing,
        ]
    );
}
