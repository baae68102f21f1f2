//! Every close code, in every phase of a viewer, as the table says.

use core::time::Duration;

use attache_protocol::{
    policy::{CloseCause, Outcome, TABLE},
    viewer::{History, Transport},
};

use crate::{
    attempt::{Attempt, End, Stage},
    reading::Table,
};

/// The wide window of an announced restart.
const WINDOW: Duration = Duration::from_secs(10);
/// The first delay of a budget is drawn from the upper half of this.
const FIRST: Duration = Duration::from_secs(1);
/// A longer `Retry-After` is cut to this.
pub(crate) const RETRY_AFTER_CAP: Duration = Duration::from_secs(300);

#[test]
fn every_close_code_does_in_every_phase_what_the_table_says() {
    let table = Table::read(TABLE);
    for stage in [Stage::Opening, Stage::CatchingUp, Stage::Live] {
        let mut ready = Attempt::begin(Transport::WebSocket, History::All);
        ready.reach(stage);
        for code in 0..=u16::MAX {
            for reason in ["", "session ended"] {
                let end = End::Close { code, reason };
                let verdict = table.close(code, reason == "session ended");
                follows(verdict, &ready, stage, &end, None);
            }
        }
    }
}

#[test]
fn every_close_code_while_closing_is_the_end_that_was_asked_for() {
    let mut closing = live();
    closing.close();
    for code in 0..=u16::MAX {
        let mut closing = closing.clone();
        closing.hit(&End::Close { code, reason: "" });
        assert_eq!(closing.closed(), Some(CloseCause::Requested), "{code}");
    }
}

#[test]
fn no_close_code_of_a_connection_that_is_over_changes_anything() {
    let dropped = End::Close {
        code: 1006,
        reason: "",
    };
    let mut waiting = live();
    waiting.hit(&dropped);
    let mut back = waiting.clone();
    back.reach(Stage::Live);
    let wait = waiting.wait();
    for code in 0..=u16::MAX {
        let again = End::Close { code, reason: "" };
        waiting.hit_again(&again);
        assert_eq!(waiting.wait(), wait, "{code}");
        back.hit_again(&again);
        assert!(back.is_live(), "{code}");
    }
}

fn live() -> Attempt {
    let mut live = Attempt::begin(Transport::WebSocket, History::All);
    live.reach(Stage::Live);
    live
}

/// Lets connections end this way for as long as there are any, and sees that it goes as the verdict says.
pub(crate) fn follows(
    verdict: &str,
    ready: &Attempt,
    stage: Stage,
    end: &End,
    asked: Option<Duration>,
) {
    let mut attempt = ready.clone();
    attempt.hit(end);
    let context = || format!("{end:?} while {stage:?}: {verdict}");
    let closed = match verdict {
        "retry within the budget" => {
            let wait = attempt.wait().unwrap_or_else(|| panic!("{}", context()));
            assert!(
                wait >= FIRST / 2 && wait <= FIRST,
                "{wait:?}, {}",
                context()
            );
            return;
        }
        "retry; the first delay is spread over a wide window and honours `Retry-After`" => {
            let asked = asked.unwrap_or_default().min(RETRY_AFTER_CAP);
            let wait = attempt.wait().unwrap_or_else(|| panic!("{}", context()));
            let within = asked + FIRST / 2..=asked + WINDOW;
            assert!(within.contains(&wait), "{wait:?}, {}", context());
            attempt.reach(stage);
            attempt.hit(end);
            let wait = attempt.wait().unwrap_or_else(|| panic!("{}", context()));
            let within = asked.max(FIRST)..=asked.max(FIRST * 2);
            assert!(within.contains(&wait), "again {wait:?}, {}", context());
            return;
        }
        "one try with a different token, else closed: unauthorized" => {
            other_token(attempt, stage, end);
            return;
        }
        "at most 3 retries after 2 s, 4 s, 6 s, then closed: session not found" => {
            for seconds in [2, 4, 6] {
                assert_eq!(
                    attempt.wait(),
                    Some(Duration::from_secs(seconds)),
                    "{}",
                    context()
                );
                attempt.reach(stage);
                attempt.hit(end);
            }
            CloseCause::SessionNotFound
        }
        "1 retry, then closed: too large" => {
            retries(&mut attempt, 1, stage, end);
            CloseCause::TooLarge
        }
        "at most 3 retries, then closed: exhausted" => {
            retries(&mut attempt, 3, stage, end);
            match attempt.closed() {
                Some(CloseCause::Exhausted {
                    last: Outcome::CloseFrame { code, .. },
                }) if matches!(end, End::Close { code: last, .. } if code == *last) => return,
                other => panic!("{other:?}, {}", context()),
            }
        }
        "closed: session ended" => CloseCause::SessionEnded,
        "closed: protocol error" => match end {
            End::Close { code, .. } => CloseCause::ProtocolError { code: *code },
            End::Status(..) => panic!("{}", context()),
        },
        "closed: rejected" => match end {
            End::Status(status, _) => CloseCause::Rejected { status: *status },
            End::Close { .. } => panic!("{}", context()),
        },
        _ => panic!("no test knows the verdict \"{verdict}\""),
    };
    assert_eq!(attempt.wait(), None, "{}", context());
    assert_eq!(attempt.closed(), Some(closed), "{}", context());
}

/// It tries again so often, and no sooner than the budget lets it.
fn retries(attempt: &mut Attempt, times: u32, stage: Stage, end: &End) {
    for _ in 0..times {
        let wait = attempt.wait();
        assert!(
            wait.is_some_and(|wait| wait >= FIRST / 2),
            "{wait:?}, {end:?}"
        );
        attempt.reach(stage);
        attempt.hit(end);
    }
}

fn other_token(refused: Attempt, stage: Stage, end: &End) {
    assert!(refused.wants_other_token(), "{end:?} while {stage:?}");

    let mut with_none = refused.clone();
    with_none.has_other_token = false;
    with_none.fetch_token();
    assert_eq!(with_none.closed(), Some(CloseCause::Unauthorized));

    let mut with_another = refused;
    with_another.reach(stage);
    with_another.hit(end);
    assert!(!with_another.wants_other_token());
    assert_eq!(
        with_another.closed(),
        Some(CloseCause::Unauthorized),
        "{end:?} while {stage:?}"
    );
}
