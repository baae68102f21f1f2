//! Credentials that end, and the worker that goes on.

use attache_protocol::worker::WorkerCloseCause;

use crate::{
    agent::{config, start, start_with},
    server::Server,
};

#[tokio::test]
async fn refused_credentials_are_replaced_and_nothing_is_lost() {
    let mut server = Server::start().await;
    let mut bridge = start(server.address());
    let flow = server.welcomes().await;
    flow.says_message(41).await;
    bridge.sees_inbound().await;
    bridge.uploads("a1").await;

    let refused = server.asked("POST", "/worker/events").await;
    refused.answer(401, "{}");
    let place = format!("http://{}", server.address());
    server.grants(2, &place).await;
    flow.is_left().await;
    let flow = server.opens(2).await;
    let again = server.asked("POST", "/worker/events").await;

    assert!(flow.path.ends_with("from_sequence_num=41"));
    assert_eq!(again.bearer(), "jwt2");
    assert_eq!(again.json()["worker_epoch"], 2);
    assert_eq!(again.uuids(), ["a1"]);
    again.answer(200, "{}");
    flow.says_message(42).await;
    assert_eq!(bridge.sees_inbound().await.event_id.as_str(), "e42");
}

#[tokio::test]
async fn credentials_are_renewed_before_they_end() {
    let mut server = Server::start().await;
    let mut config = config();
    // The soonest that there is, though the server grants an hour.
    config.refresh.latest_percent = 0;
    let mut bridge = start_with(config, server.address());
    let flow = server.welcomes().await;
    let place = format!("http://{}", server.address());

    server.grants(2, &place).await;
    flow.is_left().await;
    let flow = server.opens(2).await;
    flow.says_message(1).await;
    bridge.sees_inbound().await;
}

#[tokio::test]
async fn a_worker_that_is_fenced_off_stops_at_once() {
    let mut server = Server::start().await;
    let mut bridge = start(server.address());
    let flow = server.welcomes().await;
    bridge.uploads("a1").await;

    let upload = server.asked("POST", "/worker/events").await;
    upload.answer(409, "{}");

    assert_eq!(bridge.sees_closed().await, WorkerCloseCause::Superseded);
    flow.is_left().await;
    assert!(!server.is_called());
    assert_eq!(bridge.finishes().await, WorkerCloseCause::Superseded);
}
