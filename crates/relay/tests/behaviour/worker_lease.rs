//! A worker that is not heard of.

use core::time::Duration;

use serde_json::Value;

use crate::world::{World, assistant, options, request, user};

#[tokio::test]
async fn a_worker_whose_lease_ran_out_is_disconnected_and_has_to_register_again() {
    let mut options = options();
    options.worker_lease = Duration::from_secs(1);
    let world = World::with(options).await;
    assert_eq!(
        world.code_session().await["connection_status"],
        "disconnected"
    );
    let worker = world.worker().await;
    let mut stream = worker.stream(None).await;
    assert_eq!(world.code_session().await["connection_status"], "connected");

    assert!(
        stream.next().await.is_none(),
        "its stream ends with its lease"
    );
    let (status, body) = world.get(&format!("/v1/sessions/{}", world.session)).await;
    assert_eq!(status, 200);
    assert!(
        body.contains(r#""connection_status":"disconnected""#),
        "{body}"
    );
    for (status, body) in [
        worker.heartbeat().await,
        worker.get().await,
        worker.upload(&[assistant("lost")]).await,
    ] {
        assert_eq!(status, 410, "{body}");
    }
    // With nobody there, the relay answers for the agent.
    let mut viewer = world.viewer().await;
    viewer.send(&request("i1", "initialize")).await;
    let reply: Value = serde_json::from_str(&viewer.frame().await).unwrap();
    assert_eq!(reply["response"]["subtype"], "success");
    world.post_events(&[&user("u1")]).await;

    let again = world.worker().await;
    assert_eq!(again.epoch, worker.epoch + 1);
    assert_eq!(again.stream(None).await.payload().await, user("u1"));
    assert_eq!(world.log().await, [user("u1")]);
}

#[tokio::test]
async fn an_idle_stream_says_that_it_lives() {
    let mut options = options();
    options.worker_stream_keep_alive = Duration::from_millis(20);
    let world = World::with(options).await;
    let mut stream = world.worker().await.stream(None).await;
    for _ in 0..3 {
        assert!(stream.block().await.unwrap().starts_with(':'));
    }
    world.post_events(&[&user("u1")]).await;
    assert_eq!(stream.payload().await, user("u1"));
}
