//! What viewers say reaches the worker.

use crate::world::{World, answer, assistant, prompt, request, user};

#[tokio::test]
async fn a_worker_and_a_viewer_talk_over_one_session() {
    let world = World::new().await;
    let (mut first, mut second) = (world.viewer().await, world.viewer().await);
    let worker = world.worker().await;
    let mut stream = worker.stream(None).await;

    world.post_events(&[&user("u1")]).await;
    let event = stream.event().await;
    assert_eq!((event.sequence, event.id.as_str()), (1, "u1"));
    assert_eq!(event.payload, user("u1"));
    assert_eq!(event.data["event_type"], "user");
    assert_eq!(event.data["source"], "client");
    assert!(event.data["created_at"].is_string());

    let said = [assistant("a1"), prompt("p1"), assistant("a2")];
    let (status, body) = worker.upload(&said).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"][0]["status"], "stored");
    for viewer in [&mut first, &mut second] {
        assert_eq!(viewer.frame().await, user("u1"));
        assert_eq!(viewer.frames(3).await, said);
    }

    first.send(&answer("p1", "x")).await;
    assert_eq!(stream.payload().await, answer("p1", "x"));
    assert_eq!(second.frame().await, answer("p1", "x"));
    for (id, subtype) in [
        ("i1", "interrupt"),
        ("i2", "initialize"),
        ("i3", "set_model"),
    ] {
        second.send(&request(id, subtype)).await;
        let event = stream.event().await;
        assert_eq!(event.payload, request(id, subtype));
        assert_eq!(event.data["event_type"], "control_request");
    }
    let reply = answer("i2", "y");
    worker.upload(core::slice::from_ref(&reply)).await;
    assert_eq!(first.frame().await, reply);
    assert_eq!(second.frame().await, reply);
}
