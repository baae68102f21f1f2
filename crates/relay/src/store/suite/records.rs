//! Sessions, their workers, the signing key.

use super::{After, Store, all, frame, id, moment, record, say, session};
use crate::store::{
    Origin, Retention, SessionChange, SessionDetails, SessionRecord, SessionStatus, SigningKey,
    StoreError, WorkerRecord, WorkerReport, WorkerStatus,
};

pub(super) async fn a_session_comes_back_as_it_was_created(store: &dyn Store) {
    let plain = record("plain");
    let full = SessionRecord {
        id: id("session_full"),
        title: "quote ' and 🦀".into(),
        status: SessionStatus::RequiresAction,
        details: SessionDetails {
            tags: vec![String::new(), "a,b".into(), "\"".into()],
            cwd: Some("/a b".into()),
            bridge: Some(r#"{"machine":"x"}"#.into()),
        },
        worker: WorkerRecord {
            epoch: 7,
            instance: Some("one".into()),
            report: report(),
        },
        created_at: moment(5),
        updated_at: moment(6),
    };
    for record in [&plain, &full] {
        store.create(record).await.unwrap();
        let found = store.session(&record.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(record));
    }
    let listed = store.sessions(None, 9).await.unwrap().items;
    assert_eq!(listed, [full, plain]);
}

pub(super) async fn an_id_is_taken_once(store: &dyn Store) {
    let id = session(store, "s").await;
    say(store, &id, "a", moment(1)).await;
    let mut second = record("s");
    second.title = "another".into();
    let taken = store.create(&second).await;
    assert!(matches!(taken, Err(StoreError::SessionExists)), "{taken:?}");
    assert_eq!(all(store, &id).await.0, "a");
    let kept = store.session(&id).await.unwrap().unwrap();
    assert_eq!(kept.title, record("s").title);
}

pub(super) async fn both_spellings_of_an_id_are_one_session(store: &dyn Store) {
    session(store, "session_x").await;
    say(store, &id("cse_x"), "a", moment(1)).await;
    assert_eq!(all(store, &id("session_x")).await.0, "a");
    assert!(store.session(&id("x")).await.unwrap().is_none());
}

pub(super) async fn sessions_come_newest_first(store: &dyn Store) {
    for name in ["s1", "s2", "s3"] {
        session(store, name).await;
    }
    // The order is that of creation, not of change.
    say(store, &id("s1"), "a", moment(9)).await;
    let last = id("s3");
    let second = id("s2");
    for (after, limit, expected) in [
        (None, 2, "s3 s2 +"),
        (None, 3, "s3 s2 s1"),
        (None, 0, "+"),
        (Some(&last), 1, "s2 +"),
        (Some(&second), 9, "s1"),
    ] {
        let page = store.sessions(after, limit).await.unwrap();
        let mut told: Vec<_> = page.items.iter().map(|one| one.id.v1()).collect();
        if page.has_more {
            told.push("+".into());
        }
        assert_eq!(told.join(" "), expected, "{limit} after {after:?}");
    }
    let unknown = store.sessions(Some(&id("s4")), 1).await;
    assert!(matches!(unknown, Err(StoreError::UnknownCursor)));
}

pub(super) async fn each_change_changes_what_it_names(store: &dyn Store) {
    let id = session(store, "s").await;
    session(store, "other").await;
    let mut expected = record("s");
    for (change, at) in [
        (SessionChange::Title("new".into()), 1),
        (SessionChange::Status(SessionStatus::Running), 2),
        (SessionChange::Worker(report()), 3),
        (SessionChange::Worker(WorkerReport::default()), 4),
        (SessionChange::Status(SessionStatus::Archived), 5),
    ] {
        match change.clone() {
            SessionChange::Title(title) => expected.title = title,
            SessionChange::Status(status) => expected.status = status,
            SessionChange::Worker(report) => expected.worker.report = report,
        }
        expected.updated_at = moment(at);
        let told = store.update(&id, change, moment(at)).await.unwrap();
        assert_eq!(told, expected);
        assert_eq!(store.session(&id).await.unwrap(), Some(told));
    }
    let other = store.session(&super::id("other")).await.unwrap();
    assert_eq!(other, Some(record("other")));
}

pub(super) async fn only_what_is_stored_makes_a_session_younger(store: &dyn Store) {
    let id = session(store, "s").await;
    for (letters, at, expected) in [("ab", 1, 1), ("ba", 2, 1), ("", 3, 1), ("bc", 4, 4)] {
        say(store, &id, letters, moment(at)).await;
        let updated_at = store.session(&id).await.unwrap().unwrap().updated_at;
        assert_eq!(updated_at, moment(expected), "{letters}");
    }
}

pub(super) async fn epochs_grow_and_name_their_worker(store: &dyn Store) {
    let id = session(store, "s").await;
    let report = SessionChange::Worker(report());
    let mut expected = store.update(&id, report, moment(1)).await.unwrap();
    for (epoch, instance) in [(1, Some("a")), (2, Some("a")), (3, None), (4, Some("b"))] {
        assert_eq!(store.next_epoch(&id, instance).await.unwrap(), epoch);
        expected.worker.epoch = epoch;
        expected.worker.instance = instance.map(Into::into);
        let found = store.session(&id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&expected));
    }
}

pub(super) async fn the_first_signing_key_stays(store: &dyn Store) {
    for byte in [7, 8] {
        let key = store.signing_key(SigningKey::new([byte; 32])).await;
        assert!(key.unwrap().expose() == &[7; 32], "the key changed");
    }
}

pub(super) async fn what_is_not_there_is_said_to_be_unknown(store: &dyn Store) {
    session(store, "s").await;
    let id = id("t");
    assert!(store.session(&id).await.unwrap().is_none());
    let title = SessionChange::Title("t".into());
    let keep = Retention::default();
    let share = crate::store::ShareId("x".into());
    let frames = vec![frame("a", Origin::Agent)];
    let answers = [
        store.update(&id, title, moment(1)).await.err(),
        store.append(&id, frames, moment(1)).await.err(),
        store.append(&id, Vec::new(), moment(1)).await.err(),
        store.frames(&id, After::Sequence(0), None, 1).await.err(),
        store.frames(&id, After::Uuid("a"), None, 1).await.err(),
        store.newest(&id, None, 1).await.err(),
        store.prune(&id, &keep, 9, moment(1)).await.err(),
        store.agent_cursor(&id).await.err(),
        store.advance_agent_cursor(&id, 0, 1).await.err(),
        store.next_epoch(&id, None).await.err(),
        store
            .add_share(&super::sharing::share("x", "t"))
            .await
            .err(),
        store.shares(&id).await.err(),
        store.revoke_share(&id, &share).await.err(),
    ];
    for (place, answer) in answers.into_iter().enumerate() {
        let unknown = matches!(answer, Some(StoreError::UnknownSession));
        assert!(unknown, "call {place}: {answer:?}");
    }
}

fn report() -> WorkerReport {
    WorkerReport {
        status: Some(WorkerStatus::RequiresAction),
        requires_action_details: Some(r#"{"tool":"Bash"}"#.into()),
        external_metadata: r#"{"a":[1, 2]}"#.into(),
    }
}
