//! The past as a list gives it, page by page, and the holes that a list can have.

use attache_protocol::{
    io::{Effect, NetworkFailure},
    viewer::{
        Allow, DecideError, Decision, GapCause, History, RequestOutcome, SendState, Source,
        Standing, Status, ViewerConfig,
    },
};
use attache_testkit::{HttpPlan, World, millis, secs};
use serde_json::Value;

use super::config;

fn with_history(history: History) -> ViewerConfig {
    let mut config = config();
    config.history = history;
    config
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("u{number}")).collect()
}

fn say_all(world: &mut World, ids: &[String]) {
    for id in ids {
        world.server().say("assistant", id);
    }
}

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
    world.run_for(secs(1));
    world
}

fn answers(world: &mut World) -> Vec<Value> {
    world.server().received_of("control_response")
}

fn even_if_unverified() -> Decision {
    Decision::Allow(Allow {
        standing: Standing::EvenIfUnverified,
        ..Allow::default()
    })
}

#[test]
fn a_drop_before_any_position_is_known_is_one_gap() {
    let mut world = World::new(with_history(History::None));
    world.connect();
    world.run_until_live();
    world.cut();
    world.server().say("assistant", "lost");
    world.run_for(secs(10));
    assert_eq!(world.gaps(), [(None, GapCause::NoPosition)]);
    world.server().say("assistant", "u1");
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["u1"]);
    assert_eq!(*world.status(), Status::Live);
}

#[test]
fn live_frames_wait_for_the_past_and_come_once() {
    let mut world = World::new(with_history(History::All));
    say_all(&mut world, &ids(0..3));
    world.server().http_delay = secs(1);
    world.connect();
    world.run_until(secs(5), |world| *world.status() == Status::CatchingUp);
    world.run_for(millis(500));
    // The page was written before these two were said; the server tells them live as well.
    say_all(&mut world, &ids(3..5));
    world.run_for(millis(100));
    assert!(world.messages().is_empty());
    world.run_until_live();
    assert_eq!(world.messages(), ids(0..5));
    assert_eq!(
        world.sources(),
        [
            Source::History,
            Source::History,
            Source::History,
            Source::Live,
            Source::Live
        ]
    );
}

#[test]
fn nothing_is_loaded_before_the_server_shows_that_it_has_subscribed_us() {
    let mut world = World::new(with_history(History::All));
    world.server().answers_pings = false;
    world.connect();
    world.run_for(secs(4));
    assert_eq!(*world.status(), Status::CatchingUp);
    assert!(world.pages().is_empty());

    // A server that answers no ping is believed after 5 s.
    world.run_for(secs(2));
    assert_eq!(*world.status(), Status::Live);
}

#[test]
fn pages_are_read_one_after_the_other() {
    let mut world = World::new(with_history(History::All));
    say_all(&mut world, &ids(0..250));
    world.connect();
    world.run_until_live();
    let paths: Vec<String> = world
        .effects()
        .filter_map(|effect| match effect {
            Effect::SendHttp { request, .. } => Some(request.path.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        paths,
        [
            "/v1/sessions/session_story/events?limit=100",
            "/v1/sessions/session_story/events?limit=100&after_id=u99",
            "/v1/sessions/session_story/events?limit=100&after_id=u199",
        ]
    );
}

#[test]
fn a_drop_during_the_catch_up_starts_it_again_and_repeats_nothing() {
    let mut world = World::new(with_history(History::All));
    say_all(&mut world, &ids(0..500));
    world.server().http_delay = millis(200);
    world.connect();
    world.run_for(millis(500));
    assert_eq!(*world.status(), Status::CatchingUp);
    world.cut();
    world.run_for(secs(5));
    say_all(&mut world, &ids(500..505));
    world.run_until_live();
    world.run_for(secs(1));
    assert_eq!(world.messages(), ids(0..505));
    assert!(world.gaps().is_empty());
}

#[test]
fn an_interrupt_asked_for_before_a_hole_expires_because_its_turn_may_be_over() {
    let mut world = live();
    world.server().say("assistant", "u0");
    world.run_for(secs(20));
    world.server().every_list(HttpPlan::Status(422, None));
    world.cut();
    let id = world.interrupt().unwrap();
    world.run_for(secs(30));
    assert_eq!(world.outcome(id.as_str()), Some(RequestOutcome::Expired));
    assert!(world.server().received_of("control_request").is_empty());
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
fn a_message_whose_result_is_unknown_goes_out_again_under_the_same_id() {
    for plan in [
        HttpPlan::LoseAnswer,
        HttpPlan::Fail(NetworkFailure::Reset),
        HttpPlan::Status(500, None),
        HttpPlan::Never,
    ] {
        let mut world = live();
        world.server().echoes = 0;
        world.server().next_post(plan.clone());
        let id = world.send("hello");
        world.run_for(secs(60));
        let states = world.send_states(&id);
        assert!(states.contains(&SendState::Unknown), "{plan:?} {states:?}");
        assert!(
            world.send_states(&id).last() == Some(&SendState::Accepted),
            "{plan:?}"
        );
        assert_eq!(world.posts().len(), 2, "{plan:?}");
        assert!(
            world
                .server()
                .posted()
                .iter()
                .all(|posted| posted == id.as_str())
        );
        assert_eq!(world.server().stored(), [id.as_str()]);
    }
}

#[test]
fn an_answer_that_went_again_does_not_lead_the_position_back() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.server().ask("r1", "ls");
    world.run_for(millis(100));
    world.server().answers_pings = false;
    world.server().echoes_answers = false;
    world.decide("r1", &Decision::deny("no")).unwrap();
    world.run_for(millis(20));
    world.cut();
    world.server().answers_pings = true;
    world.server().echoes_answers = true;
    let missed = r#"{"type":"assistant","uuid":"missed"}"#;
    world.server().store_unseen(missed);
    world.server().http_delay = secs(1);
    world.server().next_list(HttpPlan::Status(400, None));
    world.run_until(secs(60), |world| *world.status() == Status::CatchingUp);
    world.run_for(millis(100));
    world.server().say("assistant", "seen");
    world.run_until_live();
    world.run_for(secs(1));
    assert_eq!(world.gaps().len(), 1);
    let answers = world.server().received_of("control_response");
    assert_eq!(answers.len(), 2, "it went again");

    world.cut();
    world.run_for(millis(10));
    world.run_until_live();
    assert_eq!(world.messages(), ["seen"]);
}
