//! Workers outlive the relay.

use tokio::sync::watch;

use crate::{
    workers::{read, try_send},
    world::{World, answer, assistant, prompt, soon, user},
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
async fn through_restarts_every_upload_is_stored_exactly_once_and_in_order() {
    const UPLOADS: usize = 300;
    let mut world = World::new().await;
    let worker = world.worker().await;
    let (where_to, address) = watch::channel(world.address);
    let uploading = tokio::spawn(async move {
        let mut address = address;
        let mut next = 0;
        while next < UPLOADS {
            let batch: Vec<_> = (next..UPLOADS.min(next + 5))
                .map(|n| format!(r#"{{"payload":{}}}"#, assistant(&format!("a{n}"))))
                .collect();
            let (epoch, events) = (worker.epoch, batch.join(","));
            let body = format!(r#"{{"worker_epoch":{epoch},"events":[{events}]}}"#);
            let (_, path) = worker.base.split_once("/v1/").unwrap();
            let at = *address.borrow_and_update();
            let url = format!("http://{at}/v1/{path}/events");
            match try_send("POST", &url, &worker.token, &body, &[]).await {
                Some(response) if response.status() == 200 => next += batch.len(),
                Some(response) => assert_eq!(response.status(), 503),
                None => address.changed().await.unwrap(),
            }
        }
    });
    for restart in 1..=5 {
        while world.log().await.len() < restart * 40 {
            tokio::task::yield_now().await;
        }
        world = world.restarted().await;
        where_to.send_replace(world.address);
    }
    soon(uploading).await.unwrap();
    let expected: Vec<_> = (0..UPLOADS).map(|n| assistant(&format!("a{n}"))).collect();
    assert_eq!(world.log().await, expected);
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
async fn an_answer_outlives_the_relay_and_reaches_the_worker_once() {
    let world = World::new().await;
    let mut worker = world.worker().await;
    worker.upload(&[prompt("p1")]).await;
    let (_, body) = world.post_events(&[&answer("p1", "x")]).await;
    assert!(body.contains("stored"), "{body}");

    let world = world.restarted().await;
    worker.move_to(&world);
    let (_, body) = world.post_events(&[&answer("p1", "y")]).await;
    assert!(body.contains("\"answered\""), "{body}");
    let mut stream = worker.stream(None).await;
    assert_eq!(stream.payload().await, answer("p1", "x"));
    worker.acknowledge("x", "processed").await;
    let world = world.restarted().await;
    worker.move_to(&world);
    let (_, body) = world
        .post_events(&[&answer("p1", "x"), &answer("p1", "z"), &user("u1")])
        .await;
    assert!(body.contains("duplicate"), "{body}");
    assert_eq!(worker.stream(None).await.payload().await, user("u1"));
}

#[tokio::test]
async fn a_graceful_stop_ends_the_stream_at_once() {
    let mut world = World::new().await;
    let worker = world.worker().await;
    let mut stream = worker.stream(None).await;
    drop(world.stop.take());
    assert!(stream.next().await.is_none());
    soon(&mut world.serving).await.unwrap().unwrap();
}
