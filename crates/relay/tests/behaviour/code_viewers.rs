//! Streams of viewers.

use std::time::SystemTime;

use attache_relay::{Store as _, store::Retention};
use serde_json::Value;

use crate::world::{World, answer, assistant, options, prompt, request, soon, user};

const DELTA: &str = r#"{"type":"stream_event","event":{"type":"content_block_delta"}}"#;

#[tokio::test]
async fn a_stream_brings_the_log_and_then_what_is_said() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&assistant("a1")).await.unwrap();
    world.post_events(&[&user("u1")]).await;
    let mut stream = world.watch_after(0).await;

    let event = stream.event().await;
    assert_eq!(event.payload, assistant("a1"));
    for (field, value) in [
        ("event_id", "a1"),
        ("event_type", "assistant"),
        ("source", "worker"),
    ] {
        assert_eq!(event.data[field], value);
    }
    assert!(event.data["created_at"].is_string());
    let event = stream.event().await;
    assert_eq!(
        (event.id, &event.data["source"]),
        (Some(2), &"client".into())
    );

    agent.publish(DELTA).await.unwrap();
    agent.publish(&assistant("a2")).await.unwrap();
    let delta = stream.event().await;
    assert_eq!(
        (delta.name.as_str(), delta.payload.as_str()),
        ("ephemeral_event", DELTA)
    );
    assert_eq!(delta.data["event_type"], "stream_event");
    assert_eq!(stream.stored().await, (3, assistant("a2")));
}

#[tokio::test]
async fn a_stream_starts_behind_the_larger_of_its_positions_or_now() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 1..=40 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    for (query, header, first) in [
        ("?from_sequence_num=0", "", 1),
        ("?from_sequence_num=17", "", 18),
        ("", "39", 40),
        ("?from_sequence_num=3", "5", 6),
        ("?from_sequence_num=5", "3", 6),
        ("?from_sequence_num=40", "", 41),
        ("", "", 41),
    ] {
        let headers = [("last-event-id", header)];
        let headers = if header.is_empty() { &[][..] } else { &headers };
        let mut stream = world.watch_with(query, headers).await;
        for number in first..=40 {
            let expected = (number, assistant(&format!("a{number}")));
            assert_eq!(stream.stored().await, expected, "{query} {header}");
        }
        agent.publish(DELTA).await.unwrap();
        assert_eq!(stream.live().await, DELTA);
    }
}

#[tokio::test]
async fn a_position_that_is_none_of_the_logs_is_refused() {
    let world = World::new().await;
    world.say(&[&user("u1")]).await;
    for (query, status) in [
        ("?from_sequence_num=2", 410),
        ("?from_sequence_num=x", 400),
        ("?from_sequence_num=-1", 400),
    ] {
        let (refused, body) = world.refused_watch(query).await;
        assert_eq!(refused, status, "{body}");
        assert_eq!(body["type"], "error");
    }
    let bad = world.try_watch("", &[("last-event-id", "x")]).await;
    assert_eq!(bad.status(), 400);
    let late = world.try_watch("", &[("last-event-id", "2")]).await;
    assert_eq!(late.status(), 410);
}

#[tokio::test]
async fn a_stream_of_a_log_that_lost_its_front_says_so() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 1..=9 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    let mut keep = Retention::default();
    keep.frames = 3;
    let now = SystemTime::now();
    let pruned = world.store.prune(&world.session, &keep, 100, now).await;
    assert_eq!(pruned.unwrap(), 7);
    for position in [0, 5] {
        let mut stream = world.watch_after(position).await;
        let event = stream.event().await;
        assert_eq!(event.name, "catch_up_truncated");
        assert_eq!(event.data, serde_json::json!({"first_sequence_num": 7}));
        for number in 7..=9 {
            let expected = (number, assistant(&format!("a{number}")));
            assert_eq!(stream.stored().await, expected);
        }
    }
    let mut whole = world.watch_after(6).await;
    assert_eq!(whole.stored().await.0, 7);
}

#[tokio::test]
async fn open_prompts_come_after_the_log_and_before_what_is_new() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    agent.publish(&prompt("p2")).await.unwrap();
    world.say(&[&answer("p1", "yes")]).await;
    agent.publish(&assistant("a1")).await.unwrap();

    let mut from_start = world.watch_after(0).await;
    let mut from_now = world.watch().await;
    agent.publish(&assistant("a2")).await.unwrap();
    loop {
        let (_, frame) = from_start.stored().await;
        if frame == assistant("a1") {
            break;
        }
    }
    for stream in [&mut from_start, &mut from_now] {
        let again = stream.event().await;
        assert_eq!(again.name, "ephemeral_event");
        assert_eq!(again.payload, prompt("p2"));
        assert_eq!(again.data["event_id"], "ask-p2");
        assert_eq!(again.data["source"], "worker");
        assert_eq!(stream.stored().await.1, assistant("a2"));
    }
}

#[tokio::test]
async fn a_stream_shows_every_number_also_what_viewers_ask_of_the_agent() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut socket = world.viewer().await;
    let mut stream = world.watch().await;
    socket.send(&request("v1", "set_model")).await;
    let first = stream.event().await;
    assert_eq!(first.id, Some(1));
    assert_eq!(first.payload, request("v1", "set_model"));
    assert_eq!(first.data["source"], "client");
    agent.publish(&prompt("p1")).await.unwrap();
    assert_eq!(stream.stored().await, (2, prompt("p1")));
    socket.send(&answer("p1", "yes")).await;
    assert_eq!(stream.stored().await, (3, answer("p1", "yes")));
}

#[tokio::test]
async fn a_frame_with_a_carriage_return_stays_one_event() {
    let world = World::new().await;
    let mut stream = world.watch().await;
    let odd = "{\"type\":\r\"user\",\"uuid\":\"u1\"}";
    world.say(&[odd]).await;
    let event = stream.event().await;
    let payload: Value = serde_json::from_str(&event.payload).unwrap();
    assert_eq!(payload, serde_json::from_str::<Value>(odd).unwrap());
}

#[tokio::test]
async fn archiving_ends_a_stream_after_everything_was_sent() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut stream = world.watch().await;
    for number in 1..=100 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    world.relay.archive(&world.session).await.unwrap();
    let mut late = world.watch_after(0).await;
    for number in 1..=100 {
        let expected = (number, assistant(&format!("a{number}")));
        assert_eq!(stream.stored().await, expected);
        assert_eq!(late.stored().await, expected);
    }
    for mut stream in [stream, late, world.watch().await] {
        assert_eq!(stream.next().await.unwrap().name, "session_ended");
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_shutdown_ends_streams_in_order() {
    let mut world = World::new().await;
    let mut stream = world.watch().await;
    world.stop.take();
    soon(&mut world.serving).await.unwrap().unwrap();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_quiet_stream_gets_comments() {
    let mut options = options();
    options.keep_alive = core::time::Duration::from_millis(50);
    let world = World::with(options).await;
    let mut stream = world.watch().await;
    let hello = stream.next_of_any_kind().await.unwrap();
    assert_eq!(
        (hello.name.as_str(), &hello.data["payload"]["relay"]["role"]),
        ("ephemeral_event", &"own".into())
    );
    for _ in 0..3 {
        assert_eq!(stream.block().await.unwrap(), ":keepalive");
    }
}
