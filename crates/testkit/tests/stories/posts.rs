//! Control frames that are posted: one id however often, and the answer of the post is the verdict.

use attache_protocol::{
    frame::control::Fields,
    io::NetworkFailure,
    policy::CloseCause,
    viewer::{Decision, Event, RequestOutcome, Status},
};
use attache_testkit::{HttpPlan, World, millis, secs};

use super::config;

/// A live world in which `u0` has been delivered.
fn live() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u0");
    world.run_for(secs(1));
    world
}

#[test]
fn a_close_drops_the_stream_at_once_and_waits_for_what_is_posted() {
    let mut world = live();
    world.server().ask("r1", "ls");
    world.run_for(secs(1));
    world.server().http_delay = secs(1);
    world.decide("r1", &Decision::allow()).unwrap();
    world.close();
    assert_eq!(*world.status(), Status::Closing);
    assert_eq!(world.server().open_sockets(), 0);
    world.run_for(secs(3));
    assert_eq!(world.closed(), Some(CloseCause::Requested));
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
}

#[test]
fn an_answer_whose_fate_is_unknown_goes_again_under_the_same_id() {
    for plan in [
        HttpPlan::LoseAnswer,
        HttpPlan::Fail(NetworkFailure::Reset),
        HttpPlan::Status(500, None),
        HttpPlan::Status(429, Some(secs(3))),
        HttpPlan::Never,
    ] {
        let mut world = live();
        world.server().ask("r1", "ls");
        world.run_for(secs(1));
        world.server().next_post(plan.clone());
        world.decide("r1", &Decision::allow()).unwrap();
        world.run_for(secs(60));
        assert_eq!(
            world.prompts().last().unwrap(),
            "settled r1 by us",
            "{plan:?}"
        );
        let answers = world.server().received_of("control_response");
        assert_eq!(answers.len(), 1, "{plan:?}");
    }
}

#[test]
fn a_credential_that_may_not_answer_loses_that_answer_and_nothing_else() {
    let mut world = live();
    world.server().ask("r1", "ls");
    world.run_for(secs(1));
    world.server().every_post(HttpPlan::Status(403, None));
    world.decide("r1", &Decision::allow()).unwrap();
    let request = world.request("set_model", &Fields::NONE).unwrap();
    world.run_for(secs(5));
    let refused = world
        .events()
        .filter(|event| matches!(event, Event::AnswerRefused { .. }))
        .count();
    assert_eq!(refused, 1);
    assert_eq!(world.prompts().last().unwrap(), "r1 Pending");
    assert!(matches!(
        world.outcome(request.as_str()),
        Some(RequestOutcome::Failed(_))
    ));
    assert_eq!(*world.status(), Status::Live);
    assert_eq!(world.opens().len(), 1);

    world.server().every_post(HttpPlan::Serve);
    world.decide("r1", &Decision::allow()).unwrap();
    world.run_for(secs(5));
    assert_eq!(world.prompts().last().unwrap(), "settled r1 by us");
}

#[test]
fn an_answer_that_comes_too_late_is_settled_by_another_or_withdrawn() {
    for withdrawn in [true, false] {
        let mut world = live();
        world.server().ask("r1", "ls");
        world.run_for(secs(1));
        // The end is on its way when the answer is given.
        world.set_latency(millis(200));
        if withdrawn {
            world.server().cancel("r1");
        } else {
            world.server().answer_by_another("r1");
        }
        world.set_latency(millis(5));
        world.server().freeze();
        world.decide("r1", &Decision::allow()).unwrap();
        world.run_for(secs(1));
        let end = world.prompts().last().unwrap().clone();
        let expected = if withdrawn {
            "withdrawn r1"
        } else {
            "settled r1 by another"
        };
        assert_eq!(end, expected);
    }
}

#[test]
fn a_request_whose_fate_is_unknown_reaches_the_agent_once() {
    for plan in [
        HttpPlan::LoseAnswer,
        HttpPlan::Fail(NetworkFailure::Reset),
        HttpPlan::Status(503, None),
        HttpPlan::Status(429, None),
    ] {
        let mut world = live();
        world.server().next_post(plan.clone());
        let id = world.request("set_model", &Fields::NONE).unwrap();
        world.run_for(secs(29));
        let outcome = world.outcome(id.as_str());
        assert!(
            matches!(outcome, Some(RequestOutcome::Succeeded(_))),
            "{plan:?} {outcome:?}"
        );
        let requests = world.server().received_of("control_request");
        assert_eq!(requests.len(), 1, "{plan:?}");
    }
}

#[test]
fn an_interrupt_that_could_not_be_posted_never_hits_a_later_turn() {
    for plan in [HttpPlan::Status(429, None), HttpPlan::Status(503, None)] {
        let mut world = live();
        world.server().next_post(plan.clone());
        let id = world.interrupt().unwrap();
        world.run_for(millis(100));
        world.server().emit(r#"{"type":"result","uuid":"over"}"#);
        world.run_for(secs(20));
        let expected = match plan {
            HttpPlan::Status(429, _) => RequestOutcome::Expired,
            _ => RequestOutcome::Unanswered,
        };
        assert_eq!(world.outcome(id.as_str()), Some(expected));
        assert!(world.server().received_of("control_request").is_empty());
    }
}

#[test]
fn requests_of_other_viewers_are_nobodys_business() {
    let mut world = live();
    world.server().blurt_bytes(
        "event: client_event\nid: 2\ndata: {\"event_id\":\"q\",\"sequence_num\":2,\"source\":\"client\",\"payload\":{\"type\":\"control_request\",\"request_id\":\"q\",\"uuid\":\"q\",\"request\":{\"subtype\":\"set_model\"}}}\n\n",
    );
    world.run_for(secs(1));
    assert!(world.server().received().is_empty());
    assert!(world.gaps().is_empty());
}
