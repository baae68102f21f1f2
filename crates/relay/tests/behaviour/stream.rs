//! Order and bytes.

use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::world::{World, assistant, request, soon, user};

#[tokio::test]
async fn every_viewer_sees_the_logs_order_and_bytes() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let (mut first, mut second) = (world.viewer().await, world.viewer().await);

    let odd =
        r#"{ "uuid" : "odd", "type":"from_next_week","n":1.0e2,"s":"\u00e4\/" , "deep":[[{}]] }"#;
    agent.publish(odd).await.unwrap();
    for number in 0..50 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
        let (status, _) = world.post_events(&[&user(&format!("u{number}"))]).await;
        assert_eq!(status, 200);
    }

    let log = world.log().await;
    assert_eq!((log.len(), log[0].as_str()), (101, odd));
    assert_eq!(first.frames(101).await, log);
    assert_eq!(second.frames(101).await, log);
}

#[tokio::test]
async fn concurrent_speakers_are_seen_in_one_order() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let (mut first, mut second) = (world.viewer().await, world.viewer().await);
    let speakers = (0..4).map(|speaker| {
        let publisher = agent.publisher();
        tokio::spawn(async move {
            for number in 0..50 {
                publisher
                    .publish(&assistant(&format!("{speaker}-{number}")))
                    .await
                    .unwrap();
            }
        })
    });
    for speaker in speakers.collect::<Vec<_>>() {
        soon(speaker).await.unwrap();
    }
    let log = world.log().await;
    assert_eq!(first.frames(200).await, log);
    assert_eq!(second.frames(200).await, log);
}

#[tokio::test]
async fn a_frame_is_in_the_log_before_anybody_sees_it() {
    let world = World::new().await;
    let publisher = world
        .relay
        .attach_agent(&world.session)
        .await
        .unwrap()
        .publisher();
    let mut viewer = world.viewer().await;
    let speaking = tokio::spawn(async move {
        for number in 0..20 {
            publisher
                .publish(&assistant(&format!("a{number}")))
                .await
                .unwrap();
        }
    });
    for _ in 0..20 {
        let seen = viewer.frame().await;
        assert!(world.log().await.contains(&seen));
    }
    speaking.await.unwrap();
}

#[tokio::test]
async fn deltas_are_live_only() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut viewer = world.viewer().await;
    let delta = r#"{"type":"stream_event","event":{"type":"content_block_delta"}}"#;
    agent.publish(delta).await.unwrap();
    agent.publish(r#"{"type":"keep_alive"}"#).await.unwrap();
    agent.publish(&assistant("a1")).await.unwrap();
    assert_eq!(viewer.frames(2).await, [delta, &assistant("a1")]);
    assert_eq!(world.log().await, [assistant("a1")]);
}

#[tokio::test]
async fn both_spellings_of_an_id_name_one_session() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let url = world.subscribe_url(&world.session.v2());
    let mut viewer = crate::world::Viewer::connect(&url, Some(crate::world::TOKEN)).await;
    let path = format!("/v1/sessions/{}/events", world.session.v2());
    let body = format!("{{\"events\":[{}]}}", user("u1"));
    assert_eq!(world.http("POST", &path, &body).await.0, 200);
    assert_eq!(viewer.frame().await, user("u1"));
    drop(agent);
}

#[tokio::test]
async fn what_a_viewer_asks_reaches_the_agent_and_the_answer_every_viewer() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    let (mut asking, mut watching) = (world.viewer().await, world.viewer().await);
    let ask = request("v1", "set_model");
    asking.send(&ask).await;
    assert_eq!(soon(agent.recv()).await.unwrap().unwrap().as_str(), ask);
    let reply = r#"{"type":"control_response","uuid":"x","response":{"subtype":"success","request_id":"v1","response":{}}}"#;
    agent.publish(reply).await.unwrap();
    assert_eq!(asking.frame().await, reply);
    assert_eq!(watching.frame().await, reply);
    assert_eq!(world.log().await, [ask.as_str(), reply]);
}

#[tokio::test]
async fn whatever_the_agent_waits_for_is_asked_again_of_whoever_subscribes() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let ask = r#"{"type":"control_request","uuid":"q","request_id":"e1","request":{"subtype":"elicitation"}}"#;
    agent.publish(ask).await.unwrap();
    let mut viewer = world.viewer().await;
    assert_eq!(viewer.frame().await, ask);
}

#[tokio::test]
async fn a_control_frame_without_a_uuid_gets_one_and_nothing_else() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut viewer = world.viewer().await;
    let ask = r#"{"type":"control_request","request_id":"v1","request":{"subtype":"mcp_status"}}"#;
    viewer.send(ask).await;
    let taken = soon(agent.recv()).await.unwrap().unwrap();
    let minted = format!(
        "{},\"uuid\":\"{}\"}}",
        &ask[..ask.len() - 1],
        taken.uuid().unwrap()
    );
    assert_eq!(taken.as_str(), minted);
    assert_eq!(world.log().await, [minted]);
}

#[tokio::test]
async fn nonsense_from_a_viewer_hurts_nobody() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    let (mut rude, mut other) = (world.viewer().await, world.viewer().await);
    let deep = "[".repeat(10_000);
    for nonsense in [
        "",
        "not json",
        "[]",
        "{}",
        r#"{"type":7}"#,
        &deep,
        "{\"type\":\"user\"",
        &user("no"),
    ] {
        rude.send(nonsense).await;
    }
    rude.message(Message::binary(vec![0xff, 0xfe, 0])).await;
    rude.message(Message::Ping(b"x".to_vec().into())).await;
    rude.send(r#"{"type":"control_request","request_id":"bad","request":{}}"#)
        .await;
    let refused = rude.frame().await;
    assert!(
        refused.contains("\"request_id\":\"bad\"") && refused.contains("\"error\""),
        "{refused}"
    );
    rude.send(&request("good", "mcp_status")).await;
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        request("good", "mcp_status")
    );

    // A text message that is not UTF-8 breaks the rules of WebSocket: that socket ends, no other.
    let broken = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    rude.message(Message::Frame(broken)).await;
    while rude.next().await.is_ok() {}
    agent.publish(&assistant("a1")).await.unwrap();
    assert_eq!(other.frame().await, assistant("a1"));
}

#[tokio::test]
async fn the_relay_says_first_what_a_viewer_may_do() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&crate::world::prompt("p1")).await.unwrap();
    let mut viewer = world.viewer().await;
    let hello = r#"{"type":"keep_alive","relay":{"role":"own","answers":"confirmed"}}"#;
    assert_eq!(viewer.next_of_any_kind().await.unwrap(), hello);
    assert_eq!(viewer.frame().await, crate::world::prompt("p1"));
}

#[tokio::test]
async fn a_quiet_socket_gets_pings() {
    use futures_util::StreamExt as _;
    let mut options = crate::world::options();
    options.keep_alive = core::time::Duration::from_millis(50);
    let world = World::with(options).await;
    let mut viewer = world.viewer().await;
    viewer.next_of_any_kind().await.unwrap();
    for _ in 0..3 {
        let message = soon(viewer.socket.next()).await.unwrap().unwrap();
        assert!(message.is_ping(), "{message:?}");
    }
}

#[tokio::test]
async fn a_viewer_that_leaves_gets_its_close_answered() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    soon(viewer.socket.close(None)).await.unwrap();
    // Not an error: the peer answered and then ended the connection.
    assert!(matches!(viewer.next().await, Err(None)));
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&assistant("a1")).await.unwrap();
    assert_eq!(world.log().await, [assistant("a1")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_and_stream_together_have_no_hole_for_whoever_joins_in_the_middle() {
    const FRAMES: usize = 400;
    let world = World::new().await;
    let publisher = world
        .relay
        .attach_agent(&world.session)
        .await
        .unwrap()
        .publisher();
    let all: Vec<_> = (0..FRAMES)
        .map(|number| assistant(&format!("a{number}")))
        .collect();
    let spoken = all.clone();
    let speaking = tokio::spawn(async move {
        for frame in &spoken {
            publisher.publish(frame).await.unwrap();
        }
    });
    for _ in 0..5 {
        let mut viewer = world.viewer().await;
        // Subscribed for sure once something comes back.
        viewer
            .send(r#"{"type":"control_request","request_id":"x","request":{}}"#)
            .await;
        let mut live = Vec::new();
        let mut frame = viewer.frame().await;
        while !frame.contains("\"x\"") {
            live.push(frame);
            frame = viewer.frame().await;
        }
        let mut seen = world.log().await;
        while seen.len() < FRAMES {
            let frame = viewer.frame().await;
            if !seen.contains(&frame) {
                seen.push(frame);
            }
        }
        assert_eq!(seen, all);
        assert!(live.iter().all(|frame| all.contains(frame)));
    }
    soon(speaking).await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_its_socket_with_1009() {
    let mut options = crate::world::options();
    options.viewer_message_limit_bytes = 1000;
    let world = World::with(options).await;
    let mut viewer = world.viewer().await;
    viewer.send(&"x".repeat(1500)).await;
    assert_eq!(viewer.closed().await.0, 1009);
}
