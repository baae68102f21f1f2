//! How far the agent has got with what viewers say.

use attache_protocol::frame::{
    Frame,
    relay::{DeliveryStatus, DeliveryUpdate},
};

use crate::world::{Viewer, World, assistant, prompt, request, soon, user};
use DeliveryStatus::{Processed, Processing, Received};

impl Viewer {
    /// The next delivery update; other frames are passed over.
    async fn update(&mut self) -> (String, DeliveryStatus) {
        loop {
            let text = self.next_of_any_kind().await.unwrap();
            let frame = Frame::classify(text.into()).unwrap();
            if let Some(update) = DeliveryUpdate::read(&frame) {
                return (update.event_id, update.status);
            }
        }
    }

    async fn updates(&mut self, count: usize) -> Vec<(String, DeliveryStatus)> {
        let mut updates = Vec::new();
        for _ in 0..count {
            updates.push(self.update().await);
        }
        updates
    }
}

fn is(uuid: &str, status: DeliveryStatus) -> (String, DeliveryStatus) {
    (uuid.to_owned(), status)
}

#[tokio::test]
async fn every_viewer_learns_how_far_a_message_is_and_it_never_goes_back() {
    let world = World::new().await;
    let worker = world.worker().await;
    let (mut first, mut second) = (world.viewer().await, world.viewer().await);
    let mut stream = world.watch().await;
    world.post_events(&[&user("u1"), &user("u2")]).await;
    for (event, status) in [
        ("u1", "received"),
        ("u1", "processing"),
        ("u1", "received"),
        ("u2", "processed"),
        ("u2", "processed"),
        ("u1", "processed"),
        ("unknown", "received"),
        ("u1", "received"),
    ] {
        assert_eq!(worker.acknowledge(event, status).await.0, 200);
    }
    let expected = [
        is("u1", Received),
        is("u1", Processing),
        is("u2", Processed),
        is("u1", Processed),
    ];
    assert_eq!(first.updates(4).await, expected);
    assert_eq!(second.updates(4).await, expected);
    worker.upload(&[assistant("a1")]).await;
    assert_eq!(first.next_of_any_kind().await.unwrap(), assistant("a1"));

    let mut told = Vec::new();
    while told.len() < 4 {
        let event = stream.next_of_any_kind().await.unwrap();
        if event.name == "delivery_update" {
            assert_eq!(event.id, None);
            told.push(event.data["status"].as_str().unwrap().to_owned());
        }
    }
    let expected = ["RECEIVED", "PROCESSING", "PROCESSED", "PROCESSED"];
    assert_eq!(told, expected.map(|word| format!("DELIVERY_STATUS_{word}")));
}

#[tokio::test]
async fn only_messages_have_a_delivery_that_viewers_see() {
    let world = World::new().await;
    let worker = world.worker().await;
    let mut viewer = world.viewer().await;
    viewer.send(&request("r1", "set_model")).await;
    let mut stream = worker.stream(None).await;
    assert_eq!(stream.payload().await, request("r1", "set_model"));
    worker.acknowledge("req-r1", "processed").await;
    world.post_events(&[&user("u1")]).await;
    worker.acknowledge("u1", "received").await;
    assert_eq!(viewer.update().await, is("u1", Received));
}

#[tokio::test]
async fn whoever_subscribes_learns_what_is_known_and_a_restart_takes_nothing_back() {
    let world = World::new().await;
    let worker = world.worker().await;
    let messages = ["u1", "u2", "u3", "u4"].map(user);
    world
        .post_events(&messages.each_ref().map(String::as_str))
        .await;
    worker.upload(&[prompt("p1")]).await;
    worker.acknowledge("u1", "processed").await;
    worker.acknowledge("u2", "processed").await;
    worker.acknowledge("u3", "processing").await;
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frame().await, prompt("p1"), "prompts come first");
    let expected = [
        is("u1", Processed),
        is("u2", Processed),
        is("u3", Processing),
    ];
    assert_eq!(viewer.updates(3).await, expected);

    let world = world.restarted().await;
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.updates(2).await, expected[..2]);
    let mut worker = worker;
    worker.move_to(&world);
    for (event, status) in [("u1", "received"), ("u3", "processed"), ("u4", "received")] {
        assert_eq!(worker.acknowledge(event, status).await.0, 200);
    }
    let expected = [is("u3", Processed), is("u4", Received)];
    assert_eq!(viewer.updates(2).await, expected);
}

#[tokio::test]
async fn what_an_agent_of_this_process_takes_is_processed() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    world.post_events(&[&user("u1"), &user("u2")]).await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    soon(agent.recv()).await.unwrap().unwrap();
    assert_eq!(viewer.update().await, is("u1", Processed));
    soon(agent.recv()).await.unwrap().unwrap();
    drop(agent);
    assert_eq!(viewer.update().await, is("u2", Processed));
    let mut late = world.viewer().await;
    let expected = [is("u1", Processed), is("u2", Processed)];
    assert_eq!(late.updates(2).await, expected);
}

#[tokio::test]
async fn of_many_messages_the_last_256_are_told() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 0..300 {
        world.post_events(&[&user(&format!("u{number}"))]).await;
        soon(agent.recv()).await.unwrap().unwrap();
    }
    let world = world.restarted().await;
    let mut viewer = world.viewer().await;
    let updates = viewer.updates(256).await;
    assert_eq!(updates[0], is("u44", Processed));
    assert_eq!(updates[255], is("u299", Processed));
    world.post_events(&[&user("next")]).await;
    assert_eq!(viewer.next_of_any_kind().await.unwrap(), user("next"));
}
