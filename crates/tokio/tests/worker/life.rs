//! From the first call to the last.

use attache_protocol::{
    SessionId,
    worker::{AgentState, Delivery, UploadRefusal, WorkerCloseCause, WorkerStatus},
};
use attache_tokio::Ended;

use crate::{
    agent::{message, start},
    server::{Server, within},
};

#[tokio::test]
async fn a_worker_registers_connects_works_and_leaves_nothing_behind() {
    let mut server = Server::start().await;
    let mut bridge = start(server.address());
    assert_eq!(bridge.session.session(), None);

    let flow = server.welcomes().await;
    bridge.sees_running().await;
    let registered = SessionId::parse("cse_1").unwrap();
    assert_eq!(bridge.session.session(), Some(registered));
    assert!(flow.path.ends_with("/stream?from_sequence_num=0"));
    assert_eq!(flow.headers["last-event-id"], "0");
    assert_eq!(flow.headers["accept"], "text/event-stream");

    let payload = r#"{"type":"user", "uuid":"u1"}"#;
    flow.says(1, payload).await;
    let inbound = bridge.sees_inbound().await;
    assert_eq!(inbound.frame.as_str(), payload);
    server
        .asked("POST", "/worker/events/delivery")
        .await
        .answer(200, "{}");

    let session = bridge.session.clone();
    session.report(AgentState::Running).await.unwrap();
    let report = server.asked("PUT", "/worker").await;
    assert_eq!(report.json()["worker_status"], "running");
    report.answer(200, "{}");
    bridge.uploads("a1").await;
    let upload = server.asked("POST", "/worker/events").await;
    assert_eq!(upload.uuids(), ["a1"]);
    assert_eq!(upload.bearer(), "jwt1");
    upload.answer(200, "{}");
    session
        .acknowledge(inbound.event_id, Delivery::Processed)
        .await
        .unwrap();
    let told = server.asked("POST", "/worker/events/delivery").await;
    assert_eq!(told.json()["updates"][0]["status"], "processed");
    told.answer(200, "{}");

    let closing = tokio::spawn(async move { session.close().await });
    let report = server.asked("PUT", "/worker").await;
    assert_eq!(report.json()["worker_status"], "idle");
    report.answer(200, "{}");
    let archive = server.asked("POST", "/v1/sessions/session_1/archive").await;
    flow.is_left().await;
    archive.answer(200, "{}");
    let cause = WorkerCloseCause::Requested;
    assert_eq!(within(closing).await.unwrap(), Ok(cause));
    assert_eq!(bridge.session.status(), WorkerStatus::Closed(cause));
    assert_eq!(bridge.sees_closed().await, cause);
    assert!(within(bridge.events.next()).await.is_none());
    assert_eq!(bridge.finishes().await, cause);
}

#[tokio::test]
async fn what_is_not_uploaded_comes_back() {
    let mut server = Server::start().await;
    let bridge = start(server.address());
    let refused = within(bridge.session.upload("not JSON".into())).await;
    let error = refused.unwrap_err();
    assert!(matches!(error.reason, UploadRefusal::Malformed(_)));
    assert_eq!(error.text, "not JSON");

    let _flow = server.welcomes().await;
    let session = bridge.session.clone();
    let closing = tokio::spawn(async move { session.close().await });
    let archive = server.asked("POST", "/archive").await;
    archive.answer(409, "{}");
    within(closing).await.unwrap().unwrap();
    let refused = within(bridge.session.upload(message("late").into())).await;
    let error = refused.unwrap_err();
    assert_eq!(error.reason, UploadRefusal::Closed);
    assert_eq!(error.text, message("late"));
}

#[tokio::test]
async fn what_was_uploaded_before_closing_is_sent() {
    let mut server = Server::start().await;
    let bridge = start(server.address());
    let flow = server.welcomes().await;
    for uuid in ["a1", "a2", "a3"] {
        bridge.uploads(uuid).await;
    }
    let session = bridge.session.clone();
    let closing = tokio::spawn(async move { session.close().await });

    let mut uploaded = Vec::new();
    while uploaded.len() < 3 {
        let call = server.asked("POST", "/worker/events").await;
        uploaded.extend(call.uuids());
        call.answer(200, "{}");
    }
    server.asked("POST", "/archive").await.answer(200, "{}");

    assert_eq!(uploaded, ["a1", "a2", "a3"]);
    within(closing).await.unwrap().unwrap();
    flow.is_left().await;
}

#[tokio::test]
async fn a_worker_that_nobody_holds_leaves_in_an_orderly_way() {
    let mut server = Server::start().await;
    let bridge = start(server.address());
    let flow = server.welcomes().await;
    drop((bridge.session, bridge.events));

    server.asked("POST", "/archive").await.answer(200, "{}");

    flow.is_left().await;
    let cause = within(bridge.driver).await.unwrap();
    assert_eq!(cause, WorkerCloseCause::Requested);
}

#[tokio::test]
async fn dropping_the_driver_drops_everything() {
    let mut server = Server::start().await;
    let mut bridge = start(server.address());
    let flow = server.welcomes().await;
    bridge.sees_running().await;
    bridge.uploads("a1").await;
    let _unanswered = server.asked("POST", "/worker/events").await;

    bridge.driver.abort();

    flow.is_left().await;
    assert_eq!(within(bridge.session.close()).await, Err(Ended));
    assert_eq!(
        within(bridge.session.report(AgentState::Idle)).await,
        Err(Ended)
    );
    let refused = within(bridge.session.upload(message("a2").into())).await;
    assert_eq!(refused.unwrap_err().reason, UploadRefusal::Closed);
    while let Some(event) = within(bridge.events.next()).await {
        drop(event);
    }
}

#[tokio::test]
async fn a_status_is_waited_for() {
    let mut server = Server::start().await;
    let mut session = start(server.address()).session;
    let _flow = server.welcomes().await;
    within(async { while session.status_changed().await.unwrap() != WorkerStatus::Running {} })
        .await;
    assert_eq!(session.status(), WorkerStatus::Running);
}
