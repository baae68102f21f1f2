//! Nothing is lost on the write side: one id, one order, one end.

use attache_protocol::{
    frame::RawJson,
    io::NetworkFailure,
    viewer::{Content, MessageId, SendRefusal, SendRejection, SendState},
};
use attache_testkit::{HttpPlan, TokenPlan, World, millis, secs};

use super::config;

fn live() -> World {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world
}

fn is_accepted(world: &World, id: &MessageId) -> bool {
    world.send_states(id).last() == Some(&SendState::Accepted)
}

#[test]
fn a_message_is_posted_and_accepted() {
    let mut world = live();
    let id = world.send("hello");
    world.run_for(secs(1));
    assert_eq!(
        world.send_states(&id),
        [SendState::Queued, SendState::InFlight, SendState::Accepted]
    );
    assert_eq!(world.server().posted(), [id.as_str()]);
}

#[test]
fn the_echo_of_an_own_message_is_not_delivered_however_often_it_comes() {
    for echoes in 0..4 {
        let mut world = live();
        world.server().echoes = echoes;
        let id = world.send("hello");
        world.run_for(secs(5));
        assert!(is_accepted(&world, &id));
        assert!(world.messages().is_empty(), "{echoes} echoes");
        world.cut();
        world.run_for(secs(10));
        assert!(
            world.messages().is_empty(),
            "{echoes} echoes, then the list"
        );
    }
}

#[test]
fn what_others_sent_is_delivered() {
    let mut world = live();
    world.send("mine");
    world.server().say("user", "theirs");
    world.run_for(secs(1));
    assert_eq!(world.messages(), ["theirs"]);
}

#[test]
fn sends_keep_their_order() {
    let mut world = live();
    world.server().http_delay = millis(50);
    for number in [2, 5, 7] {
        for _ in 0..number {
            world.server().next_post(HttpPlan::Serve);
        }
        world.server().next_post(HttpPlan::LoseAnswer);
        world.server().next_post(HttpPlan::Status(503, None));
        world
            .server()
            .next_post(HttpPlan::Fail(NetworkFailure::Reset));
    }
    world.server().echoes = 0;
    let ids: Vec<MessageId> = (0..20)
        .map(|number| world.send(&format!("{number}")))
        .collect();
    world.run_for(secs(200));
    let expected: Vec<&str> = ids.iter().map(MessageId::as_str).collect();
    assert_eq!(world.server().stored(), expected);
    for id in &ids {
        assert!(is_accepted(&world, id));
    }
}

#[test]
fn the_echo_confirms_when_the_answer_is_lost() {
    let mut world = live();
    world.server().next_post(HttpPlan::LoseAnswer);
    let id = world.send("hello");
    world.run_for(secs(60));
    assert!(is_accepted(&world, &id));
    assert_eq!(world.posts().len(), 1);
    assert!(world.messages().is_empty());
}

#[test]
fn the_list_confirms_what_was_sent_before_the_drop() {
    let mut world = live();
    world.server().say("assistant", "u0");
    world.run_for(secs(1));
    world.server().http_delay = secs(9);
    let id = world.send("hello");
    world.cut();
    world.server().http_delay = millis(0);
    world.run_for(secs(30));
    assert!(is_accepted(&world, &id));
    assert_eq!(world.messages(), ["u0"]);
    assert_eq!(world.server().stored(), ["u0", id.as_str()]);
}

#[test]
fn what_is_sent_offline_goes_out_once_the_link_is_back() {
    let mut world = World::new(config());
    let early = world.send("before connecting");
    world.run_for(secs(5));
    assert!(world.posts().is_empty());
    world.connect();
    world.run_until_live();
    world.run_for(secs(1));
    assert!(is_accepted(&world, &early));

    world.server().go_down();
    world.run_for(secs(1));
    let ids: Vec<MessageId> = (0..5)
        .map(|number| world.send(&format!("{number}")))
        .collect();
    let posts = world.posts().len();
    world.run_for(secs(60));
    assert_eq!(
        world.posts().len(),
        posts,
        "nothing is posted while the link is down"
    );
    world.server().come_up();
    world.run_for(secs(60));
    let expected: Vec<&str> = [&early]
        .into_iter()
        .chain(&ids)
        .map(MessageId::as_str)
        .collect();
    assert_eq!(world.server().stored(), expected);
    assert!(world.messages().is_empty());
}

#[test]
fn a_refused_message_ends_and_the_next_goes_on() {
    let mut world = live();
    world.server().next_post(HttpPlan::Status(400, None));
    let refused = world.send("bad");
    let next = world.send("good");
    world.run_for(secs(1));
    assert_eq!(
        world.send_states(&refused).last(),
        Some(&SendState::Rejected(SendRejection::Status { status: 400 }))
    );
    assert!(is_accepted(&world, &next));
}

#[test]
fn a_server_that_is_too_busy_is_given_the_time_it_asks_for() {
    let mut world = live();
    world
        .server()
        .next_post(HttpPlan::Status(429, Some(secs(7))));
    let id = world.send("hello");
    world.run_for(secs(60));
    let posts = world.posts();
    assert!(posts[1] - posts[0] >= secs(7), "{posts:?}");
    assert!(is_accepted(&world, &id));
    assert!(
        !world.send_states(&id).contains(&SendState::Unknown),
        "it certainly did not arrive"
    );
}

#[test]
fn a_refused_token_is_replaced_once() {
    for status in [401, 403] {
        let mut world = live();
        world.tokens().always(TokenPlan::Give("second"));
        world.server().next_post(HttpPlan::Status(status, None));
        let id = world.send("hello");
        world.run_for(secs(5));
        assert!(is_accepted(&world, &id), "{status}");
        assert_eq!(world.tokens().asked(), 2);

        let mut world = live();
        world.server().every_post(HttpPlan::Status(status, None));
        let id = world.send("hello");
        world.run_for(secs(30));
        assert_eq!(
            world.send_states(&id).last(),
            Some(&SendState::Rejected(SendRejection::Unauthorized)),
            "{status}"
        );
        assert!(world.tokens().asked() <= 2);
    }
}

#[test]
fn the_outbox_is_bounded_and_gives_back_what_it_does_not_take() {
    let mut world = World::new(config());
    for number in 0..256 {
        world.send(&format!("{number}"));
    }
    let refused = world.try_send(Content::text("one more")).unwrap_err();
    assert_eq!(refused.reason, SendRefusal::Full);
    assert_eq!(refused.content, Content::text("one more"));
    world.connect();
    world.run_for(secs(60));
    assert_eq!(world.server().stored().len(), 256);
    world.send("one more");
}

#[test]
fn a_message_larger_than_the_outbox_is_refused() {
    let mut world = live();
    let huge = "x".repeat(17 * 1024 * 1024);
    let refused = world.try_send(Content::text(&huge)).unwrap_err();
    assert!(matches!(refused.reason, SendRefusal::TooLarge { .. }));
    assert!(!refused.reason.is_retryable());
}

#[test]
fn content_blocks_are_posted_as_they_are() {
    let mut world = live();
    let blocks = RawJson::parse(r#"[{"type":"text","text":"a"}]"#).unwrap();
    let content = Content::from_json(blocks).unwrap();
    world.try_send(content).unwrap();
    world.run_for(secs(1));
    assert_eq!(world.server().stored().len(), 1);
    assert!(Content::from_json(RawJson::parse("7").unwrap()).is_err());
}

#[test]
fn a_watching_viewer_sends_nothing() {
    let mut config = config();
    config.viewer_only = true;
    let mut world = World::new(config);
    world.connect();
    world.run_until_live();
    let refused = world.try_send(Content::text("x")).unwrap_err();
    assert_eq!(refused.reason, SendRefusal::ViewerOnly);
}

#[test]
fn a_server_that_fails_for_hours_loses_no_message() {
    let mut world = live();
    world.server().every_post(HttpPlan::Status(500, None));
    let ids: Vec<MessageId> = (0..3)
        .map(|number| world.send(&format!("{number}")))
        .collect();
    world.run_for(secs(3 * 3600));
    assert!(world.posts().len() < 2000, "{}", world.posts().len());
    world.server().come_up();
    world.run_for(secs(120));
    let expected: Vec<&str> = ids.iter().map(MessageId::as_str).collect();
    assert_eq!(world.server().stored(), expected);
}

#[test]
fn a_token_source_that_fails_meanwhile_does_not_lose_a_message() {
    for plan in [
        TokenPlan::Refuse(attache_protocol::io::TokenRefusal::Unavailable),
        TokenPlan::Never,
    ] {
        let mut world = live();
        world.server().next_post(HttpPlan::Status(401, None));
        world.tokens().always(plan.clone());
        let id = world.send("hello");
        world.run_for(secs(40));
        world.tokens().always(TokenPlan::Give("second"));
        world.run_for(secs(300));
        assert!(is_accepted(&world, &id), "{plan:?}");
        // The refused token was not tried once more while there was no other.
        assert_eq!(world.posts().len(), 2, "{plan:?}");
    }
}

#[test]
fn a_token_that_was_refused_to_the_link_is_no_other_token_for_a_message() {
    let mut world = World::new(config());
    world.server().accept_only("second");
    world.tokens().next(TokenPlan::Give("first"));
    world.tokens().always(TokenPlan::Give("second"));
    world.connect();
    world.run_until_live();
    world.tokens().always(TokenPlan::Give("first"));
    world.server().every_post(HttpPlan::Status(401, None));
    let id = world.send("hello");
    world.run_for(secs(2));
    let rejected = SendState::Rejected(SendRejection::Unauthorized);
    assert_eq!(world.send_states(&id).last(), Some(&rejected));
    assert_eq!(world.posts().len(), 1);
}

#[test]
fn a_session_that_is_not_found_while_it_compacts_takes_the_message_later() {
    let mut world = live();
    world.server().next_post(HttpPlan::Status(404, None));
    world.server().next_post(HttpPlan::Status(404, None));
    let id = world.send("hello");
    world.run_for(secs(60));
    assert!(is_accepted(&world, &id));

    let mut world = live();
    world.server().every_post(HttpPlan::Status(404, None));
    let id = world.send("hello");
    world.run_for(secs(600));
    assert_eq!(
        world.send_states(&id).last(),
        Some(&SendState::Rejected(SendRejection::Status { status: 404 }))
    );
    assert_eq!(world.posts().len(), 4);
}

#[test]
fn what_was_accepted_makes_room() {
    let mut world = live();
    let large = "x".repeat(7 * 1024 * 1024);
    for _ in 0..10 {
        let id = world.send(&large);
        world.run_for(secs(1));
        assert!(is_accepted(&world, &id));
    }
    world.server().echoes = 0;
    let id = world.send(&large);
    world.run_for(secs(1));
    assert!(is_accepted(&world, &id));
    world.send(&large);
}

#[test]
fn a_list_and_a_message_that_want_another_token_share_one() {
    let mut world = live();
    world.server().say("assistant", "u0");
    world.run_for(secs(20));
    world.cut();
    world.run_until(secs(20), |world| world.attempts().len() == 2);
    world.tokens().always(TokenPlan::Give("second"));
    world.server().next_list(HttpPlan::Status(401, None));
    world.server().next_post(HttpPlan::Status(401, None));
    let id = world.send("hello");
    world.run_for(secs(30));
    assert!(is_accepted(&world, &id));
    assert!(world.gaps().is_empty());
    assert_eq!(world.tokens().asked(), 3);
}
