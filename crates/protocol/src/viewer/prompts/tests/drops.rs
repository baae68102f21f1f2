//! Prompts over a drop, and what the past says of them.

use super::*;

#[test]
fn after_a_drop_an_approval_needs_a_verified_prompt() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Live);
    assert_eq!(prompts.link_lost(), [(id("r"), PromptState::Unverified)]);
    assert_eq!(
        prompts.decide(&id("r"), &Decision::allow(), "answer"),
        Err(DecideError::Unverified)
    );
    assert!(prompts.caught_up(false).is_empty());
    assert_eq!(prompts.state(&id("r")), Some(PromptState::Unverified));

    assert_eq!(
        prompts.asked(ask("r", "ls"), Seen::Live),
        Noted::Verified(PromptState::Pending)
    );
    prompts
        .decide(&id("r"), &Decision::allow(), "answer")
        .unwrap();
    assert_eq!(prompts.send(1).len(), 1);
}

#[test]
fn an_answer_on_its_way_at_the_drop_waits_for_its_prompt_to_be_verified() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Live);
    prompts
        .decide(&id("r"), &Decision::allow(), "answer")
        .unwrap();
    prompts.send(1);
    assert_eq!(prompts.link_lost(), [(id("r"), PromptState::Answered)]);
    assert!(prompts.send(2).is_empty());
    prompts.caught_up(true);
    assert_eq!(prompts.send(3).len(), 1);
}

#[test]
fn a_denial_and_an_explicit_approval_wait_for_nothing() {
    let mut prompts = table();
    prompts.asked(ask("a", "ls"), Seen::Live);
    prompts.asked(ask("b", "ls"), Seen::Live);
    prompts.link_lost();
    prompts
        .decide(&id("a"), &Decision::deny("no"), "answer")
        .unwrap();
    let explicit = Decision::Allow(crate::viewer::Allow {
        standing: Standing::EvenIfUnverified,
        ..Default::default()
    });
    prompts.decide(&id("b"), &explicit, "answer").unwrap();
    assert_eq!(prompts.send(1).len(), 2);
}

#[test]
fn a_prompt_withdrawn_in_the_gap_takes_its_answer_with_it() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Live);
    prompts
        .decide(&id("r"), &Decision::allow(), "answer")
        .unwrap();
    prompts.link_lost();
    assert!(prompts.withdraw(&id("r"), Seen::Past));
    prompts.caught_up(true);
    assert!(prompts.send(1).is_empty());
}

#[test]
fn history_shows_only_what_is_still_open() {
    let mut prompts = table();
    assert_eq!(prompts.asked(ask("old", "ls"), Seen::Past), Noted::Silently);
    assert_eq!(
        prompts.asked(ask("open", "ls"), Seen::Past),
        Noted::Silently
    );
    let response = r#"{"type":"control_response","response":{"subtype":"success","request_id":"old","response":{"behavior":"deny","message":"x"}}}"#;
    let settled = prompts.responded(&id("old"), response).unwrap();
    assert!(!settled.tell);
    let shown = prompts.caught_up(true);
    assert_eq!(shown.len(), 1);
    assert!(matches!(
        &shown[0],
        CaughtUp::Show(request, PromptState::Pending) if *request.request_id() == id("open")
    ));
}

#[test]
fn an_answer_the_server_forgot_is_sent_again_without_asking_anybody() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Live);
    prompts
        .decide(&id("r"), &Decision::allow(), "answer")
        .unwrap();
    let first = prompts.send(1);
    prompts.delivered(1);
    prompts.link_lost();
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Live), Noted::Silently);
    assert_eq!(prompts.send(2), first);
    assert!(!prompts.delivered(2)[0].tell);
    assert_eq!(prompts.asked(ask("r", "rm"), Seen::Live), Noted::Conflict);
}

#[test]
fn behind_a_hole_nobody_knows_whether_a_prompt_is_still_asked() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Live);
    prompts.link_lost();
    prompts.hole();
    prompts.caught_up(true);
    assert_eq!(
        prompts.decide(&id("r"), &Decision::allow(), "answer"),
        Err(DecideError::Unverified)
    );
    prompts.asked(ask("r", "ls"), Seen::Live);
    assert_eq!(prompts.state(&id("r")), Some(PromptState::Pending));
}

#[test]
fn an_answer_that_went_again_is_known_as_such_whatever_became_of_its_prompt() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Live);
    prompts
        .decide(&id("r"), &Decision::deny("no"), "answer")
        .unwrap();
    assert_eq!(prompts.send(1).len(), 1);
    assert!(!prompts.went_again("answer"));

    prompts.link_lost();
    assert_eq!(prompts.send(2).len(), 1);
    assert!(prompts.went_again("answer"));
    prompts.withdraw(&id("r"), Seen::Live);
    assert!(prompts.went_again("answer"));
}
