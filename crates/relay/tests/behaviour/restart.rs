//! The relay goes away and comes back.

use attache_relay::RelayError;

use crate::world::{World, answer, assert_settles, assistant, prompt, soon, user};

#[tokio::test]
async fn a_new_relay_over_the_same_store_goes_on() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut viewer = world.viewer().await;
    world.post_events(&[&user("u1"), &user("u2")]).await;
    soon(agent.recv()).await.unwrap().unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    viewer.frames(3).await;

    let world = world.restarted().await;
    assert!(viewer.next().await.is_err(), "a crash ends the socket");
    assert!(matches!(
        agent.publish(&assistant("lost")).await,
        Err(RelayError::Stopped)
    ));

    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frame().await, prompt("p1"));
    assert_eq!(world.status().await, "requires_action");
    viewer.send(&answer("p1", "x")).await;
    assert_settles(&viewer.frame().await, "p1", "x");
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        user("u2")
    );
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        answer("p1", "x")
    );
    world.post_events(&[&user("u1")]).await;
    let log = world.log().await;
    let said = [user("u1"), user("u2"), prompt("p1"), answer("p1", "x")];
    assert_eq!(log[..4], said);
    assert_settles(&log[4], "p1", "x");
    assert_eq!(log.len(), 5);
}

#[tokio::test]
async fn dropping_the_server_breaks_its_sockets_without_a_close_frame() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    world.serving.abort();
    assert_eq!(viewer.next().await, Err(None));
    assert!(world.serving.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_graceful_stop_closes_sockets_with_1012_after_everything_was_sent() {
    let mut world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut viewer = world.viewer().await;
    for number in 0..200 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    drop(world.stop.take());
    assert_eq!(viewer.frames(200).await.len(), 200);
    assert_eq!(viewer.closed().await.0, 1012);
    soon(&mut world.serving).await.unwrap().unwrap();
    assert_eq!(world.post_events(&[&user("u1")]).await.0, 503);
}
