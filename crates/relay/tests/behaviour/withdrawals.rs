//! What is asked by an agent that is gone is taken back.

use core::time::Duration;

use serde_json::Value;

use crate::world::{World, answer, assistant, options, prompt, request, user};

/// Checks that `frame` takes a request back.
fn assert_withdraws(frame: &str, request_id: &str) {
    let told: Value = serde_json::from_str(frame).unwrap();
    assert_eq!(told["type"], "control_cancel_request", "{frame}");
    assert_eq!(told["request_id"], request_id);
    assert!(told["uuid"].is_string());
}

#[tokio::test]
async fn a_worker_that_is_not_heard_of_asks_nothing_any_more() {
    let mut options = options();
    options.worker_lease = Duration::from_secs(1);
    let world = World::with(options).await;
    let mut viewer = world.viewer().await;
    let worker = world.worker_called("one").await;
    let said = [prompt("p1"), request("e1", "elicitation")];
    worker.upload(&said).await;
    let waits = serde_json::json!({"tool_name": "Bash"});
    let report = serde_json::json!({
        "worker_status": "requires_action", "requires_action_details": waits,
    });
    assert_eq!(worker.put(report).await.0, 200);
    assert_eq!(viewer.frames(2).await, said);
    let (first, second) = (viewer.frame().await, viewer.frame().await);
    assert_withdraws(&first, "p1");
    assert_withdraws(&second, "e1");
    assert_eq!(world.status().await, "idle");
    let session = world.code_session().await;
    assert_eq!(session["worker_status"], "idle");
    assert_eq!(session["requires_action_details"], Value::Null);
    let (_, body) = world.post_events(&[&answer("p1", "x")]).await;
    assert!(body.contains("withdrawn"), "{body}");
    assert_eq!(world.log().await[2..], [first, second]);

    // Nothing of it goes to another worker.
    let worker = world.worker_called("two").await;
    world.post_events(&[&user("u1")]).await;
    assert_eq!(worker.stream(Some(0)).await.payload().await, user("u1"));
}

/// Checks that `frame` tells the agent that nobody answers.
fn assert_tells_the_agent(frame: &str, request_id: &str) {
    let told: Value = serde_json::from_str(frame).unwrap();
    assert_eq!(told["type"], "control_response", "{frame}");
    assert_eq!(told["response"]["subtype"], "error");
    assert_eq!(told["response"]["request_id"], request_id);
}

#[tokio::test]
async fn a_worker_that_comes_back_is_told_what_was_taken_back_once() {
    let mut options = options();
    options.worker_lease = Duration::from_secs(1);
    let world = World::with(options.clone()).await;
    let mut viewer = world.viewer().await;
    let worker = world.worker_called("one").await;
    worker.upload(&[prompt("p1"), prompt("p2")]).await;
    let (_, answered) = world.post_events(&[&answer("p2", "x")]).await;
    assert!(answered.contains("stored"), "{answered}");
    viewer.frames(4).await;
    assert_withdraws(&viewer.frame().await, "p1");

    // Its agent may still wait for the answer to p1.
    let worker = world.worker_called("one").await;
    let mut stream = worker.stream(Some(0)).await;
    assert_eq!(stream.payload().await, answer("p2", "x"));
    assert_tells_the_agent(&stream.payload().await, "p1");
    let (_, late) = world.post_events(&[&answer("p1", "late")]).await;
    assert!(late.contains("withdrawn"), "{late}");

    let world = world.restarted_with(options).await;
    let worker = world.worker_called("one").await;
    world.post_events(&[&user("u1")]).await;
    let mut stream = worker.stream(Some(0)).await;
    assert_eq!(stream.payload().await, answer("p2", "x"));
    assert_tells_the_agent(&stream.payload().await, "p1");
    assert_eq!(stream.payload().await, user("u1"), "it is told once");
}

#[tokio::test]
async fn a_worker_that_a_restarted_relay_does_not_hear_of_asks_nothing_any_more() {
    let world = World::new().await;
    let mut worker = world.worker_called("one").await;
    worker.upload(&[prompt("p1")]).await;

    let mut options = options();
    options.worker_lease = Duration::from_secs(1);
    let world = world.restarted_with(options).await;
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frame().await, prompt("p1"));
    viewer.send(&request("i1", "initialize")).await;
    let reply: Value = serde_json::from_str(&viewer.frame().await).unwrap();
    assert_eq!(reply["response"]["request_id"], "i1");
    let inner = &reply["response"]["response"];
    assert_eq!(inner["output_style"], "normal");
    assert_eq!(inner["pending_permission_requests"][0]["request_id"], "p1");

    assert_withdraws(&viewer.frame().await, "p1");
    worker.move_to(&world);
    assert_eq!(worker.heartbeat().await.0, 410, "it has to register again");
    let mut late = world.viewer().await;
    let worker = world.worker_called("one").await;
    assert_tells_the_agent(&late.frame().await, "p1");
    worker.upload(&[assistant("a1")]).await;
    assert_eq!(late.frame().await, assistant("a1"), "nothing is open");
}

#[tokio::test]
async fn the_same_worker_goes_on_asking_and_another_one_does_not() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    let worker = world.worker_called("one").await;
    worker.upload(&[prompt("p1")]).await;
    assert_eq!(viewer.frame().await, prompt("p1"));
    let again = world.worker_called("one").await;
    assert_eq!(again.epoch, 2);
    again.upload(&[assistant("a1")]).await;
    assert_eq!(viewer.frame().await, assistant("a1"));

    let world = world.restarted().await;
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frame().await, prompt("p1"));
    let again = world.worker_called("one").await;
    again.upload(&[assistant("a2")]).await;
    assert_eq!(viewer.frame().await, assistant("a2"));

    let other = world.worker_called("two").await;
    assert_withdraws(&world.log().await[3], "p1");
    assert_withdraws(&viewer.frame().await, "p1");
    let asked_again = prompt("p1").replace("ask-", "asked-again-");
    other.upload(core::slice::from_ref(&asked_again)).await;
    assert_eq!(viewer.frame().await, asked_again);
    assert_eq!(world.status().await, "requires_action");

    // One that says no name is another one, too.
    world.worker().await;
    assert_withdraws(&viewer.frame().await, "p1");
    assert_eq!(world.status().await, "idle");
}

#[tokio::test]
async fn of_workers_without_a_name_nobody_knows_whether_they_are_the_same() {
    let world = World::new().await;
    let worker = world.worker().await;
    worker.upload(&[prompt("p1")]).await;
    let worker = world.worker().await;
    let mut stream = worker.stream(None).await;
    world.post_events(&[&answer("p1", "x")]).await;
    assert_eq!(stream.payload().await, answer("p1", "x"));
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let world = World::new().await;
    for name in ["", "\u{e4}", &"x".repeat(129)] {
        let (status, body) = world.bridge_as(name).await;
        assert_eq!(status, 400, "{body}");
    }
}

#[tokio::test]
async fn an_agent_of_this_process_that_is_dropped_or_replaced_asks_nothing_any_more() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let publisher = agent.publisher();
    agent.publish(&prompt("p1")).await.unwrap();
    assert_eq!(viewer.frame().await, prompt("p1"));
    drop(agent);
    assert_withdraws(&viewer.frame().await, "p1");

    // Nobody would take the answer.
    publisher.publish(&prompt("p2")).await.unwrap();
    assert_eq!(viewer.frame().await, prompt("p2"));
    assert_withdraws(&viewer.frame().await, "p2");

    let old = world.relay.attach_agent(&world.session).await.unwrap();
    old.publish(&prompt("p3")).await.unwrap();
    let new = world.relay.attach_agent(&world.session).await.unwrap();
    assert_eq!(viewer.frame().await, prompt("p3"));
    assert_withdraws(&viewer.frame().await, "p3");
    new.publish(&prompt("p4")).await.unwrap();
    assert_eq!(viewer.frame().await, prompt("p4"));
    world.worker().await;
    assert_withdraws(&viewer.frame().await, "p4");
}
