//! A store that fails now and then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use attache_protocol::SessionId;
use attache_relay::{
    MemoryStore, Relay, Store, StoreError,
    store::{
        After, Appended, LogPage, NewFrame, Origin, Page, Retention, SessionChange, SessionRecord,
        Share, ShareId, SigningKey, StoreFuture, TokenHash,
    },
};
use serde_json::json;

use crate::world::{World, answer, assert_settles, assistant, options, prompt, user};

/// Writes fail while `broken` is set.
#[derive(Default)]
struct Fragile {
    inner: MemoryStore,
    broken: AtomicBool,
}

impl Fragile {
    fn write<'a, T>(&'a self, write: impl FnOnce() -> StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        if self.broken.load(Ordering::SeqCst) {
            let full = std::io::Error::other("the disk is full");
            return Box::pin(async { Err(StoreError::Backend(full.into())) });
        }
        write()
    }
}

impl Store for Fragile {
    fn create<'a>(&'a self, session: &'a SessionRecord) -> StoreFuture<'a, ()> {
        self.write(|| self.inner.create(session))
    }

    fn session<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<SessionRecord>> {
        self.inner.session(id)
    }

    fn sessions<'a>(
        &'a self,
        after: Option<&'a SessionId>,
        limit: usize,
    ) -> StoreFuture<'a, Page<SessionRecord>> {
        self.inner.sessions(after, limit)
    }

    fn update<'a>(
        &'a self,
        id: &'a SessionId,
        change: SessionChange,
        at: SystemTime,
    ) -> StoreFuture<'a, SessionRecord> {
        self.write(|| self.inner.update(id, change, at))
    }

    fn append<'a>(
        &'a self,
        id: &'a SessionId,
        frames: Vec<NewFrame>,
        at: SystemTime,
    ) -> StoreFuture<'a, Vec<Appended>> {
        self.write(|| self.inner.append(id, frames, at))
    }

    fn frames<'a>(
        &'a self,
        id: &'a SessionId,
        after: After<'a>,
        only: Option<Origin>,
        limit: usize,
    ) -> StoreFuture<'a, LogPage> {
        self.inner.frames(id, after, only, limit)
    }

    fn agent_cursor<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, u64> {
        self.inner.agent_cursor(id)
    }

    fn advance_agent_cursor<'a>(
        &'a self,
        id: &'a SessionId,
        from: u64,
        to: u64,
    ) -> StoreFuture<'a, bool> {
        self.write(|| self.inner.advance_agent_cursor(id, from, to))
    }

    fn newest<'a>(
        &'a self,
        id: &'a SessionId,
        before: Option<u64>,
        limit: usize,
    ) -> StoreFuture<'a, LogPage> {
        self.inner.newest(id, before, limit)
    }

    fn prune<'a>(
        &'a self,
        id: &'a SessionId,
        keep: &'a Retention,
        floor: u64,
        now: SystemTime,
    ) -> StoreFuture<'a, u64> {
        self.write(|| self.inner.prune(id, keep, floor, now))
    }

    fn next_epoch<'a>(
        &'a self,
        id: &'a SessionId,
        instance: Option<&'a str>,
    ) -> StoreFuture<'a, u64> {
        self.write(|| self.inner.next_epoch(id, instance))
    }

    fn add_share<'a>(&'a self, share: &'a Share) -> StoreFuture<'a, ()> {
        self.write(|| self.inner.add_share(share))
    }

    fn shares<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Vec<Share>> {
        self.inner.shares(id)
    }

    fn revoke_share<'a>(&'a self, id: &'a SessionId, share: &'a ShareId) -> StoreFuture<'a, bool> {
        self.write(|| self.inner.revoke_share(id, share))
    }

    fn share_with<'a>(&'a self, token: &'a TokenHash) -> StoreFuture<'a, Option<Share>> {
        self.inner.share_with(token)
    }

    fn signing_key(&self, fresh: SigningKey) -> StoreFuture<'_, SigningKey> {
        self.inner.signing_key(fresh)
    }
}

#[tokio::test]
async fn what_a_worker_does_while_the_store_fails_is_not_done_and_can_be_done_again() {
    let store = Arc::new(Fragile::default());
    let relay = Relay::new(store.clone(), options());
    let session = relay.create_session("a test").await.unwrap();
    let world = World::over(Arc::new(MemoryStore::new()), relay, session).await;
    let mut viewer = world.viewer().await;
    let worker = world.worker().await;
    let mut stream = worker.stream(None).await;
    world.post_events(&[&user("u1"), &user("u2")]).await;
    assert_eq!(viewer.frames(2).await, [user("u1"), user("u2")]);
    assert_eq!(stream.payload().await, user("u1"));

    store.broken.store(true, Ordering::SeqCst);
    for (status, body) in [
        worker.upload(&[assistant("a1")]).await,
        worker.put(json!({"external_metadata": {"a": 1}})).await,
        worker.acknowledge("u1", "processed").await,
        world.bridge(&world.session).await,
    ] {
        assert_eq!(status, 503, "{body}");
    }
    assert_eq!(
        worker.heartbeat().await.0,
        200,
        "the failed takeover fenced nobody"
    );
    assert_eq!(stream.payload().await, user("u2"));
    let (_, state) = worker.get().await;
    assert_eq!(state["worker"]["external_metadata"], json!({}));

    store.broken.store(false, Ordering::SeqCst);
    for (status, body) in [
        worker.upload(&[assistant("a1")]).await,
        worker.put(json!({"external_metadata": {"a": 1}})).await,
        worker.acknowledge("u1", "processed").await,
    ] {
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(viewer.frame().await, assistant("a1"));
    let next = world.worker().await;
    assert_eq!(next.stream(None).await.payload().await, user("u2"));
}

#[tokio::test]
async fn a_prompt_stays_open_until_its_answer_or_its_end_is_stored() {
    let store = Arc::new(Fragile::default());
    let mut options = options();
    options.worker_lease = core::time::Duration::from_secs(1);
    let relay = Relay::new(store.clone(), options);
    let session = relay.create_session("a test").await.unwrap();
    let world = World::over(Arc::new(MemoryStore::new()), relay, session).await;
    let worker = world.worker_called("one").await;
    worker.upload(&[prompt("p1"), prompt("p2")]).await;

    store.broken.store(true, Ordering::SeqCst);
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frames(2).await, [prompt("p1"), prompt("p2")]);
    viewer.send(&answer("p1", "x")).await;
    assert_eq!(
        viewer.closed().await.0,
        1011,
        "it must not take it for given"
    );
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frames(2).await, [prompt("p1"), prompt("p2")]);
    let mut stream = worker.stream(None).await;
    assert!(stream.next().await.is_none(), "its lease ends");
    assert_eq!(world.post_events(&[&answer("p1", "x")]).await.0, 503);

    store.broken.store(false, Ordering::SeqCst);
    viewer.send(&answer("p1", "x")).await;
    // What is first, the answer or the next attempt to take both back, is for the relay to say.
    let first = viewer.frame().await;
    let withdrawn = |frame: &str| frame.contains("control_cancel_request");
    if withdrawn(&first) {
        assert!(withdrawn(&viewer.frame().await));
        assert!(viewer.frame().await.contains("\"withdrawn\""));
    } else {
        assert_settles(&first, "p1", "x");
        assert!(withdrawn(&viewer.frame().await));
    }
    // It is told which of its questions nobody will answer.
    let again = world.worker_called("one").await;
    again.upload(&[assistant("a1")]).await;
    let told = "nobody was asked";
    while let frame = viewer.frame().await
        && frame != assistant("a1")
    {
        assert!(frame.contains(told), "{frame}");
    }
    let mut late = world.viewer().await;
    again.upload(&[assistant("a2")]).await;
    assert_eq!(late.frame().await, assistant("a2"), "nothing is open");
}
