//! Tokens: where they go, when they are fetched, and what a refused one is worth.

#![allow(
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a story that does not go as told fails here, and that is what it is for"
)]

use attache_protocol::{
    io::{Effect, Refusal, TokenRefusal},
    policy::{CloseCause, Profile},
    viewer::{CredentialPlacement, Status, ViewerConfig},
};
use attache_testkit::{HttpPlan, TokenPlan, Upgrade, World, config, secs};

fn reference() -> ViewerConfig {
    let mut config = config();
    config.profile = Profile::reference();
    config
}

fn status(status: u16) -> Upgrade {
    Upgrade::Refuse(Refusal::Http {
        status,
        retry_after: None,
    })
}

#[test]
fn the_auth_frame_comes_first_on_the_socket() {
    for placement in [
        CredentialPlacement::AuthFrame,
        CredentialPlacement::HeaderAndAuthFrame,
    ] {
        let mut config = config();
        config.credential = placement;
        config.initialize = true;
        let mut world = World::new(config);
        world.connect();
        world.run_until_live();
        let first = &world.server().received()[0].frame;
        assert!(first.contains(r#""type":"auth""#), "{placement:?}");
        let has_bearer = world.effects().any(|effect| {
            matches!(effect, Effect::OpenSocket { request, .. } if request.bearer.is_some())
        });
        assert_eq!(
            has_bearer,
            placement == CredentialPlacement::HeaderAndAuthFrame
        );
    }
}

#[test]
fn a_token_that_is_good_for_calls_is_not_blamed_for_the_line_that_an_older_one_opened() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    // The token runs out: first a call notices, and gets another one; then the socket is closed for it.
    world.server().next_post(HttpPlan::Status(401, None));
    world.tokens().always(TokenPlan::Give("newer"));
    world.send("hello");
    world.run_for(secs(1));
    world.server().close(4003, "");
    world.run_for(secs(5));
    assert_eq!(*world.status(), Status::Live);
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn after_4003_the_same_token_is_never_tried_again() {
    for upgrade in [Upgrade::AcceptThenClose(4003), status(401), status(403)] {
        let mut world = World::new(config());
        world.server().every_upgrade(upgrade);
        world.connect();
        world.run_until_closed();
        assert_eq!(world.opens().len(), 1);
        assert_eq!(world.tokens().asked(), 2);
        assert_eq!(world.closed(), Some(CloseCause::Unauthorized));
    }
}

#[test]
fn after_4003_a_new_token_is_tried_once() {
    let mut world = World::new(config());
    world.tokens().next(TokenPlan::Give("stale"));
    world.server().accept_only("first");
    world.connect();
    world.run_until_live();
    assert_eq!(world.opens().len(), 2);

    let mut world = World::new(config());
    world.tokens().next(TokenPlan::Give("one"));
    world.tokens().next(TokenPlan::Give("two"));
    world.tokens().next(TokenPlan::Give("three"));
    world.server().every_upgrade(Upgrade::AcceptThenClose(4003));
    world.connect();
    world.run_until_closed();
    assert_eq!(world.opens().len(), 2);
    assert_eq!(world.closed(), Some(CloseCause::Unauthorized));
}

#[test]
fn the_reference_profile_stops_at_the_first_4003() {
    let mut world = World::new(reference());
    world.server().every_upgrade(Upgrade::AcceptThenClose(4003));
    world.connect();
    world.run_until_closed();
    assert_eq!((world.opens().len(), world.tokens().asked()), (1, 1));
    assert_eq!(world.closed(), Some(CloseCause::Unauthorized));
}

#[test]
fn a_token_that_expires_while_live_is_replaced() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.run_for(secs(60));
    world.tokens().always(TokenPlan::Give("second"));
    world.server().accept_only("second");
    world.server().close(4003, "");
    world.run_for(secs(1));
    world.run_until_live();
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn a_failing_token_source_ends_the_attempt_not_the_client() {
    let mut world = World::new(config());
    world
        .tokens()
        .next(TokenPlan::Refuse(TokenRefusal::Unavailable));
    world.tokens().next(TokenPlan::Never);
    world.connect();
    world.run_until_live();
    assert_eq!(world.attempts().len(), 3);
    assert_eq!(world.opens().len(), 1);
}

#[test]
fn signing_out_is_the_end() {
    let mut world = World::new(config());
    world
        .tokens()
        .next(TokenPlan::Refuse(TokenRefusal::SignedOut));
    world.connect();
    world.run_until_closed();
    assert_eq!(world.closed(), Some(CloseCause::SignedOut));
    assert!(world.opens().is_empty());
}

#[test]
fn every_attempt_asks_for_a_fresh_token() {
    let mut world = World::new(reference());
    world.server().go_down();
    world.connect();
    world.run_until_closed();
    assert_eq!(world.tokens().asked(), 6);
}

#[test]
fn a_token_source_that_fails_after_4003_is_asked_again_and_the_refused_token_stays_refused() {
    let mut world = World::new(config());
    world.tokens().next(TokenPlan::Give("stale"));
    world
        .tokens()
        .next(TokenPlan::Refuse(TokenRefusal::Unavailable));
    world.tokens().next(TokenPlan::Never);
    world.server().accept_only("first");
    world.connect();
    world.run_until(secs(300), |world| *world.status() == Status::Live);
    assert_eq!(world.opens().len(), 2);

    let mut world = World::new(config());
    world.tokens().next(TokenPlan::Give("stale"));
    world
        .tokens()
        .next(TokenPlan::Refuse(TokenRefusal::Unavailable));
    world.tokens().always(TokenPlan::Give("stale"));
    world.server().accept_only("first");
    world.connect();
    world.run_until_closed();
    assert_eq!(world.opens().len(), 1);
    assert_eq!(world.closed(), Some(CloseCause::Unauthorized));
}
