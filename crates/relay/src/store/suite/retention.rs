//! Giving up the front of a log.

use std::time::Duration;

use super::{After, Appended, Origin, SessionId, Store, all, frame, moment, say, session, told};
use crate::store::{Retention, StoreError};

pub(super) async fn within_its_limits_a_log_stays_whole(store: &dyn Store) {
    let id = session(store, "s").await;
    assert_eq!(prune(store, &id, &none_of_it()).await, 1);
    say(store, &id, "abc", moment(1)).await;
    let keep = Retention {
        frames: 3,
        bytes: 3 * FRAME_BYTES,
        age: Some(Duration::from_secs(99)),
        ..Retention::default()
    };
    assert_eq!(prune(store, &id, &keep).await, 1);
    assert_eq!(all(store, &id).await, ("abc".into(), 1));
}

pub(super) async fn too_many_frames_lose_the_oldest(store: &dyn Store) {
    let (id, other) = (session(store, "s1").await, session(store, "s2").await);
    say(store, &id, "abcde", moment(1)).await;
    say(store, &other, "abcde", moment(1)).await;
    for (frames, first_kept, left) in [(4, 2, "bcde"), (2, 4, "de"), (3, 4, "de")] {
        let keep = Retention {
            frames,
            ..Retention::default()
        };
        assert_eq!(prune(store, &id, &keep).await, first_kept);
        assert_eq!(all(store, &id).await, (left.into(), first_kept));
    }
    assert_eq!(all(store, &other).await, ("abcde".into(), 1));
}

pub(super) async fn too_many_bytes_lose_the_oldest(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "abcd", moment(1)).await;
    let keep = |bytes| Retention {
        bytes,
        ..Retention::default()
    };
    assert_eq!(prune(store, &id, &keep(3 * FRAME_BYTES)).await, 2);
    assert_eq!(prune(store, &id, &keep(3 * FRAME_BYTES - 1)).await, 3);
    // What is gone is not counted any more, what is repeated never was.
    say(store, &id, "ad", moment(2)).await;
    assert_eq!(prune(store, &id, &keep(2 * FRAME_BYTES)).await, 3);
    say(store, &id, "e", moment(2)).await;
    assert_eq!(prune(store, &id, &keep(2 * FRAME_BYTES)).await, 4);
    assert_eq!(all(store, &id).await, ("de".into(), 4));
}

pub(super) async fn what_is_too_old_goes_until_something_is_not(store: &dyn Store) {
    let id = session(store, "s").await;
    for (letter, at) in [("a", 10), ("b", 20), ("c", 90), ("d", 30), ("e", 120)] {
        say(store, &id, letter, moment(at)).await;
    }
    let keep = |seconds| Retention {
        age: Some(Duration::from_secs(seconds)),
        ..Retention::default()
    };
    // It is second 100: `a` is 90 seconds old, and `e` comes from a clock that was set back.
    for (seconds, first_kept) in [(90, 1), (89, 2), (50, 3), (10, 3), (9, 5), (0, 5)] {
        let first = store.prune(&id, &keep(seconds), 99, moment(100)).await;
        assert_eq!(first.unwrap(), first_kept, "at most {seconds} s old");
    }
    assert_eq!(all(store, &id).await, ("e".into(), 5));
}

pub(super) async fn nothing_from_the_floor_on_goes(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "abcde", moment(1)).await;
    for (floor, first_kept) in [(0, 1), (1, 1), (2, 2), (4, 4), (3, 4), (u64::MAX, 5)] {
        let first = store.prune(&id, &none_of_it(), floor, moment(2)).await;
        assert_eq!(first.unwrap(), first_kept, "floor {floor}");
    }
}

pub(super) async fn the_last_frame_stays_whatever_the_limits_say(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "abc", moment(1)).await;
    let keep = Retention {
        age: Some(Duration::ZERO),
        ..none_of_it()
    };
    assert_eq!(prune(store, &id, &keep).await, 3);
    assert_eq!(all(store, &id).await, ("c".into(), 3));
}

pub(super) async fn numbers_go_on_behind_what_is_gone(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "abc", moment(1)).await;
    prune(store, &id, &none_of_it()).await;
    assert_eq!(
        say(store, &id, "de", moment(2)).await,
        [Appended::Stored(4), Appended::Stored(5)]
    );
    assert_eq!(all(store, &id).await, ("cde".into(), 3));
}

pub(super) async fn a_long_front_goes_as_a_whole(store: &dyn Store) {
    let id = session(store, "s").await;
    let frames = (1..=5_000).map(|number| frame(&number.to_string(), Origin::Agent));
    let frames = frames.collect();
    store.append(&id, frames, moment(1)).await.unwrap();
    let keep = Retention {
        frames: 2_500,
        remembered: 1_200,
        ..Retention::default()
    };
    assert_eq!(prune(store, &id, &keep).await, 2_501);
    assert_eq!(prune(store, &id, &none_of_it()).await, 5_000);
    let keep = Retention {
        remembered: 1_200,
        ..Retention::default()
    };
    assert_eq!(prune(store, &id, &keep).await, 5_000);
    let known = ["3799", "3800", "5000"].map(|uuid| frame(uuid, Origin::Agent));
    let outcome = store.append(&id, known.into(), moment(2)).await.unwrap();
    let known = [Appended::Duplicate, Appended::Duplicate];
    assert_eq!(
        outcome,
        [&[Appended::Stored(5_001)], known.as_slice()].concat()
    );
}

pub(super) async fn given_up_ids_are_remembered_as_long_as_said(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "abcde", moment(1)).await;
    let keep = |frames, remembered| Retention {
        frames,
        remembered,
        ..Retention::default()
    };
    prune(store, &id, &keep(2, 2)).await;
    // `a` is forgotten, `b` and `c` are remembered, `d` and `e` are there.
    assert_eq!(
        say(store, &id, "abcdef", moment(2)).await,
        [
            Appended::Stored(6),
            Appended::Duplicate,
            Appended::Duplicate,
            Appended::Duplicate,
            Appended::Duplicate,
            Appended::Stored(7),
        ]
    );
    assert_eq!(all(store, &id).await, ("deaf".into(), 4));
    // Fewer may be remembered from now on, even when nothing goes.
    prune(store, &id, &keep(9, 1)).await;
    assert_eq!(
        say(store, &id, "bc", moment(3)).await,
        [Appended::Stored(8), Appended::Duplicate]
    );
    prune(store, &id, &keep(9, 0)).await;
    assert_eq!(say(store, &id, "c", moment(4)).await, [Appended::Stored(9)]);
}

pub(super) async fn a_reader_is_told_what_it_missed(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "abcdef", moment(1)).await;
    let keep = Retention {
        frames: 2,
        remembered: 3,
        ..Retention::default()
    };
    assert_eq!(prune(store, &id, &keep).await, 5);
    for (after, expected) in [
        (After::Sequence(0), "ef"),
        (After::Sequence(2), "ef"),
        (After::Sequence(4), "ef"),
        (After::Sequence(5), "f"),
        (After::Uuid("d"), "ef"),
        (After::Uuid("e"), "f"),
        (After::Uuid("f"), ""),
    ] {
        let page = store.frames(&id, after, None, 9).await.unwrap();
        assert_eq!(told(&page), (expected.to_owned(), 5), "after {after:?}");
    }
    for uuid in ["b", "c"] {
        let answer = store.frames(&id, After::Uuid(uuid), None, 9).await;
        let told = matches!(answer, Err(StoreError::NotKept { first_kept: 5 }));
        assert!(told, "after {uuid}: {answer:?}");
    }
    let forgotten = store.frames(&id, After::Uuid("a"), None, 9).await;
    assert!(matches!(forgotten, Err(StoreError::UnknownCursor)));
    for (before, expected) in [(None, "fe"), (Some(6), "e"), (Some(5), ""), (Some(2), "")] {
        let page = store.newest(&id, before, 9).await.unwrap();
        assert_eq!(told(&page), (expected.to_owned(), 5), "before {before:?}");
    }
}

/// Of each frame that [`say`] says.
const FRAME_BYTES: u64 = r#"{"uuid":"a"}"#.len() as u64;

fn none_of_it() -> Retention {
    Retention {
        frames: 0,
        bytes: 0,
        ..Retention::default()
    }
}

async fn prune(store: &dyn Store, id: &SessionId, keep: &Retention) -> u64 {
    let first = store.prune(id, keep, u64::MAX, moment(2)).await;
    first.unwrap()
}
