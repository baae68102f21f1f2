//! An agent's end.

use attache_async_std::{Ended, WorkerEvents, WorkerSession};
use attache_protocol::{
    SessionId,
    viewer::{Content, Event, ViewerConfig},
    worker::{
        AgentState, Delivery, Inbound, NewSession, SessionChoice, UploadRefusal, WorkerCloseCause,
        WorkerConfig, WorkerEvent, WorkerStatus,
    },
};

use crate::{
    runtime::{Runtime, Task, under_both, within},
    stage::Stage,
};

under_both!(
    an_agent_works_through_a_worker_until_it_leaves,
    dropping_the_driver_of_a_worker_archives_nothing,
    a_worker_that_nobody_holds_leaves,
);

/// A worker under test.
struct Bridge {
    session: WorkerSession,
    events: WorkerEvents,
    driver: Task<WorkerCloseCause>,
}

fn start(runtime: Runtime, stage: &Stage) -> Bridge {
    let config = WorkerConfig::new(SessionChoice::Create(NewSession::default()));
    let (session, events, driver) =
        attache_async_std::connect_worker(config, stage.options(), Stage::token()).unwrap();
    Bridge {
        session,
        events,
        driver: runtime.spawn(driver),
    }
}

impl Bridge {
    /// The next event that `wanted` makes something of; others are passed over.
    async fn sees<T>(&mut self, mut wanted: impl FnMut(WorkerEvent) -> Option<T>) -> T {
        within(async {
            loop {
                let event = self.events.next().await.expect("the worker goes on");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        })
        .await
    }

    async fn sees_inbound(&mut self) -> Inbound {
        self.sees(|event| match event {
            WorkerEvent::Inbound(inbound) => Some(inbound),
            _ => None,
        })
        .await
    }

    /// The session, once the worker runs in it.
    async fn sees_running(&mut self) -> SessionId {
        self.sees(|event| match event {
            WorkerEvent::Status(WorkerStatus::Running) => Some(()),
            _ => None,
        })
        .await;
        self.session.session().unwrap()
    }
}

fn message(number: usize) -> String {
    format!(r#"{{"type":"assistant","uuid":"{number}"}}"#)
}

async fn an_agent_works_through_a_worker_until_it_leaves(runtime: Runtime) {
    let stage = Stage::open();
    let mut bridge = start(runtime, &stage);
    let id = bridge.sees_running().await;
    let (person, mut seen, driver) =
        attache_async_std::connect(ViewerConfig::new(id), stage.options(), Stage::token()).unwrap();
    let driver = runtime.spawn(driver);

    within(person.send(Content::text("hello"))).await.unwrap();
    let inbound = bridge.sees_inbound().await;
    assert!(inbound.frame.as_str().contains("hello"));
    bridge.session.report(AgentState::Running).await.unwrap();
    let done = Delivery::Processed;
    let acknowledged = bridge.session.acknowledge(inbound.event_id, done);
    within(acknowledged).await.unwrap();
    // More than are taken at once.
    for number in 0..300 {
        let upload = bridge.session.upload(message(number).into());
        within(upload).await.unwrap();
    }
    let mut expected = 0;
    while expected < 300 {
        let event = within(seen.next()).await.expect("the session goes on");
        if let Event::Message(message) = event
            && message.frame.type_name() == "assistant"
        {
            let uuid = message.frame.uuid().unwrap();
            assert_eq!(uuid, expected.to_string().as_str());
            expected += 1;
        }
    }
    let malformed = within(bridge.session.upload("not JSON".into())).await;
    assert_eq!(malformed.unwrap_err().text, "not JSON");

    let cause = WorkerCloseCause::Requested;
    assert_eq!(within(bridge.session.close()).await, Ok(cause));
    assert_eq!(bridge.driver.done().await, cause);
    assert_eq!(bridge.session.status(), WorkerStatus::Closed(cause));
    let late = within(bridge.session.upload(message(0).into())).await;
    let late = late.unwrap_err();
    assert_eq!(late.reason, UploadRefusal::Closed);
    assert_eq!(late.text, message(0));
    // The session is archived, which the person sees.
    while within(seen.next()).await.is_some() {}
    driver.done().await;
}

async fn dropping_the_driver_of_a_worker_archives_nothing(runtime: Runtime) {
    let stage = Stage::open();
    let mut bridge = start(runtime, &stage);
    let id = bridge.sees_running().await;

    bridge.driver.abort().await;

    while within(bridge.events.next()).await.is_some() {}
    let refused = within(bridge.session.report(AgentState::Idle)).await;
    assert_eq!(refused, Err(Ended));
    assert_eq!(within(bridge.session.close()).await, Err(Ended));
    assert!(!stage.is_archived(&id));
}

async fn a_worker_that_nobody_holds_leaves(runtime: Runtime) {
    let stage = Stage::open();
    let mut bridge = start(runtime, &stage);
    let id = bridge.sees_running().await;

    drop((bridge.session, bridge.events));

    assert_eq!(bridge.driver.done().await, WorkerCloseCause::Requested);
    assert!(stage.is_archived(&id));
}
