//! Whose answer counted.

use super::*;

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
