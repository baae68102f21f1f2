//! The sessions that are in memory.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use attache_protocol::SessionId;

use crate::session::SessionHandle;

/// The tasks that run, by their sessions.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<SessionId, SessionHandle>>);

impl Sessions {
    /// The session's task, if it runs.
    pub(crate) fn running(&self, id: &SessionId) -> Option<SessionHandle> {
        let sessions = self.lock();
        sessions.get(id).filter(|one| !one.is_over()).cloned()
    }

    /// The session's task, which `start` starts when it does not run.
    pub(crate) fn running_or(
        &self,
        id: &SessionId,
        start: impl Fn() -> SessionHandle,
    ) -> SessionHandle {
        let mut sessions = self.lock();
        let session = sessions.entry(id.clone()).or_insert_with(&start);
        if session.is_over() {
            *session = start();
        }
        session.clone()
    }

    /// Takes a task off the list so that it can end, unless somebody still has a handle to it, as
    /// `is_alone` tells. Nobody gets one in the meantime.
    pub(crate) fn leave(&self, id: &SessionId, is_alone: impl FnOnce() -> bool) -> bool {
        let mut sessions = self.lock();
        let leaves = is_alone();
        if leaves {
            sessions.remove(id);
        }
        leaves
    }

    /// How many run, and how many of them have an agent that is there.
    pub(crate) fn census(&self) -> (usize, usize) {
        let sessions = self.lock();
        let running = sessions.values().filter(|session| !session.is_over());
        running.fold((0, 0), |(sessions, agents), session| {
            (sessions + 1, agents + usize::from(session.is_connected()))
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, SessionHandle>> {
        // The map is whole after every statement, so it is sound even after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;

    use tokio::{task::JoinSet, time::sleep};

    use crate::{
        Identity, MemoryStore, Relay, RelayOptions, Store,
        line::Line,
        outgoing::Outgoing,
        store::{After, SessionDetails, SessionRecord},
    };

    const IDLE: Duration = Duration::from_secs(60);

    async fn relay(idle: Duration) -> (Arc<MemoryStore>, Relay, SessionRecord) {
        let store = Arc::new(MemoryStore::new());
        let options = RelayOptions {
            idle_session: idle,
            ..RelayOptions::default()
        };
        let relay = Relay::new(store.clone(), options);
        let created = relay.create(None, "idle", SessionDetails::default()).await;
        (store, relay, created.unwrap())
    }

    async fn post(relay: &Relay, session: &SessionRecord, uuid: &str) {
        let line = Line::accept(&format!(r#"{{"type":"progress","uuid":"{uuid}"}}"#)).unwrap();
        let handle = relay.session(&session.id).await.unwrap();
        let by = Arc::new(Identity::owner());
        handle.post(vec![line], by).await.unwrap();
    }

    async fn log_length(store: &MemoryStore, session: &SessionRecord) -> usize {
        let all = After::Sequence(0);
        let page = store.frames(&session.id, all, None, usize::MAX).await;
        page.unwrap().frames.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_leaves_memory_when_nobody_uses_it() {
        let (_, relay, session) = relay(IDLE).await;
        post(&relay, &session, "u1").await;
        sleep(IDLE / 2).await;
        post(&relay, &session, "u2").await;
        sleep(Duration::from_secs(59)).await;
        assert!(relay.is_running(&session.id));
        sleep(Duration::from_secs(2)).await;
        assert!(!relay.is_running(&session.id));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_there_keeps_a_session_in_memory() {
        let (_, relay, session) = relay(IDLE).await;
        let agent = relay.attach_agent(&session.id).await.unwrap();
        let publisher = agent.publisher();
        sleep(IDLE * 3).await;
        assert!(relay.is_running(&session.id));
        drop(agent);
        sleep(IDLE * 3).await;
        let said = publisher
            .publish(r#"{"type":"progress","uuid":"p1"}"#)
            .await;
        assert!(said.is_ok(), "it outlives its agent");
        drop(publisher);
        sleep(IDLE * 2).await;
        assert!(!relay.is_running(&session.id));

        let handle = relay.session(&session.id).await.unwrap();
        let outgoing = Arc::new(Outgoing::for_socket(8, 1 << 20));
        let by = Arc::new(Identity::owner());
        handle.subscribe(outgoing.clone(), by).await.unwrap();
        drop(handle);
        sleep(IDLE * 3).await;
        assert!(relay.is_running(&session.id));
        drop(outgoing);
        sleep(IDLE * 2).await;
        assert!(!relay.is_running(&session.id));

        let handle = relay.session(&session.id).await.unwrap();
        let epoch = handle.register(None).await.unwrap();
        for _ in 0..9 {
            sleep(IDLE / 2).await;
            handle.heartbeat(epoch).await.unwrap();
        }
        drop(handle);
        assert!(relay.is_running(&session.id));
        sleep(IDLE * 4).await;
        assert!(!relay.is_running(&session.id));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_when_a_session_leaves_is_served() {
        const CALLERS: usize = 40;
        const CALLS: usize = 25;
        let (store, relay, session) = relay(IDLE).await;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (relay, session) = (relay.clone(), session.clone());
            callers.spawn(async move {
                let mut absences = 0;
                for call in 0..CALLS {
                    // Many of them come in the instant in which it leaves.
                    let late = Duration::from_millis((caller * call % 3) as u64);
                    sleep(Duration::from_millis(59_999) + late).await;
                    absences += usize::from(!relay.is_running(&session.id));
                    post(&relay, &session, &format!("u{caller}-{call}")).await;
                }
                absences
            });
        }
        let absences: usize = callers.join_all().await.into_iter().sum();
        assert!(absences > 0, "it does leave");
        assert_eq!(log_length(&store, &session).await, CALLERS * CALLS);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_call_is_lost_on_several_threads_either() {
        const CALLERS: usize = 4;
        const CALLS: usize = 40;
        let (store, relay, session) = relay(Duration::ZERO).await;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (relay, session) = (relay.clone(), session.clone());
            callers.spawn(async move {
                for call in 0..CALLS {
                    let pause = 9_000 + (caller * 337 + call * 71) % 2_500;
                    sleep(Duration::from_micros(pause as u64)).await;
                    post(&relay, &session, &format!("u{caller}-{call}")).await;
                }
            });
        }
        let all = callers.join_all();
        tokio::time::timeout(Duration::from_secs(30), all)
            .await
            .unwrap();
        assert_eq!(log_length(&store, &session).await, CALLERS * CALLS);
    }
}
