//! What viewers say reaches the worker.

use crate::world::{
    World, answer, assert_settles, assistant, options, prompt, request, soon, user,
};

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
    for viewer in [&mut first, &mut second] {
        assert_settles(&viewer.frame().await, "p1", "x");
    }
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

#[tokio::test]
async fn a_stream_goes_on_behind_its_last_event() {
    let world = World::new().await;
    let worker = world.worker().await;
    let messages: Vec<_> = (0..6).map(|n| user(&format!("u{n}"))).collect();
    for message in &messages {
        world.post_events(&[message]).await;
        worker
            .upload(&[assistant(&format!("to {}", message.len()))])
            .await;
    }
    let log = world.log().await;
    let sequence = |n: usize| log.iter().position(|one| *one == messages[n]).unwrap() + 1;
    for (query, header, first) in [
        (None, None, 0),
        (Some(0), None, 0),
        (Some(sequence(2)), None, 3),
        (None, Some(sequence(3)), 4),
        (Some(sequence(1)), Some(sequence(3)), 4),
        (Some(sequence(3)), Some(sequence(1)), 4),
        // A position that this log has not reached is another log's.
        (Some(1_000_000), None, 0),
    ] {
        let query = query
            .map(|n| format!("?from_sequence_num={n}"))
            .unwrap_or_default();
        let header = header.map(|n| n.to_string()).unwrap_or_default();
        let headers = [("last-event-id", header.as_str())];
        let headers = if header.is_empty() { &[][..] } else { &headers };
        let mut stream = worker.stream_with(&query, headers).await;
        for (n, message) in messages.iter().enumerate().skip(first) {
            let event = stream.event().await;
            assert_eq!(
                (&event.payload, event.sequence),
                (message, sequence(n) as u64)
            );
        }
    }
    for (query, headers) in [
        ("?from_sequence_num=x", &[][..]),
        ("?from_sequence_num=-1", &[]),
        ("", &[("last-event-id", "x")]),
    ] {
        assert_eq!(worker.try_stream(query, headers).await.status(), 400);
    }
}

#[tokio::test]
async fn a_newer_stream_of_the_same_worker_ends_the_older() {
    let world = World::new().await;
    let worker = world.worker().await;
    let mut old = worker.stream(None).await;
    let mut new = worker.stream(None).await;
    assert!(old.next().await.is_none());
    world.post_events(&[&user("u1")]).await;
    assert_eq!(new.payload().await, user("u1"));
}

#[tokio::test]
async fn through_breaks_and_refreshes_every_message_arrives_exactly_once() {
    const MESSAGES: usize = 200;
    let world = World::new().await;
    let saying = async {
        for n in 0..MESSAGES {
            assert_eq!(world.post_events(&[&user(&format!("u{n}"))]).await.0, 200);
            tokio::task::yield_now().await;
        }
    };
    let hearing = async {
        let mut heard = Vec::new();
        let mut after = None;
        let mut worker = world.worker().await;
        while heard.len() < MESSAGES {
            if heard.len() % 40 == 30 {
                worker = world.worker().await;
            }
            let mut stream = worker.stream(after).await;
            for _ in 0..7.min(MESSAGES - heard.len()) {
                let event = stream.event().await;
                worker.acknowledge(&event.id, "processed").await;
                after = Some(event.sequence);
                heard.push(event.id);
            }
        }
        heard
    };
    let ((), heard) = soon(async { tokio::join!(saying, hearing) }).await;
    let said: Vec<_> = (0..MESSAGES).map(|n| format!("u{n}")).collect();
    assert_eq!(heard, said);
}

#[tokio::test]
async fn a_worker_that_is_far_behind_makes_posts_wait() {
    let mut options = options();
    options.agent_backlog = 2;
    let world = World::with(options).await;
    let worker = world.worker().await;
    assert_eq!(world.post_events(&[&user("u1"), &user("u2")]).await.0, 200);
    assert_eq!(world.post_events(&[&user("u3")]).await.0, 429);
    worker.acknowledge("u2", "received").await;
    assert_eq!(world.post_events(&[&user("u3")]).await.0, 429);
    worker.acknowledge("u2", "processed").await;
    assert_eq!(world.post_events(&[&user("u3")]).await.0, 200);
}
