//! Workers outlive the relay.

use crate::{
    workers::read,
    world::{World, answer, assistant, prompt, user},
};

#[tokio::test]
async fn a_restarted_relay_knows_tokens_epochs_and_positions() {
    let world = World::new().await;
    let fenced = world.worker().await;
    let mut worker = world.worker().await;
    let mut stream = worker.stream(None).await;
    world.post_events(&[&user("u1"), &user("u2")]).await;
    assert_eq!(stream.event().await.sequence, 1);
    worker.upload(&[assistant("a1"), prompt("p1")]).await;

    let world = world.restarted().await;
    assert_eq!(stream.event().await.sequence, 2, "it was under way");
    assert!(stream.next().await.is_none(), "a crash ends the stream");
    let session = world.code_session().await;
    assert_eq!(session["connection_status"], "disconnected");
    worker.move_to(&world);
    worker.upload(&[prompt("p1"), assistant("a2")]).await;
    assert_eq!(world.code_session().await["connection_status"], "connected");
    let mut stream = worker.stream(Some(1)).await;
    assert_eq!(stream.payload().await, user("u2"));
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frame().await, prompt("p1"));
    viewer.send(&answer("p1", "x")).await;
    let event = stream.event().await;
    assert_eq!((event.sequence, event.payload), (6, answer("p1", "x")));

    let mut fenced = fenced;
    fenced.move_to(&world);
    assert_eq!(fenced.heartbeat().await.0, 409, "once fenced, for good");
    assert_eq!(world.worker().await.epoch, worker.epoch + 1);
    assert_eq!(read(worker.try_stream("", &[]).await).await.0, 409);
}

#[tokio::test]
async fn what_is_processed_is_not_sent_to_the_next_worker() {
    let world = World::new().await;
    let worker = world.worker().await;
    let messages = ["u1", "u2", "u3", "u4"].map(user);
    world
        .post_events(&messages.each_ref().map(String::as_str))
        .await;
    for (event, status) in [
        ("u1", "processed"),
        ("u2", "processing"),
        ("u4", "received"),
        ("u3", "processed"),
    ] {
        assert_eq!(worker.acknowledge(event, status).await.0, 200);
    }
    // Neither backwards nor of anybody else's interest.
    assert_eq!(worker.acknowledge("u1", "received").await.0, 200);
    assert_eq!(worker.acknowledge("unknown", "processed").await.0, 200);

    let next = world.worker().await;
    let mut stream = next.stream(Some(0)).await;
    assert_eq!(stream.payload().await, user("u2"));
    assert_eq!(stream.payload().await, user("u4"), "u3 is done");

    let world = world.restarted().await;
    let next = world.worker().await;
    let mut stream = next.stream(None).await;
    assert_eq!(stream.payload().await, user("u2"));
    assert_eq!(next.acknowledge("u2", "processed").await.0, 200);
    assert_eq!(next.acknowledge("u3", "processed").await.0, 200);
    let mut stream = next.stream(None).await;
    assert_eq!(stream.payload().await, user("u4"));
}

#[tokio::test]
async fn a_graceful_stop_ends_the_stream_at_once() {
    let mut world = World::new().await;
    let worker = world.worker().await;
    let mut stream = worker.stream(None).await;
    drop(world.stop.take());
    assert!(stream.next().await.is_none());
    crate::world::soon(&mut world.serving)
        .await
        .unwrap()
        .unwrap();
}
