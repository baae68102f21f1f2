//! Shares.

use super::{Store, id, moment, session};
use crate::{
    Role,
    store::{Share, ShareId, TokenHash},
};

pub(super) async fn shares_of_a_session_come_oldest_first(store: &dyn Store) {
    let (one, other) = (session(store, "s1").await, session(store, "s2").await);
    let shares = ["c", "a", "b"].map(|name| share(name, "s1"));
    assert_eq!(store.shares(&one).await.unwrap(), []);
    for share in &shares {
        store.add_share(share).await.unwrap();
    }
    assert_eq!(store.shares(&one).await.unwrap(), shares);
    assert_eq!(store.shares(&other).await.unwrap(), []);
}

pub(super) async fn a_share_is_found_by_its_token(store: &dyn Store) {
    session(store, "s1").await;
    session(store, "session_2").await;
    let shares = [share("a", "s1"), share("b", "cse_2")];
    for share in &shares {
        store.add_share(share).await.unwrap();
    }
    for share in &shares {
        let found = store.share_with(&share.token).await.unwrap();
        assert_eq!(found.as_ref(), Some(share));
    }
    let nobodys = store.share_with(&token("c")).await.unwrap();
    assert_eq!(nobodys, None);
}

pub(super) async fn a_revoked_share_is_gone_and_the_others_stay(store: &dyn Store) {
    let (one, other) = (session(store, "s1").await, session(store, "s2").await);
    let (a, b) = (share("a", "s1"), share("b", "s1"));
    for share in [&a, &b] {
        store.add_share(share).await.unwrap();
    }
    assert!(!store.revoke_share(&other, &a.id).await.unwrap());
    assert!(store.revoke_share(&one, &a.id).await.unwrap());
    assert!(!store.revoke_share(&one, &a.id).await.unwrap());
    assert_eq!(store.shares(&one).await.unwrap(), std::slice::from_ref(&b));
    assert_eq!(store.share_with(&a.token).await.unwrap(), None);
    assert_eq!(store.share_with(&b.token).await.unwrap(), Some(b));
}

pub(super) fn share(name: &str, session: &str) -> Share {
    let mut roles = Role::ALL.into_iter().cycle();
    let picked = name.bytes().map(usize::from).sum();
    Share {
        id: ShareId(format!("share_{name}")),
        session: id(session),
        role: roles.nth(picked).unwrap_or(Role::View),
        name: format!("{name}'s friend"),
        token: token(name),
        created_at: moment(3),
        expires_at: moment(3_603),
    }
}

fn token(name: &str) -> TokenHash {
    let mut hash = [0xa5; 32];
    for (to, from) in hash.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    TokenHash(hash)
}
