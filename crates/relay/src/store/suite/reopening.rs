//! What a store holds when it is opened again.

use super::{After, Appended, Store, all, moment, say, session, sharing::share};
use crate::store::{Retention, SessionChange, SessionStatus, SigningKey};

pub(super) async fn everything_is_there_again<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let id = session(&store, "s").await;
    session(&store, "later").await;
    say(&store, &id, "abcdef", moment(1)).await;
    let keep = Retention {
        frames: 3,
        remembered: 2,
        ..Retention::default()
    };
    store.prune(&id, &keep, 99, moment(2)).await.unwrap();
    assert!(store.advance_agent_cursor(&id, 0, 4).await.unwrap());
    assert_eq!(store.next_epoch(&id, Some("one")).await.unwrap(), 1);
    let key = SigningKey::new([7; 32]);
    store.signing_key(key).await.unwrap();
    store.add_share(&share("a", "s")).await.unwrap();
    let running = SessionChange::Status(SessionStatus::Running);
    let record = store.update(&id, running, moment(3)).await.unwrap();
    let log = store
        .frames(&id, After::Sequence(0), None, 9)
        .await
        .unwrap();
    drop(store);

    for _ in 0..2 {
        let store = open().await;
        assert_eq!(store.session(&id).await.unwrap(), Some(record.clone()));
        let listed = store.sessions(None, 9).await.unwrap().items;
        let listed: Vec<_> = listed.iter().map(|one| one.id.v1()).collect();
        assert_eq!(listed, ["later", "s"]);
        let again = store.frames(&id, After::Sequence(0), None, 9).await;
        assert_eq!(again.unwrap(), log);
        assert_eq!(store.agent_cursor(&id).await.unwrap(), 4);
        let key = store.signing_key(SigningKey::new([8; 32])).await.unwrap();
        assert!(key.expose() == &[7; 32], "the signing key changed");
        assert_eq!(store.shares(&id).await.unwrap(), [share("a", "s")]);
    }

    let store = open().await;
    assert_eq!(store.next_epoch(&id, None).await.unwrap(), 2);
    assert_eq!(
        say(&store, &id, "bcfag", moment(4)).await,
        [
            Appended::Duplicate,
            Appended::Duplicate,
            Appended::Duplicate,
            Appended::Stored(7),
            Appended::Stored(8),
        ]
    );
    drop(store);
    assert_eq!(all(&open().await, &id).await, ("defag".into(), 4));
}
