use alloc::format;

use super::*;
use crate::frame::{
    Frame,
    relay::{AnswerRefused, AnsweredBy, RefusedBecause, Settlement},
};

fn ask(id: &str, command: &str) -> PermissionRequest {
    let text = format!(
        r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"{command}"}}}}}}"#
    );
    PermissionRequest::parse(&Frame::classify(text.into()).unwrap()).unwrap()
}

fn id(text: &'static str) -> RequestId {
    RequestId::new(text).unwrap()
}

fn table() -> Prompts {
    Prompts::new(&Limits::default(), 1)
}

#[test]
fn the_same_question_twice_is_one_prompt_and_another_under_its_id_is_refused() {
    let mut prompts = table();
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Live), Noted::New);
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Live), Noted::Silently);
    assert_eq!(prompts.asked(ask("r", "rm"), Seen::Live), Noted::Conflict);
}

#[test]
fn an_answer_is_settled_by_the_pong_to_its_ping_or_a_later_one() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Live);
    prompts
        .decide(&id("r"), &Decision::allow(), "answer")
        .unwrap();
    assert_eq!(
        prompts.decide(&id("r"), &Decision::allow(), "answer"),
        Err(DecideError::AlreadyAnswered)
    );
    assert_eq!(prompts.send(7).len(), 1);
    assert!(prompts.send(8).is_empty());
    assert!(prompts.delivered(6).is_empty());
    let settled = prompts.delivered(9);
    assert_eq!(settled[0].by, SettledBy::Us);
    assert!(settled[0].tell);
    assert_eq!(
        prompts.decide(&id("r"), &Decision::allow(), "answer"),
        Err(DecideError::UnknownPrompt)
    );
}

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
fn a_cancel_before_its_request_keeps_the_request_closed() {
    let mut prompts = table();
    assert!(prompts.withdraw(&id("r"), Seen::Live));
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Live), Noted::Silently);
    assert_eq!(prompts.state(&id("r")), None);
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
fn another_viewers_answer_settles_the_prompt() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Live);
    let response = r#"{"type":"control_response","response":{"subtype":"success","request_id":"r","response":{"behavior":"allow","updatedInput":{}}}}"#;
    assert_eq!(
        prompts.responded(&id("r"), response).unwrap().by,
        SettledBy::AnotherViewer { name: None }
    );
}

#[test]
fn a_question_asked_again_before_its_answer_stays_answered_when_it_comes_late() {
    let mut prompts = table();
    prompts.asked(ask("r", "ls"), Seen::Past);
    let response = r#"{"type":"control_response","response":{"subtype":"success","request_id":"r","response":{"behavior":"allow","updatedInput":{}}}}"#;
    prompts.responded(&id("r"), response);
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Live), Noted::Silently);
    assert!(prompts.caught_up(true).is_empty());

    // On another link the server knows better than the log; what was held before does not.
    prompts.link_lost();
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Past), Noted::Silently);
    assert!(prompts.caught_up(true).is_empty());
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Live), Noted::New);
}

#[test]
fn the_table_is_bounded() {
    let mut prompts = table();
    let full = (0..100_000)
        .filter(|number| prompts.asked(ask(&format!("r{number}"), "ls"), Seen::Live) == Noted::Full)
        .count();
    assert_eq!(full, 100_000 - 256);
}

fn settlement(answer_id: &str, name: &str) -> Settlement {
    Settlement {
        request_id: id("r"),
        behavior: Behavior::Allow,
        answer_id: Some(answer_id.into()),
        answered_by: Some(AnsweredBy {
            name: Some(name.into()),
            role: None,
        }),
    }
}

fn sent() -> Prompts {
    let mut prompts = table();
    prompts.await_verdicts();
    prompts.asked(ask("r", "ls"), Seen::Live);
    prompts
        .decide(&id("r"), &Decision::allow(), "answer")
        .unwrap();
    assert_eq!(prompts.send(1).len(), 1);
    prompts
}

#[test]
fn where_the_server_gives_verdicts_a_pong_settles_nothing() {
    let mut prompts = sent();
    assert!(prompts.delivered(1).is_empty());
    let settled = prompts.settled(&settlement("answer", "ada")).unwrap();
    assert_eq!(settled.by, SettledBy::Us);
    assert_eq!(settled.behavior, Some(Behavior::Allow));

    prompts.link_lost();
    prompts.asked(ask("r2", "ls"), Seen::Live);
    prompts
        .decide(&id("r2"), &Decision::allow(), "second")
        .unwrap();
    prompts.send(2);
    assert_eq!(
        prompts.delivered(2).len(),
        1,
        "another link, another server"
    );
}

#[test]
fn another_viewers_answer_is_told_with_its_name() {
    let mut prompts = sent();
    let response = r#"{"type":"control_response","response":{"subtype":"success","request_id":"r","response":{"behavior":"deny","message":"x"}}}"#;
    assert_eq!(prompts.responded(&id("r"), response), None);
    let settled = prompts.settled(&settlement("other", "ada")).unwrap();
    let name = Some("ada".into());
    assert_eq!(settled.by, SettledBy::AnotherViewer { name });
    assert_eq!(prompts.settled(&settlement("other", "ada")), None);
}

#[test]
fn an_answer_in_a_log_without_verdicts_is_told_after_the_catch_up() {
    let mut prompts = table();
    prompts.await_verdicts();
    prompts.asked(ask("r", "ls"), Seen::Live);
    let response = r#"{"type":"control_response","response":{"subtype":"success","request_id":"r","response":{"behavior":"deny","message":"x"}}}"#;
    assert_eq!(prompts.responded(&id("r"), response), None);
    let found = prompts.caught_up(true);
    let [CaughtUp::Settled(settled)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(settled.by, SettledBy::AnotherViewer { name: None });
    assert_eq!(settled.behavior, Some(Behavior::Deny));
}

#[test]
fn a_refused_answer_settles_withdraws_or_reopens_the_prompt() {
    let refused = |reason, answer_id: &str| AnswerRefused {
        request_id: id("r"),
        answer_id: Some(answer_id.into()),
        reason,
        answered_by: None,
        message: "no".into(),
    };
    let mut prompts = sent();
    let stranger = refused(RefusedBecause::Answered, "not ours");
    assert_eq!(prompts.refused(&stranger), None);
    let late = refused(RefusedBecause::Answered, "answer");
    assert!(matches!(
        prompts.refused(&late),
        Some(Refusal::Settled(Settled {
            by: SettledBy::AnotherViewer { name: None },
            ..
        }))
    ));
    assert_eq!(prompts.refused(&late), None);

    let mut prompts = sent();
    let gone = refused(RefusedBecause::Withdrawn, "answer");
    assert_eq!(prompts.refused(&gone), Some(Refusal::Withdrawn(true)));

    let mut prompts = sent();
    let forbidden = refused(RefusedBecause::Forbidden, "answer");
    assert_eq!(
        prompts.refused(&forbidden),
        Some(Refusal::StillOpen(Some(PromptState::Pending)))
    );
    assert!(prompts.send(2).is_empty());
    prompts
        .decide(&id("r"), &Decision::allow(), "again")
        .unwrap();
    assert_eq!(prompts.send(3).len(), 1);
}

fn padded(id: &str, bytes: usize) -> PermissionRequest {
    let command = "x".repeat(bytes - ask(id, "").frame().as_str().len());
    ask(id, &command)
}

#[test]
fn prompts_fill_their_bytes_to_the_last_one_and_the_first_always_fits() {
    let mut prompts = Prompts::new(
        &Limits {
            prompt_bytes: 1000,
            ..Limits::default()
        },
        1,
    );
    assert_eq!(prompts.asked(padded("a", 400), Seen::Live), Noted::New);
    assert_eq!(prompts.asked(padded("b", 601), Seen::Live), Noted::Full);
    assert_eq!(prompts.asked(padded("b", 600), Seen::Live), Noted::New);
    assert_eq!(prompts.asked(padded("c", 200), Seen::Live), Noted::Full);
    for id in ["a", "b"] {
        prompts.withdraw(&RequestId::new(id).unwrap(), Seen::Live);
    }
    assert_eq!(prompts.asked(padded("d", 5000), Seen::Live), Noted::New);
}

#[test]
fn prompts_are_full_at_the_count_that_was_set() {
    let mut prompts = Prompts::new(
        &Limits {
            prompts: 2,
            ..Limits::default()
        },
        1,
    );
    for (id, noted) in [("a", Noted::New), ("b", Noted::New), ("c", Noted::Full)] {
        assert_eq!(prompts.asked(ask(id, "ls"), Seen::Live), noted, "{id}");
    }
}

#[test]
fn answers_go_out_in_the_order_of_their_questions() {
    let mut prompts = table();
    for name in ["z", "m", "a"] {
        prompts.asked(ask(name, "ls"), Seen::Live);
    }
    for name in ["a", "m", "z"] {
        let id = RequestId::new(name).unwrap();
        prompts.decide(&id, &Decision::allow(), "answer").unwrap();
    }
    let sent: Vec<RequestId> = prompts.send(1).into_iter().map(|(id, _)| id).collect();
    assert_eq!(sent, [id("z"), id("m"), id("a")]);
}

#[test]
fn a_withdrawal_of_what_was_never_shown_is_told_once_and_only_live() {
    let mut prompts = table();
    assert!(prompts.withdraw(&id("a"), Seen::Live));
    assert!(!prompts.withdraw(&id("a"), Seen::Live));
    assert!(!prompts.withdraw(&id("b"), Seen::Past));
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

/// Asks, answers, and sees the answer delivered.
fn settle(prompts: &mut Prompts, request: PermissionRequest) {
    let id = request.request_id().clone();
    assert_eq!(prompts.asked(request, Seen::Live), Noted::New);
    prompts.decide(&id, &Decision::allow(), "answer").unwrap();
    assert_eq!(prompts.send(1).len(), 1);
    assert_eq!(prompts.delivered(1).len(), 1);
}

#[test]
fn an_answered_question_that_the_past_shows_is_not_answered_again() {
    let mut prompts = table();
    settle(&mut prompts, ask("r", "ls"));
    prompts.link_lost();
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Past), Noted::Silently);
    assert!(prompts.caught_up(true).is_empty());
    assert!(prompts.send(2).is_empty());
}

#[test]
fn the_last_64_answers_are_kept_in_case_the_server_forgets_one() {
    for (count, first) in [(64, Noted::Silently), (65, Noted::New), (200, Noted::New)] {
        let mut prompts = table();
        for number in 0..count {
            settle(&mut prompts, ask(&format!("r{number}"), "ls"));
        }
        prompts.link_lost();
        assert_eq!(prompts.asked(ask("r0", "ls"), Seen::Live), first, "{count}");
        let last = format!("r{}", count - 1);
        let again = prompts.asked(ask(&last, "ls"), Seen::Live);
        assert_eq!(again, Noted::Silently, "{count}");
    }
}

#[test]
fn large_answers_are_kept_as_far_as_they_fit() {
    const MIB: usize = 1024 * 1024;
    // An answer repeats the input of its question.
    for (bytes, names, kept) in [
        (
            MIB / 2,
            &["a", "b", "c", "d", "e"][..],
            &["c", "d", "e"][..],
        ),
        (5 * MIB / 2, &["a"], &[]),
    ] {
        let mut prompts = table();
        for name in names {
            settle(&mut prompts, padded(name, bytes));
        }
        prompts.link_lost();
        let mut found = Vec::new();
        for name in names {
            if prompts.asked(padded(name, bytes), Seen::Live) == Noted::Silently {
                found.push(*name);
            }
            prompts.withdraw(&RequestId::new(*name).unwrap(), Seen::Live);
        }
        assert_eq!(found, kept, "{bytes}");
    }
}

#[test]
fn an_answer_that_says_something_else_is_not_ours() {
    let response = |behavior| {
        format!(
            r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"r","response":{{"behavior":"{behavior}","updatedInput":{{"command":"ls"}}}}}}}}"#
        )
    };
    for (behavior, by) in [
        ("allow", SettledBy::Us),
        ("deny", SettledBy::AnotherViewer { name: None }),
    ] {
        let mut prompts = table();
        prompts.asked(ask("r", "ls"), Seen::Live);
        prompts
            .decide(&id("r"), &Decision::allow(), "answer")
            .unwrap();
        prompts.send(1);
        let settled = prompts.responded(&id("r"), &response(behavior)).unwrap();
        assert_eq!(settled.by, by);
    }
}

#[test]
fn a_table_of_prompts_shows_no_answer() {
    let mut prompts = table();
    prompts.asked(ask("r", "canary"), Seen::Live);
    prompts
        .decide(&id("r"), &Decision::deny("canary"), "answer")
        .unwrap();
    let shown = format!("{prompts:?}");
    assert!(shown.contains("Answer(") && !shown.contains("canary"));
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
