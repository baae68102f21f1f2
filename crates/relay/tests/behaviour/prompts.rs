//! Permission prompts.

use serde_json::Value;

use crate::world::{World, answer, assistant, cancel, prompt, request, soon, user};

#[tokio::test]
async fn open_prompts_come_first_to_whoever_subscribes() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    for id in ["p1", "p2", "p3", "p4"] {
        agent.publish(&prompt(id)).await.unwrap();
    }
    agent.publish(&cancel("p2")).await.unwrap();
    let mut first = world.viewer().await;
    assert_eq!(
        first.frames(3).await,
        [prompt("p1"), prompt("p3"), prompt("p4")]
    );
    first.send(&answer("p3", "x")).await;
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        answer("p3", "x")
    );

    let mut second = world.viewer().await;
    assert_eq!(second.frames(2).await, [prompt("p1"), prompt("p4")]);
    agent.publish(&assistant("a1")).await.unwrap();
    assert_eq!(second.frame().await, assistant("a1"));
}

#[tokio::test]
async fn the_first_answer_wins() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    let (mut fast, mut late) = (world.viewer().await, world.viewer().await);
    fast.frame().await;
    late.frame().await;

    fast.send(&answer("p1", "first")).await;
    assert_eq!(late.frame().await, answer("p1", "first"));
    late.send(&answer("p1", "second")).await;
    assert_eq!(world.post_events(&[&answer("p1", "third")]).await.0, 200);
    late.send(&answer("never-asked", "fourth")).await;
    late.send(&request("marker", "mcp_status")).await;

    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        answer("p1", "first")
    );
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        request("marker", "mcp_status")
    );
    let log = world.log().await;
    assert_eq!(
        log,
        [
            prompt("p1"),
            answer("p1", "first"),
            request("marker", "mcp_status")
        ]
    );
}

#[tokio::test]
async fn one_batch_can_not_answer_twice() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    let (status, body) = world
        .post_events(&[&answer("p1", "x"), &answer("p1", "y")])
        .await;
    assert_eq!(status, 200);
    assert!(body.contains("ignored"), "{body}");
    assert_eq!(world.log().await, [prompt("p1"), answer("p1", "x")]);
}

#[tokio::test]
async fn an_answer_to_a_cancelled_prompt_goes_nowhere() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    agent.publish(&cancel("p1")).await.unwrap();
    assert_eq!(world.post_events(&[&answer("p1", "x")]).await.0, 200);
    assert_eq!(world.log().await, [prompt("p1"), cancel("p1")]);
}

#[tokio::test]
async fn the_sessions_status_follows() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    assert_eq!(world.status().await, "idle");
    world.post_events(&[&user("u1")]).await;
    assert_eq!(world.status().await, "running");
    agent.publish(&prompt("p1")).await.unwrap();
    assert_eq!(world.status().await, "requires_action");
    world.post_events(&[&answer("p1", "x")]).await;
    assert_eq!(world.status().await, "running");
    agent
        .publish(r#"{"type":"result","subtype":"success"}"#)
        .await
        .unwrap();
    assert_eq!(world.status().await, "idle");
}

#[tokio::test]
async fn without_an_agent_initialize_is_answered_with_the_open_prompts() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    drop(agent);
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frame().await, prompt("p1"));
    viewer.send(&request("i1", "initialize")).await;
    let reply: Value = serde_json::from_str(&viewer.frame().await).unwrap();
    assert_eq!(reply["response"]["request_id"], "i1");
    let inner = &reply["response"]["response"];
    assert_eq!(inner["output_style"], "normal");
    assert_eq!(inner["pending_permission_requests"][0]["request_id"], "p1");
    assert_eq!(world.log().await, [prompt("p1")]);
}
