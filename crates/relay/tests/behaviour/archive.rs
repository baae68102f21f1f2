//! The end of a session.

use attache_relay::RelayError;

use crate::world::{World, assistant, prompt, soon, user};

#[tokio::test]
async fn archiving_closes_sockets_after_everything_was_sent() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    let (mut first, mut second) = (world.viewer().await, world.viewer().await);
    for number in 0..300 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    let path = format!("/v1/sessions/{}/archive", world.session);
    let (status, body) = world.http("POST", &path, "").await;
    assert_eq!(status, 200);
    assert!(body.contains(r#""session_status":"archived""#), "{body}");

    let log = world.log().await;
    for viewer in [&mut first, &mut second] {
        assert_eq!(viewer.frames(300).await, log);
        assert_eq!(viewer.closed().await, (1000, "session ended".to_owned()));
    }
    assert!(soon(agent.recv()).await.unwrap().is_none());
    assert!(matches!(
        agent.publish(&assistant("late")).await,
        Err(RelayError::Archived)
    ));
}

#[tokio::test]
async fn an_archived_session_can_be_read_and_nothing_else() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    world.relay.archive(&world.session).await.unwrap();

    let (status, body) = world
        .http(
            "POST",
            &format!("/v1/sessions/{}/archive", world.session),
            "",
        )
        .await;
    assert_eq!(status, 409);
    assert!(body.contains("conflict_error"), "{body}");
    assert_eq!(world.post_events(&[&user("u1")]).await.0, 409);
    assert!(matches!(
        world.relay.attach_agent(&world.session).await,
        Err(RelayError::Archived)
    ));

    let mut viewer = world.viewer().await;
    assert_eq!(viewer.closed().await, (1000, "session ended".to_owned()));
    assert_eq!(world.log().await, [prompt("p1")]);
    assert_eq!(world.status().await, "archived");
}
