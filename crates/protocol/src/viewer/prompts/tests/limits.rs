//! How many prompts and answers are kept.

use super::*;

#[test]
fn the_table_is_bounded() {
    let mut prompts = table();
    let full = (0..100_000)
        .filter(|number| prompts.asked(ask(&format!("r{number}"), "ls"), Seen::Live) == Noted::Full)
        .count();
    assert_eq!(full, 100_000 - 256);
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
