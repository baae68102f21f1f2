//! The server that the worker is sent to.

use attache_protocol::{io::NetworkFailure, policy::Outcome, worker::WorkerCloseCause};

use crate::{
    agent::{config, start, start_with},
    server::{Server, within},
};

#[tokio::test]
async fn a_worker_works_where_it_is_sent() {
    let mut relay = Server::start().await;
    let mut workplace = Server::start().await;
    let mut bridge = start(relay.address());
    relay.registers().await;
    let place = format!("http://{}/below/", workplace.address());
    relay.grants(1, &place).await;

    let flow = workplace.opens(1).await;
    let path = "/below/v1/code/sessions/cse_1/worker/events/stream?from_sequence_num=0";
    assert_eq!(flow.path, path);
    assert_eq!(flow.headers["host"], workplace.address().to_string());
    bridge.sees_running().await;
    bridge.uploads("a1").await;
    let upload = workplace.asked("POST", "/worker/events").await;
    upload.answer(401, "{}");
    // Who may work is for the first server to say.
    relay.grants(2, &place).await;
    let _flow = workplace.opens(2).await;
    let upload = workplace.asked("POST", "/worker/events").await;
    upload.answer(200, "{}");

    let session = bridge.session.clone();
    let closing = tokio::spawn(async move { session.close().await });
    relay.asked("POST", "/archive").await.answer(200, "{}");
    within(closing).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_does_not_go_where_its_token_would_be_read() {
    for place in [
        "http://192.0.2.1:9",
        "http://relay.example",
        "ftp://127.0.0.1",
        "https://u:p@127.0.0.1",
        "nowhere",
        "",
    ] {
        let mut server = Server::start().await;
        let mut config = config();
        config.start.attempts = 2;
        let mut bridge = start_with(config, server.address());
        server.registers().await;
        for epoch in [1, 2] {
            server.grants(epoch, place).await;
        }

        let last = Outcome::Network(NetworkFailure::Other);
        let cause = WorkerCloseCause::StartFailed { last };
        assert_eq!(bridge.sees_closed().await, cause, "{place}");
    }
}
