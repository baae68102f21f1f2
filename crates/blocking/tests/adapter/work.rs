//! A worker, from the first call to the last.

use attache_blocking::Ended;
use attache_protocol::{
    SessionId,
    worker::{AgentState, Delivery, UploadRefusal, WorkerCloseCause, WorkerStatus},
};

use crate::{
    agent::{message, start},
    server::{LIMIT, Server, started, within},
};

#[test]
fn a_worker_registers_connects_works_and_leaves_nothing_behind() {
    let server = Server::start();
    let mut bridge = start(server.address());
    assert_eq!(bridge.session.session(), None);

    let mut flow = server.welcomes();
    bridge.sees_running();
    let registered = SessionId::parse("cse_1").unwrap();
    assert_eq!(bridge.session.session(), Some(registered));
    assert!(flow.path.ends_with("/stream?from_sequence_num=0"));
    assert_eq!(flow.headers["last-event-id"], "0");
    assert_eq!(flow.headers["accept"], "text/event-stream");

    let payload = r#"{"type":"user", "uuid":"u1"}"#;
    flow.says(1, payload);
    let inbound = bridge.sees_inbound();
    assert_eq!(inbound.frame.as_str(), payload);
    server
        .asked("POST", "/worker/events/delivery")
        .answer(200, "{}");

    let session = bridge.session.clone();
    session.report(AgentState::Running).unwrap();
    let report = server.asked("PUT", "/worker");
    assert_eq!(report.json()["worker_status"], "running");
    report.answer(200, "{}");
    bridge.uploads("a1");
    let upload = server.asked("POST", "/worker/events");
    assert_eq!(upload.uuids(), ["a1"]);
    assert_eq!(upload.headers["authorization"], "Bearer jwt1");
    upload.answer(200, "{}");
    session
        .acknowledge(inbound.event_id, Delivery::Processed)
        .unwrap();
    let told = server.asked("POST", "/worker/events/delivery");
    assert_eq!(told.json()["updates"][0]["status"], "processed");
    told.answer(200, "{}");

    let closing = started(move || session.close());
    let report = server.asked("PUT", "/worker");
    assert_eq!(report.json()["worker_status"], "idle");
    report.answer(200, "{}");
    let archive = server.asked("POST", "/v1/sessions/session_1/archive");
    flow.sees_end();
    archive.answer(200, "{}");
    let cause = WorkerCloseCause::Requested;
    assert_eq!(closing.recv_timeout(LIMIT).unwrap(), Ok(cause));
    assert_eq!(bridge.session.status(), WorkerStatus::Closed(cause));
    assert_eq!(bridge.sees_closed(), cause);
    assert!(bridge.events.next().is_none());
    assert_eq!(bridge.session.report(AgentState::Idle), Err(Ended));
    assert_eq!(bridge.finishes(), cause);
}

#[test]
fn what_is_not_uploaded_comes_back() {
    let server = Server::start();
    let bridge = start(server.address());
    let error = bridge.session.upload("not JSON".into()).unwrap_err();
    assert!(matches!(error.reason, UploadRefusal::Malformed(_)));
    assert_eq!(error.text, "not JSON");

    let _flow = server.welcomes();
    let session = bridge.session.clone();
    let closing = started(move || session.close());
    server.asked("POST", "/archive").answer(409, "{}");
    closing.recv_timeout(LIMIT).unwrap().unwrap();
    let session = bridge.session.clone();
    let refused = within(move || session.upload(message("late").into()));
    let error = refused.unwrap_err();
    assert_eq!(error.reason, UploadRefusal::Closed);
    assert_eq!(error.text, message("late"));
}

#[test]
fn what_was_uploaded_before_closing_is_sent() {
    let server = Server::start();
    let bridge = start(server.address());
    let flow = server.welcomes();
    for uuid in ["a1", "a2", "a3"] {
        bridge.uploads(uuid);
    }
    let session = bridge.session.clone();
    let closing = started(move || session.close());

    let mut uploaded = Vec::new();
    while uploaded.len() < 3 {
        let call = server.asked("POST", "/worker/events");
        uploaded.extend(call.uuids());
        call.answer(200, "{}");
    }
    server.asked("POST", "/archive").answer(200, "{}");

    assert_eq!(uploaded, ["a1", "a2", "a3"]);
    closing.recv_timeout(LIMIT).unwrap().unwrap();
    flow.sees_end();
}

#[test]
fn a_worker_that_nobody_holds_leaves_in_an_orderly_way() {
    let server = Server::start();
    let bridge = start(server.address());
    let flow = server.welcomes();
    drop((bridge.session, bridge.events));

    server.asked("POST", "/archive").answer(200, "{}");

    flow.sees_end();
    let driver = bridge.driver;
    let cause = within(|| driver.join().unwrap());
    assert_eq!(cause, WorkerCloseCause::Requested);
}

#[test]
fn a_status_is_waited_for() {
    let server = Server::start();
    let mut session = start(server.address()).session;
    let running = started(move || {
        while session.status_changed().unwrap() != WorkerStatus::Running {}
        session.status()
    });
    let _flow = server.welcomes();
    assert_eq!(running.recv_timeout(LIMIT).unwrap(), WorkerStatus::Running);
}

#[test]
fn calls_that_hang_and_an_open_stream_keep_nobody_else_from_their_turn() {
    let server = Server::start();
    let mut bridge = start(server.address());
    let mut flow = server.welcomes();
    bridge.sees_running();
    // Three calls of different kinds hang, and the stream is read.
    bridge.session.report(AgentState::Running).unwrap();
    let mut hanging = vec![server.asked("PUT", "/worker")];
    bridge.uploads("a1");
    hanging.push(server.asked("POST", "/worker/events"));
    flow.says_message(1);
    bridge.sees_inbound();
    hanging.push(server.asked("POST", "/worker/events/delivery"));
    flow.says_message(2);
    bridge.sees_inbound();

    // Dropping everybody breaks all of it off, within the budgets of a good end.
    let session = bridge.session.clone();
    let closing = started(move || session.close());
    for call in hanging {
        call.answer(200, "{}");
    }
    server.asked("POST", "/archive").answer(200, "{}");
    closing.recv_timeout(LIMIT).unwrap().unwrap();
    flow.sees_end();
}
