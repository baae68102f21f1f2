//! What every [`Store`] has to do, as tests to run against one.
//!
//! ```
//! use attache_relay::{MemoryStore, store::suite};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! suite::check(async || MemoryStore::new()).await;
//! # }
//! ```
//!
//! A failed expectation is a panic that says what was asked and what came. A store that outlives its
//! value also passes [`check_reopened`]. Both run on any executor; give them a time limit of your
//! own, since a store that never answers is waited for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod logs;
mod records;
mod reopening;
mod retention;
mod sharing;

use std::time::{Duration, SystemTime};

use attache_protocol::SessionId;

use super::{
    After, Appended, LogPage, NewFrame, Origin, SessionDetails, SessionRecord, SessionStatus,
    Store, WorkerRecord,
};

/// Runs every case, each on a store of its own, which has to be empty.
///
/// # Panics
/// When the store does something else than [`Store`] says.
pub async fn check<S: Store>(fresh: impl AsyncFn() -> S) {
    logs::a_repeated_uuid_is_skipped_and_the_numbers_stay_dense(&fresh().await).await;
    logs::a_uuid_is_taken_in_its_own_session_only(&fresh().await).await;
    logs::frames_come_back_byte_for_byte(&fresh().await).await;
    logs::a_page_starts_after_its_cursor_and_says_whether_more_follow(&fresh().await).await;
    logs::pages_of_one_origin_hold_nothing_else(&fresh().await).await;
    logs::the_newest_frames_come_backwards(&fresh().await).await;
    logs::an_empty_log_has_its_first_frame_before_it(&fresh().await).await;
    logs::the_agent_cursor_moves_only_from_where_it_stands(&fresh().await).await;
    logs::sessions_written_at_once_do_not_mix(&fresh().await).await;

    records::a_session_comes_back_as_it_was_created(&fresh().await).await;
    records::an_id_is_taken_once(&fresh().await).await;
    records::both_spellings_of_an_id_are_one_session(&fresh().await).await;
    records::sessions_come_newest_first(&fresh().await).await;
    records::each_change_changes_what_it_names(&fresh().await).await;
    records::only_what_is_stored_makes_a_session_younger(&fresh().await).await;
    records::epochs_grow_and_name_their_worker(&fresh().await).await;
    records::the_first_signing_key_stays(&fresh().await).await;
    records::what_is_not_there_is_said_to_be_unknown(&fresh().await).await;

    retention::within_its_limits_a_log_stays_whole(&fresh().await).await;
    retention::too_many_frames_lose_the_oldest(&fresh().await).await;
    retention::too_many_bytes_lose_the_oldest(&fresh().await).await;
    retention::what_is_too_old_goes_until_something_is_not(&fresh().await).await;
    retention::nothing_from_the_floor_on_goes(&fresh().await).await;
    retention::the_last_frame_stays_whatever_the_limits_say(&fresh().await).await;
    retention::numbers_go_on_behind_what_is_gone(&fresh().await).await;
    retention::a_long_front_goes_as_a_whole(&fresh().await).await;
    retention::given_up_ids_are_remembered_as_long_as_said(&fresh().await).await;
    retention::a_reader_is_told_what_it_missed(&fresh().await).await;

    sharing::shares_of_a_session_come_oldest_first(&fresh().await).await;
    sharing::a_share_is_found_by_its_token(&fresh().await).await;
    sharing::a_revoked_share_is_gone_and_the_others_stay(&fresh().await).await;
}

/// Opens one store again and again, which has to be empty at first, and checks that it holds what
/// it held before. Every value is dropped before the next is opened.
///
/// # Panics
/// When something is lost or changed.
pub async fn check_reopened<S: Store>(open: impl AsyncFn() -> S) {
    reopening::everything_is_there_again(open).await;
}

fn moment(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn id(text: &str) -> SessionId {
    SessionId::parse(text).unwrap()
}

fn record(text: &str) -> SessionRecord {
    SessionRecord {
        id: id(text),
        title: format!("the session {text}"),
        status: SessionStatus::Idle,
        details: SessionDetails::default(),
        worker: WorkerRecord::default(),
        created_at: moment(0),
        updated_at: moment(0),
    }
}

async fn session(store: &dyn Store, text: &str) -> SessionId {
    store.create(&record(text)).await.unwrap();
    id(text)
}

fn frame(uuid: &str, origin: Origin) -> NewFrame {
    NewFrame {
        uuid: uuid.into(),
        text: format!("{{\"uuid\":\"{uuid}\"}}").into(),
        origin,
    }
}

/// Appends a frame of the agent for each letter, which is its id.
async fn say(store: &dyn Store, id: &SessionId, letters: &str, at: SystemTime) -> Vec<Appended> {
    let frames = letters
        .chars()
        .map(|letter| frame(&letter.to_string(), Origin::Agent));
    store.append(id, frames.collect(), at).await.unwrap()
}

/// The ids of a page in a row, `+` for more that follow, and its first kept sequence number.
fn told(page: &LogPage) -> (String, u64) {
    let mut ids: String = page.frames.iter().map(|frame| &*frame.uuid).collect();
    if page.has_more {
        ids.push('+');
    }
    (ids, page.first_kept)
}

async fn all(store: &dyn Store, id: &SessionId) -> (String, u64) {
    let page = store.frames(id, After::Sequence(0), None, usize::MAX).await;
    told(&page.unwrap())
}
