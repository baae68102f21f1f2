//! A worker's futures.

use attache_protocol::worker::{AgentState, Delivery, WorkerCloseCause, WorkerEvent, WorkerStatus};
use attache_testkit::conformance::{SessionServer, worker_config};
use attache_tokio::{StaticToken, WorkerDriver, WorkerEvents, WorkerSession};
use tokio::{runtime::Handle, task::JoinHandle};

use crate::polls::{at_most, options, until, within};

/// More polls than any command needs.
const POLLS: usize = 6;

fn prepare(server: &SessionServer) -> (WorkerSession, WorkerEvents, WorkerDriver) {
    let mut config = worker_config();
    // So that uploads have to wait.
    config.limits.uploads = 1;
    attache_tokio::connect_worker(config, options(server), StaticToken::new("t")).unwrap()
}

async fn running(
    server: &SessionServer,
) -> (WorkerSession, WorkerEvents, JoinHandle<WorkerCloseCause>) {
    let (session, mut events, driver) = prepare(server);
    let driver = tokio::spawn(driver);
    loop {
        let event = within(events.next()).await.expect("the worker goes on");
        if let WorkerEvent::Status(WorkerStatus::Running) = event {
            return (session, events, driver);
        }
    }
}

/// Closes, and nothing is left.
async fn end(
    server: &SessionServer,
    session: WorkerSession,
    events: WorkerEvents,
    driver: JoinHandle<WorkerCloseCause>,
) {
    within(session.close()).await.unwrap();
    within(driver).await.unwrap();
    drop((session, events));
    until(|| server.connections() == 0).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    assert!(server.is_archived());
}

#[tokio::test]
async fn a_frame_is_in_line_exactly_if_its_writer_was_told_so() {
    let server = SessionServer::start().unwrap();
    let (session, events, driver) = running(&server).await;
    let mut taken = Vec::new();
    let mut abandoned = 0;
    for (number, polls) in (0..POLLS).cycle().take(10 * POLLS).enumerate() {
        let uuid = format!("own-{number}");
        let frame = format!(r#"{{"type":"assistant","uuid":"{uuid}"}}"#);
        match at_most(polls, session.upload(frame.into())).await {
            Some(uploaded) => {
                uploaded.unwrap();
                taken.push(uuid);
            }
            None => abandoned += 1,
        }
    }
    assert!(!taken.is_empty() && abandoned > 0);
    until(|| server.uploads().len() >= taken.len()).await;
    end(&server, session, events, driver).await;
    assert_eq!(server.uploads(), taken);
}

#[tokio::test]
async fn events_that_are_waited_for_in_vain_come_later() {
    let server = SessionServer::start().unwrap();
    let (session, mut events, driver) = running(&server).await;
    let mut heard = Vec::new();
    for round in 0.. {
        if round < 40 {
            server.tell();
        }
        // With patience in the end.
        let polls = if round < 40 { round % 4 } else { usize::MAX };
        let event = within(at_most(polls, events.next())).await;
        if let Some(Some(WorkerEvent::Inbound(inbound))) = event {
            heard.extend(inbound.frame.uuid().map(ToString::to_string));
            for polls in 0..POLLS {
                let event = inbound.event_id.clone();
                let _ = at_most(polls, session.acknowledge(event, Delivery::Processed)).await;
            }
        }
        let _ = at_most(round % 3, session.report(AgentState::Running)).await;
        if heard.len() == 40 {
            break;
        }
    }
    assert_eq!(heard, server.told());
    until(|| server.processed() == 40).await;
    end(&server, session, events, driver).await;
}

#[tokio::test]
async fn a_worker_closes_although_nobody_waits_for_it() {
    for polls in 1..POLLS {
        let server = SessionServer::start().unwrap();
        let (session, events, driver) = running(&server).await;
        let _ = at_most(polls, session.close()).await;
        assert_eq!(within(driver).await.unwrap(), WorkerCloseCause::Requested);
        drop((session, events));
        until(|| server.connections() == 0).await;
        assert!(server.is_archived());
    }
}

#[tokio::test]
async fn a_driver_dropped_at_any_poll_leaves_nothing() {
    let mut was_running = false;
    for polls in 0.. {
        let server = SessionServer::start().unwrap();
        let (session, mut events, driver) = prepare(&server);
        let done = within(at_most(polls, driver)).await;
        assert_eq!(done, None, "nobody closed it");

        until(|| server.connections() == 0).await;
        assert!(session.close().await.is_err());
        assert!(session.report(AgentState::Running).await.is_err());
        while let Some(event) = within(events.next()).await {
            was_running |= matches!(event, WorkerEvent::Status(WorkerStatus::Running));
        }
        if was_running {
            break;
        }
    }
}
