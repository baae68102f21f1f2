mod drops;
mod limits;
mod verdicts;

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
fn a_cancel_before_its_request_keeps_the_request_closed() {
    let mut prompts = table();
    assert!(prompts.withdraw(&id("r"), Seen::Live));
    assert_eq!(prompts.asked(ask("r", "ls"), Seen::Live), Noted::Silently);
    assert_eq!(prompts.state(&id("r")), None);
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
