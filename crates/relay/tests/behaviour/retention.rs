//! Logs lose their front, and nobody loses what they wait for.

use core::time::Duration;

use attache_relay::{
    RelayOptions, Store as _,
    store::{After, Retention},
};

use crate::world::{World, answer, assistant, options, prompt, soon, user};

fn keeping(frames: u64) -> RelayOptions {
    let mut options = options();
    let mut keep = Retention::default();
    keep.frames = frames;
    options.retention = keep;
    options
}

impl World {
    /// The first sequence number that is kept.
    async fn first_kept(&self) -> u64 {
        let all = After::Sequence(0);
        let page = self.store.frames(&self.session, all, None, 1).await;
        page.unwrap().first_kept
    }

    /// Waits until the log begins at `first`.
    async fn log_begins_at(&self, first: u64) {
        soon(async {
            while self.first_kept().await != first {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_log_that_is_too_long_loses_its_front() {
    let world = World::with(keeping(10)).await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 1..=50 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    world.log_begins_at(41).await;
    let log = world.log().await;
    assert_eq!((log.len(), &log[9]), (10, &assistant("a50")));

    let again = agent.publish(&assistant("a1")).await.unwrap();
    let expected = attache_relay::Published::Duplicate("a1".into());
    assert_eq!(again, expected, "it is not stored a second time");
}

#[tokio::test]
async fn bytes_count_too() {
    let mut options = options();
    options.retention.bytes = 1000;
    let world = World::with(options).await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let frame = |number: usize| {
        let padding = "x".repeat(400);
        format!(r#"{{"type":"assistant","uuid":"a{number}","padding":"{padding}"}}"#)
    };
    for number in 0..9 {
        agent.publish(&frame(number)).await.unwrap();
    }
    world.log_begins_at(8).await;
    assert_eq!(world.log().await, [frame(7), frame(8)]);
}

#[tokio::test]
async fn an_open_prompt_and_what_is_behind_it_stays() {
    let world = World::with(keeping(5)).await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&assistant("a0")).await.unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    for number in 1..=20 {
        let frame = assistant(&format!("a{number}"));
        agent.publish(&frame).await.unwrap();
    }
    world.log_begins_at(2).await;
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frame().await, prompt("p1"));
    viewer.send(&answer("p1", "x")).await;
    viewer.frame().await;
    world.log_begins_at(20).await;
    // The answer stays as long as the agent has not got it.
    let mut agent = agent;
    for number in 21..=40 {
        let frame = assistant(&format!("a{number}"));
        agent.publish(&frame).await.unwrap();
    }
    assert_eq!(world.first_kept().await, 23);
    let taken = soon(agent.recv()).await.unwrap().unwrap();
    assert_eq!(taken.as_str(), answer("p1", "x"));
    agent.publish(&assistant("last")).await.unwrap();
    world.log_begins_at(41).await;
}

#[tokio::test]
async fn what_waits_for_a_worker_stays_until_it_is_processed() {
    let world = World::with(keeping(3)).await;
    let worker = world.worker().await;
    world.post_events(&[&user("u1"), &user("u2")]).await;
    for number in 1..=10 {
        worker.upload(&[assistant(&format!("a{number}"))]).await;
    }
    assert_eq!(world.first_kept().await, 1);
    let mut stream = worker.stream(None).await;
    assert_eq!(stream.payload().await, user("u1"));
    worker.acknowledge("u1", "processed").await;
    worker.upload(&[assistant("a11")]).await;
    world.log_begins_at(2).await;
    assert_eq!(stream.payload().await, user("u2"));
    worker.acknowledge("u2", "processed").await;
    worker.upload(&[assistant("a12")]).await;
    world.log_begins_at(12).await;
}

#[tokio::test]
async fn a_relay_that_starts_with_a_log_without_its_front_knows_what_it_was_at() {
    for (last, status) in [
        (user("u1"), "running"),
        (r#"{"type":"result","uuid":"r1"}"#.to_owned(), "idle"),
    ] {
        let world = World::with(keeping(3)).await;
        let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
        world.post_events(&[&user("u0"), &last]).await;
        agent.publish(&last).await.unwrap();
        while soon(agent.recv()).await.unwrap().unwrap().as_str() != last {}
        for number in 1..=20 {
            let frame = format!(r#"{{"type":"tool_progress","uuid":"t{number}"}}"#);
            agent.publish(&frame).await.unwrap();
        }
        assert_eq!(world.status().await, status);
        let world = world.restarted_with(keeping(2)).await;
        let agent = world.relay.attach_agent(&world.session).await.unwrap();
        assert_eq!(world.status().await, status);
        world.log_begins_at(21).await;
        let frame = r#"{"type":"tool_progress"}"#;
        agent.publish(frame).await.unwrap();
        assert_eq!(world.status().await, status);
    }
}

#[tokio::test]
async fn what_is_too_old_goes_also_in_sessions_that_nobody_uses() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 1..=9 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    world.post_events(&[&user("u1")]).await;
    soon(agent.recv()).await.unwrap().unwrap();
    agent.publish(&assistant("last")).await.unwrap();

    let mut options = options();
    options.retention.age = Some(Duration::from_millis(1));
    options.retention_sweep = Duration::from_millis(20);
    let world = world.restarted_with(options).await;
    world.log_begins_at(11).await;
    assert_eq!(world.log().await, [assistant("last")]);
}

#[tokio::test]
async fn a_prompt_of_a_session_that_nobody_uses_is_taken_back() {
    let world = World::new().await;
    let worker = world.worker_called("one").await;
    worker.upload(&[prompt("p1")]).await;
    let mut options = options();
    options.worker_lease = Duration::from_millis(100);
    let world = world.restarted_with(options).await;
    soon(async {
        while world.status().await == "requires_action" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let log = world.log().await;
    assert!(log[1].contains("control_cancel_request"), "{log:?}");
}
