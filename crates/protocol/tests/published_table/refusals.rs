//! Every status with every kind of `Retry-After`, wherever a viewer can be refused, as the table says.

use core::time::Duration;

use attache_protocol::{
    policy::TABLE,
    viewer::{History, Transport},
};

use crate::{
    attempt::{Attempt, End, Stage},
    closings::{RETRY_AFTER_CAP, follows},
    reading::Table,
};

/// What a driver can make of the header: none, a date in the past, a number, more than the cap, and more
/// than there is time.
pub(crate) const RETRY_AFTERS: [Option<Duration>; 6] = [
    None,
    Some(Duration::ZERO),
    Some(Duration::from_secs(7)),
    Some(RETRY_AFTER_CAP),
    Some(Duration::from_secs(86_400)),
    Some(Duration::MAX),
];

#[test]
fn every_status_at_the_upgrade_does_what_the_table_says() {
    refused_with_everything(Transport::WebSocket, Stage::Opening, |_| true);
}

#[test]
fn every_status_of_a_stream_does_what_the_table_says() {
    refused_with_everything(Transport::Sse, Stage::Opening, |status| status != 200);
}

#[test]
fn a_list_that_can_not_be_asked_for_now_is_an_attempt_that_failed() {
    // With every other status there is a session without a list.
    let fails = |status| matches!(status, 401 | 403 | 408 | 425 | 429 | 500..=599);
    refused_with_everything(Transport::Sse, Stage::Locating, fails);
}

fn refused_with_everything(transport: Transport, stage: Stage, is_refused: fn(u16) -> bool) {
    let table = Table::read(TABLE);
    // Who wants no history has to know first where it ends.
    let history = match stage {
        Stage::Locating => History::None,
        Stage::Opening | Stage::CatchingUp | Stage::Live => History::All,
    };
    let mut ready = Attempt::begin(transport, history);
    ready.reach(stage);
    for status in (100..=999).filter(|status| is_refused(*status)) {
        for retry_after in RETRY_AFTERS {
            let end = End::Status(status, retry_after);
            follows(table.status(status), &ready, stage, &end, retry_after);
        }
    }
}
