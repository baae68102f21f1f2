//! Going on where it was left: after a restart of the relay, and in another process.

use attache_protocol::viewer::{Content, Cursor, Event, SendState, Transport};

use crate::world::{World, assistant};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Sse];

#[tokio::test]
async fn a_relay_that_is_killed_loses_nothing_and_repeats_nothing() {
    for transport in BOTH {
        let mut world = World::new().await;
        let mut viewer = world.attach(transport);
        viewer.live().await;
        let mut expected = Vec::new();
        for round in 0..5 {
            let agent = world.relay.attach_agent(&world.session).await.unwrap();
            for step in 0..20 {
                let id = format!("r{round}s{step}");
                agent.publish(&assistant(&id)).await.unwrap();
                expected.push(id);
            }
            drop(agent);
            world = world.restart().await;
        }
        let seen = viewer.messages_to("r4s19").await;
        assert_eq!(seen, expected, "{transport:?}");
    }
}

#[tokio::test]
async fn a_message_sent_while_the_relay_is_down_arrives_once() {
    for transport in BOTH {
        let world = World::new().await;
        let mut viewer = world.attach(transport);
        viewer.live().await;
        world.relay.kill();
        let id = viewer.session.send(Content::text("hello")).await.unwrap();
        let world = world.restart().await;
        let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
        viewer
            .until(|event| match event {
                Event::Send { id: of, state } if *of == id => {
                    (*state == SendState::Accepted).then_some(())
                }
                _ => None,
            })
            .await;
        let frame = crate::world::soon(agent.recv()).await.unwrap().unwrap();
        assert_eq!(frame.uuid().unwrap(), id.as_str(), "{transport:?}");
    }
}

#[tokio::test]
async fn another_process_goes_on_exactly_where_this_one_stopped() {
    for transport in BOTH {
        let world = World::new().await;
        let agent = world.relay.attach_agent(&world.session).await.unwrap();
        let ids: Vec<String> = (0..60).map(|number| format!("u{number}")).collect();
        for id in &ids[..40] {
            agent.publish(&assistant(id)).await.unwrap();
        }
        let mut seen: Vec<String> = Vec::new();
        let mut cursor: Option<Cursor> = None;
        for stop in [3, 17, 38, 40, 55, 60] {
            if stop > 40 && seen.len() <= 40 {
                for id in &ids[40..] {
                    agent.publish(&assistant(id)).await.unwrap();
                }
            }
            let mut config = world.config(transport);
            // As it is kept in a file.
            let kept = cursor.as_ref().map(ToString::to_string);
            config.resume_from = kept.map(|text| text.parse().unwrap());
            let mut viewer = world.attach_with(config);
            seen.extend(viewer.messages_to(&ids[stop - 1]).await);
            cursor = viewer.events.cursor();
            viewer.driver.abort();
        }
        assert_eq!(seen, ids, "{transport:?}");
    }
}
