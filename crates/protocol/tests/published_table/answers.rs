//! Every answer to every call of a worker, as its table says.

use core::time::Duration;

use attache_protocol::{
    io::NetworkFailure,
    worker::{ANSWERS, WorkerCloseCause},
};

use crate::{
    closings::RETRY_AFTER_CAP,
    reading::Table,
    refusals::RETRY_AFTERS,
    work::{Answer, Ask, Work},
};

/// The longest delay before a second try, if the server asks for none.
const SECOND_TRY: Duration = Duration::from_secs(1);
/// The distance of heartbeats, at most.
const BEAT: Duration = Duration::from_secs(22);

#[test]
fn every_status_of_every_call_does_what_the_table_says() {
    let table = Table::read(ANSWERS);
    for ask in Ask::ALL {
        for status in 100..=999 {
            for retry_after in RETRY_AFTERS {
                follows(
                    table.status(status),
                    ask,
                    Answer::Status(status, retry_after),
                );
            }
        }
    }
}

#[test]
fn no_answer_is_an_answer_that_may_come_later() {
    let later = Table::read(ANSWERS).status(500);
    for ask in Ask::ALL {
        for failure in [
            NetworkFailure::Refused,
            NetworkFailure::Reset,
            NetworkFailure::Ended,
            NetworkFailure::Dns,
            NetworkFailure::Tls,
            NetworkFailure::TimedOut,
            NetworkFailure::Protocol,
            NetworkFailure::TooLarge,
            NetworkFailure::Other,
        ] {
            follows(later, ask, Answer::None(failure));
        }
    }
}

fn follows(verdict: &str, ask: Ask, answer: Answer) {
    let mut work = Work::begin();
    work.reach(ask).expect("it gets there");
    let context = format!("{answer:?} to {ask:?}: {verdict}");
    match verdict {
        // What a good body says is tested elsewhere; a stream that is granted is not refused.
        "done" => {
            if ask.is_start() || ask.is_stream() {
                return;
            }
            work.answer(answer);
            assert!(work.runs(), "{context}");
        }
        "another credential; closed: unauthorized when others are refused as well" => {
            credential_refused(work, ask, answer, &context);
        }
        "closed: session not found" => {
            work.answer(answer);
            let cause = match ask {
                Ask::Register => WorkerCloseCause::Rejected { status: 404 },
                _ => WorkerCloseCause::SessionNotFound,
            };
            assert_eq!(work.closed(), Some(cause), "{context}");
        }
        "closed: superseded, for another worker has the session or it is archived" => {
            work.answer(answer);
            let cause = match ask {
                Ask::Register => WorkerCloseCause::Rejected { status: 409 },
                _ => WorkerCloseCause::Superseded,
            };
            assert_eq!(work.closed(), Some(cause), "{context}");
        }
        "registered anew, after a pause from the second time on; closed: rejected when that is the answer to registering" =>
        {
            work.answer(answer);
            if matches!(ask, Ask::Register | Ask::Bridge) {
                let cause = WorkerCloseCause::Rejected { status: 410 };
                assert_eq!(work.closed(), Some(cause), "{context}");
                return;
            }
            assert_eq!(work.reach(Ask::Bridge), Some(Duration::ZERO), "{context}");

            let mut work = Work::begin();
            for _ in 0..2 {
                work.reach(ask).expect("it gets there");
                work.answer(answer);
            }
            assert!(work.reach(Ask::Bridge) > Some(Duration::ZERO), "{context}");
        }
        "again later, not before `Retry-After`; until it first runs, 3 attempts in all; heartbeats keep their beat" =>
        {
            later(work, ask, answer, &context);
        }
        "refused: a start is closed: rejected, later what was said is dropped, a heartbeat or a stream is tried again" =>
        {
            refused(work, ask, answer, &context);
        }
        _ => panic!("no test knows the verdict \"{verdict}\""),
    }
}

fn credential_refused(mut work: Work, ask: Ask, answer: Answer, context: &str) {
    let unauthorized = Some(WorkerCloseCause::Unauthorized);
    work.answer(answer);
    if matches!(ask, Ask::Register | Ask::Bridge) {
        assert_eq!(work.reach(ask), Some(Duration::ZERO), "{context}");
        work.answer(answer);
        assert_eq!(work.closed(), unauthorized, "{context}");

        let mut work = Work::begin();
        work.has_other_token = false;
        work.reach(ask).expect("it gets there");
        work.answer(answer);
        assert_eq!(work.reach(ask), None, "{context}");
        assert_eq!(work.closed(), unauthorized, "{context}");
        return;
    }
    for _ in 0..2 {
        assert_eq!(work.closed(), None, "{context}");
        assert!(work.reach(ask).is_some(), "{context}");
        work.answer(answer);
    }
    assert_eq!(work.closed(), unauthorized, "{context}");
}

fn later(mut work: Work, ask: Ask, answer: Answer, context: &str) {
    let asked = match answer {
        Answer::Status(_, retry_after) => retry_after.unwrap_or_default().min(RETRY_AFTER_CAP),
        Answer::None(_) => Duration::ZERO,
    };
    work.answer(answer);
    if ask.is_start() {
        for _ in 0..2 {
            assert_eq!(work.closed(), None, "{context}");
            let waited = work.reach(ask).unwrap_or_else(|| panic!("{context}"));
            let within = asked..=asked.max(SECOND_TRY * 2);
            assert!(within.contains(&waited), "{waited:?}, {context}");
            work.answer(answer);
        }
        let closed = work.closed();
        assert!(
            matches!(closed, Some(WorkerCloseCause::StartFailed { .. })),
            "{closed:?}, {context}"
        );
        return;
    }
    assert_eq!(work.closed(), None, "{context}");
    let waited = work.reach_again(ask).unwrap_or_else(|| panic!("{context}"));
    let within = match ask {
        // A lease does not wait.
        Ask::Heartbeat => Duration::ZERO..=BEAT,
        _ => asked..=asked.max(SECOND_TRY),
    };
    assert!(within.contains(&waited), "{waited:?}, {context}");
}

fn refused(mut work: Work, ask: Ask, answer: Answer, context: &str) {
    let Answer::Status(status, _) = answer else {
        panic!("{context}");
    };
    if ask.is_stream() || ask == Ask::Heartbeat {
        later(work, ask, answer, context);
        return;
    }
    work.answer(answer);
    if ask.is_start() {
        let cause = WorkerCloseCause::Rejected { status };
        assert_eq!(work.closed(), Some(cause), "{context}");
        return;
    }
    assert!(work.runs(), "{context}");
    // The next of its kind is another one.
    assert_eq!(work.reach(ask), Some(Duration::ZERO), "{context}");
    let rejected = if ask == Ask::Upload {
        vec![status]
    } else {
        vec![]
    };
    assert_eq!(work.rejected, rejected, "{context}");
}
