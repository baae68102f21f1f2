//! The end: asked for, agreed, or imposed.

use attache_protocol::{
    frame::control::Fields,
    io::{Effect, Input, Token, TokenRefusal},
    policy::CloseCause,
    viewer::{
        ConnectError, Content, DecideError, Decision, ReconnectError, RequestError, RequestOutcome,
        SendRefusal, SendRejection, SendState, Status,
    },
};
use attache_testkit::{HttpPlan, SECRET, TokenPlan, World, millis, secs};

use super::config;

fn assert_over(world: &mut World) {
    assert_eq!(world.closed(), Some(CloseCause::Requested));
    assert_eq!(world.server().open_sockets(), 0);
    assert!(world.viewer().is_drained());
    assert_eq!(world.viewer().poll_timeout(), None);
    let cause = CloseCause::Requested;
    assert_eq!(*world.status(), Status::Closed { cause });
    assert_eq!(world.statuses().last().unwrap().1, Status::Closed { cause });
}

#[test]
fn connect_then_close_leaves_nothing_open() {
    // The token takes 5 ms, the upgrade 5 ms, the first page 5 ms: a close at every point in between.
    for wait in 0..20 {
        let mut world = World::new(config());
        world.connect();
        world.run_for(millis(wait));
        world.close();
        world.run_for(secs(3));
        assert_over(&mut world);
    }
}

#[test]
fn closing_before_connecting_leaves_nothing_open() {
    let mut world = World::new(config());
    world.close();
    world.run_for(secs(3));
    assert_over(&mut world);
    assert!(world.opens().is_empty());
}

#[test]
fn closing_while_waiting_to_retry_leaves_nothing_open() {
    let mut world = World::new(config());
    world.server().go_down();
    world.connect();
    world.run_until(secs(9), |world| {
        matches!(world.status(), Status::Waiting { .. })
    });
    world.close();
    world.run_for(secs(60));
    assert_over(&mut world);
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn nothing_is_delivered_between_the_request_to_close_and_the_end_of_the_socket_twice() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.server().say("assistant", "u1");
    world.close();
    world.close();
    world.run_until_closed();
    assert_over(&mut world);
}

#[test]
fn after_the_end_every_command_is_refused() {
    let mut world = World::new(config());
    world.close();
    world.run_until_closed();
    assert_eq!(world.try_connect(), Err(ConnectError::Closed));
    assert_eq!(world.reconnect(), Err(ReconnectError::Closed));
    assert_eq!(world.interrupt(), Err(RequestError::Closed));
    assert_eq!(world.request("x", &Fields::NONE), Err(RequestError::Closed));
    assert_eq!(
        world.decide("r", &Decision::allow()),
        Err(DecideError::Closed)
    );
    let refused = world.try_send(Content::text("kept")).unwrap_err();
    assert_eq!(refused.reason, SendRefusal::Closed);
    assert_eq!(refused.content, Content::text("kept"));
}

#[test]
fn a_close_asked_for_while_handling_an_event_is_honoured() {
    let asked_at: [fn(&World) -> bool; 4] = [
        |world| matches!(world.status(), Status::Connecting { .. }),
        |world| *world.status() == Status::CatchingUp,
        |world| *world.status() == Status::Live,
        |world| !world.messages().is_empty(),
    ];
    for asked in asked_at {
        let mut world = World::new(config());
        world.server().say("assistant", "u1");
        world.connect();
        world.run_until(secs(5), asked);
        world.close();
        world.run_for(secs(3));
        assert_over(&mut world);
    }
}

#[test]
fn a_reconnect_asked_for_while_handling_an_event_is_honoured() {
    let asked_at: [fn(&World) -> bool; 4] = [
        |world| matches!(world.status(), Status::Connecting { .. }),
        |world| *world.status() == Status::CatchingUp,
        |world| *world.status() == Status::Live,
        |world| !world.messages().is_empty(),
    ];
    for asked in asked_at {
        let mut world = World::new(config());
        world.server().say("assistant", "u1");
        world.connect();
        world.run_until(secs(5), asked);
        let attempts = world.attempts().len();
        world.reconnect().unwrap();
        world.run_for(secs(1));
        world.run_until_live();
        assert_eq!(world.attempts().len(), attempts + 1);
        assert_eq!(world.messages(), ["u1"]);
        assert_eq!(world.server().open_sockets(), 1);
    }
}

#[test]
fn what_was_not_sent_is_given_back_at_the_end() {
    let mut world = World::new(config());
    world.server().every_post(HttpPlan::Never);
    world.connect();
    world.run_until_live();
    let posted = world.send("posted");
    let waiting = world.send("waiting");
    world.run_for(millis(10));
    world.close();
    world.run_until_closed();
    assert_eq!(
        world.send_states(&posted).last(),
        Some(&SendState::Rejected(SendRejection::ClosedUnconfirmed))
    );
    assert_eq!(
        world.send_states(&waiting).last(),
        Some(&SendState::Rejected(SendRejection::Closed))
    );
}

#[test]
fn open_requests_end_with_the_session() {
    let mut world = World::new(config());
    world.server().answers_requests = false;
    world.connect();
    world.run_until_live();
    let request = world.request("mcp_status", &Fields::NONE).unwrap();
    world.close();
    world.run_until_closed();
    assert_eq!(
        world.outcome(request.as_str()),
        Some(RequestOutcome::Closed)
    );
}

#[test]
fn an_answer_from_the_token_source_after_the_end_changes_nothing() {
    let mut world = World::new(config());
    world.tokens().always(TokenPlan::Never);
    world.connect();
    let id = world
        .effects()
        .find_map(|effect| match effect {
            Effect::FetchToken { id, .. } => Some(*id),
            _ => None,
        })
        .unwrap();
    world.close();
    world.run_until_closed();
    world.feed(Input::TokenFetched {
        id,
        token: Token::new(SECRET),
    });
    world.feed(Input::TokenRefused {
        id,
        refusal: TokenRefusal::SignedOut,
    });
    world.run_for(secs(60));
    assert!(world.opens().is_empty());
}

#[test]
fn a_link_that_breaks_while_closing_is_closed_as_asked() {
    let mut world = World::new(config());
    world.server().answers_close = false;
    world.connect();
    world.run_until_live();
    world.close();
    world.cut();
    world.run_for(secs(3));
    assert_over(&mut world);
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn closed_is_decided_and_drained_is_nothing_left_to_take() {
    let mut world = World::new(config());
    assert!(!world.viewer().is_closed() && !world.viewer().is_drained());
    world.connect();
    world.run_until_live();
    assert!(!world.viewer().is_drained());
    world.read_events(attache_testkit::Reading::NotAtAll);
    world.close();
    world.run_until_closed();
    assert!(world.viewer().is_closed() && !world.viewer().is_drained());
    world.read_events(attache_testkit::Reading::Eagerly);
    assert!(world.viewer().is_drained());
}

#[test]
fn a_message_on_its_way_may_arrive_before_the_end() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.server().echoes = 0;
    world.server().http_delay = secs(1);
    let id = world.send("on its way");
    world.close();
    world.run_until_closed();
    assert_eq!(world.send_states(&id).last(), Some(&SendState::Accepted));
    assert!(world.elapsed() < secs(2));
    assert_over(&mut world);
}
