//! Appending and reading.

use futures_util::future::join_all;

use super::{After, Appended, NewFrame, Origin, Store, all, frame, id, moment, say, session, told};
use crate::store::StoreError;

pub(super) async fn a_repeated_uuid_is_skipped_and_the_numbers_stay_dense(store: &dyn Store) {
    let id = session(store, "s").await;
    let stored = Appended::Stored;
    assert_eq!(
        say(store, &id, "abac", moment(1)).await,
        [stored(1), stored(2), Appended::Duplicate, stored(3)]
    );
    assert_eq!(
        say(store, &id, "cbd", moment(2)).await,
        [Appended::Duplicate, Appended::Duplicate, stored(4)]
    );
    assert_eq!(say(store, &id, "", moment(3)).await, []);
    assert_eq!(all(store, &id).await, ("abcd".into(), 1));
}

pub(super) async fn a_uuid_is_taken_in_its_own_session_only(store: &dyn Store) {
    let (one, other) = (session(store, "s1").await, session(store, "s2").await);
    say(store, &one, "ab", moment(1)).await;
    assert_eq!(
        say(store, &other, "ba", moment(1)).await,
        [Appended::Stored(1), Appended::Stored(2)]
    );
    assert_eq!(all(store, &one).await.0, "ab");
    assert_eq!(all(store, &other).await.0, "ba");
}

pub(super) async fn frames_come_back_byte_for_byte(store: &dyn Store) {
    let id = session(store, "s").await;
    let uuids = ["", "a'b\"c", "A", "a", "ä🦀", "nul\0nul", " a "];
    let long = "x".repeat(300_000);
    let texts = [
        "",
        "{\"b\": 1,  \"a\":2}",
        "nul\0nul",
        "ä🦀",
        "'; --",
        "1",
        &long,
    ];
    let origins = [Origin::Agent, Origin::Viewer, Origin::Relay];
    let frames: Vec<_> = uuids
        .into_iter()
        .zip(texts)
        .zip(origins.into_iter().cycle())
        .map(|((uuid, text), origin)| NewFrame {
            uuid: uuid.into(),
            text: text.into(),
            origin,
        })
        .collect();
    let at = moment(1) + std::time::Duration::from_micros(123_456);
    store.append(&id, frames.clone(), at).await.unwrap();
    let page = store.frames(&id, After::Sequence(0), None, 100).await;
    let read = page.unwrap().frames;
    assert_eq!(read.len(), frames.len());
    for ((new, stored), sequence) in frames.iter().zip(&read).zip(1..) {
        assert_eq!(stored.sequence, sequence);
        assert_eq!(stored.uuid, new.uuid);
        assert!(stored.text == new.text, "the text of {stored:?} changed");
        assert_eq!(stored.origin, new.origin);
        assert_eq!(stored.stored_at, at);
    }
    for frame in &read {
        let after = After::Uuid(&frame.uuid);
        let rest = store.frames(&id, after, None, 100).await.unwrap();
        let first = rest.frames.first().map(|next| next.sequence);
        let next = (frame.sequence < 7).then_some(frame.sequence + 1);
        assert_eq!(first, next, "after the id {:?}", &*frame.uuid);
    }
}

pub(super) async fn a_page_starts_after_its_cursor_and_says_whether_more_follow(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "abcd", moment(1)).await;
    for (after, limit, expected) in [
        (After::Sequence(0), 3, "abc+"),
        (After::Sequence(0), 4, "abcd"),
        (After::Sequence(0), 0, "+"),
        (After::Sequence(4), 0, ""),
        (After::Sequence(1), 2, "bc+"),
        (After::Sequence(3), usize::MAX, "d"),
        (After::Sequence(4), 9, ""),
        (After::Sequence(99), 9, ""),
        (After::Sequence(u64::MAX), 9, ""),
        (After::Uuid("a"), 2, "bc+"),
        (After::Uuid("c"), 3, "d"),
        (After::Uuid("d"), 3, ""),
    ] {
        let page = store.frames(&id, after, None, limit).await.unwrap();
        let expected = (expected.to_owned(), 1);
        assert_eq!(told(&page), expected, "{limit} after {after:?}");
    }
    let unknown = store.frames(&id, After::Uuid("z"), None, 1).await;
    assert!(matches!(unknown, Err(StoreError::UnknownCursor)));
}

pub(super) async fn pages_of_one_origin_hold_nothing_else(store: &dyn Store) {
    use Origin::{Agent, Relay, Viewer};
    let id = session(store, "s").await;
    let frames = [
        ("a", Agent),
        ("b", Viewer),
        ("c", Agent),
        ("d", Viewer),
        ("e", Relay),
        ("f", Agent),
    ];
    let frames = frames.map(|(uuid, origin)| frame(uuid, origin)).into();
    store.append(&id, frames, moment(1)).await.unwrap();
    for (after, only, limit, expected) in [
        (After::Sequence(0), Viewer, 1, "b+"),
        (After::Sequence(0), Viewer, 2, "bd"),
        (After::Sequence(2), Viewer, 9, "d"),
        (After::Sequence(4), Viewer, 9, ""),
        (After::Uuid("b"), Viewer, 9, "d"),
        (After::Sequence(0), Agent, 2, "ac+"),
        (After::Uuid("a"), Agent, 2, "cf"),
        (After::Sequence(0), Relay, 9, "e"),
        (After::Sequence(5), Relay, 9, ""),
    ] {
        let page = store.frames(&id, after, Some(only), limit).await.unwrap();
        let expected = (expected.to_owned(), 1);
        assert_eq!(told(&page), expected, "{limit} of {only:?} after {after:?}");
    }
}

pub(super) async fn the_newest_frames_come_backwards(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "abcde", moment(1)).await;
    for (before, limit, expected) in [
        (None, 2, "ed+"),
        (None, 5, "edcba"),
        (None, 0, "+"),
        (Some(4), 2, "cb+"),
        (Some(3), 2, "ba"),
        (Some(1), 2, ""),
        (Some(0), 2, ""),
        (Some(99), 1, "e+"),
        (Some(u64::MAX), usize::MAX, "edcba"),
    ] {
        let page = store.newest(&id, before, limit).await.unwrap();
        let expected = (expected.to_owned(), 1);
        assert_eq!(told(&page), expected, "{limit} before {before:?}");
    }
}

pub(super) async fn an_empty_log_has_its_first_frame_before_it(store: &dyn Store) {
    let id = session(store, "s").await;
    assert_eq!(all(store, &id).await, (String::new(), 1));
    let page = store.newest(&id, None, 9).await.unwrap();
    assert_eq!(told(&page), (String::new(), 1));
}

pub(super) async fn the_agent_cursor_moves_only_from_where_it_stands(store: &dyn Store) {
    let (id, other) = (session(store, "s1").await, session(store, "s2").await);
    assert_eq!(store.agent_cursor(&id).await.unwrap(), 0);
    assert!(store.advance_agent_cursor(&id, 0, 5).await.unwrap());
    assert!(!store.advance_agent_cursor(&id, 0, 7).await.unwrap());
    assert_eq!(store.agent_cursor(&id).await.unwrap(), 5);
    assert_eq!(store.agent_cursor(&other).await.unwrap(), 0);
}

pub(super) async fn sessions_written_at_once_do_not_mix(store: &dyn Store) {
    let names: Vec<_> = (0..24).map(|number| format!("s{number}")).collect();
    join_all(names.iter().map(async |name| {
        let id = session(store, name).await;
        for batch in ["ab", "bc", "cde"] {
            say(store, &id, batch, moment(1)).await;
        }
        // A neighbour that fails changes nothing for the others.
        let taken = store.create(&super::record(name)).await;
        assert!(matches!(taken, Err(StoreError::SessionExists)));
    }))
    .await;
    for name in &names {
        assert_eq!(all(store, &id(name)).await, ("abcde".into(), 1), "{name}");
    }
}
