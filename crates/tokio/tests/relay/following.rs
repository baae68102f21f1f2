//! What a viewer sees and does is the same over each transport.

use attache_protocol::{
    frame::{FrameKind, RequestId, control::Fields},
    policy::CloseCause,
    viewer::{Content, Decision, Event, RequestOutcome, SendState, SettledBy, Source, Transport},
};

use crate::world::{World, assistant, prompt, soon};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Sse];

#[tokio::test]
async fn the_past_and_the_present_come_in_order_and_once() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let ids: Vec<String> = (0..300).map(|number| format!("u{number}")).collect();
    for id in &ids[..250] {
        agent.publish(&assistant(id)).await.unwrap();
    }
    for transport in BOTH {
        let mut viewer = world.attach(transport);
        assert_eq!(
            viewer.messages_to("u249").await,
            ids[..250],
            "{transport:?}"
        );
        viewer.live().await;
    }
    let mut viewers = BOTH.map(|transport| world.attach(transport));
    for viewer in &mut viewers {
        viewer.live().await;
    }
    for id in &ids[250..] {
        agent.publish(&assistant(id)).await.unwrap();
    }
    for viewer in &mut viewers {
        assert_eq!(viewer.messages_to("u299").await, ids[250..]);
    }
}

#[tokio::test]
async fn what_is_only_live_comes_live() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let delta = r#"{"type":"stream_event","event":{"type":"content_block_delta"}}"#;
    for transport in BOTH {
        let mut viewer = world.attach(transport);
        viewer.live().await;
        agent.publish(delta).await.unwrap();
        let (text, source) = viewer
            .until(|event| match event {
                Event::Message(message) => {
                    Some((message.frame.as_str().to_owned(), message.source))
                }
                _ => None,
            })
            .await;
        assert_eq!(
            (text.as_str(), source),
            (delta, Source::Live),
            "{transport:?}"
        );
    }
}

#[tokio::test]
async fn a_message_reaches_the_agent_and_is_followed_to_its_end() {
    for transport in BOTH {
        let world = World::new().await;
        let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
        let mut viewer = world.attach(transport);
        viewer.live().await;
        let id = viewer.session.send(Content::text("hello")).await.unwrap();
        let frame = soon(agent.recv()).await.unwrap().unwrap();
        assert_eq!(frame.uuid().unwrap(), id.as_str());
        let mut states = Vec::new();
        viewer
            .until(|event| {
                assert!(
                    !matches!(event, Event::Message(_)),
                    "the echo is no message"
                );
                if let Event::Send { state, .. } = event {
                    states.push(state.clone());
                }
                (states.last() == Some(&SendState::Processed)).then_some(())
            })
            .await;
        assert!(
            states.contains(&SendState::Accepted),
            "{transport:?} {states:?}"
        );
    }
}

#[tokio::test]
async fn the_first_answer_counts_and_the_other_viewer_learns_whose_it_was() {
    for (first, second) in [
        (Transport::WebSocket, Transport::Sse),
        (Transport::Sse, Transport::WebSocket),
        (Transport::Sse, Transport::Sse),
    ] {
        let world = World::new().await;
        let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
        let (mut first, mut second) = (world.attach(first), world.attach(second));
        first.live().await;
        second.live().await;
        agent.publish(&prompt("r1")).await.unwrap();
        let asked = |event: &Event| matches!(event, Event::PermissionRequested(_)).then_some(());
        first.until(asked).await;
        second.until(asked).await;
        let id = RequestId::new("r1").unwrap();
        let decided = first.session.decide(id.clone(), Decision::allow());
        decided.await.unwrap();
        let settled = |event: &Event| match event {
            Event::PermissionSettled { by, .. } => Some(by.clone()),
            _ => None,
        };
        assert_eq!(first.until(settled).await, SettledBy::Us);
        let by = second.until(settled).await;
        assert!(matches!(by, SettledBy::AnotherViewer { .. }), "{by:?}");
        let answer = soon(agent.recv()).await.unwrap().unwrap();
        let answered = FrameKind::ControlResponse { request_id: id };
        assert_eq!(*answer.kind(), answered);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_late_is_no_answer() {
    for transport in BOTH {
        let world = World::new().await;
        let agent = world.relay.attach_agent(&world.session).await.unwrap();
        let mut viewers = [world.attach(transport), world.attach(transport)];
        for viewer in &mut viewers {
            viewer.live().await;
        }
        agent.publish(&prompt("r1")).await.unwrap();
        for viewer in &mut viewers {
            viewer
                .until(|event| matches!(event, Event::PermissionRequested(_)).then_some(()))
                .await;
        }
        // Both answer before either has heard of the other.
        let id = RequestId::new("r1").unwrap();
        let decisions = [Decision::allow(), Decision::deny("no")];
        for (viewer, decision) in viewers.iter().zip(decisions) {
            viewer.session.decide(id.clone(), decision).await.unwrap();
        }
        let mut ours = 0;
        for viewer in &mut viewers {
            let by = viewer
                .until(|event| match event {
                    Event::PermissionSettled { by, .. } => Some(by.clone()),
                    _ => None,
                })
                .await;
            ours += usize::from(by == SettledBy::Us);
        }
        assert_eq!(ours, 1, "{transport:?}");
    }
}

#[tokio::test]
async fn a_late_viewer_sees_the_prompts_that_are_open_and_only_those() {
    for transport in BOTH {
        let world = World::new().await;
        let agent = world.relay.attach_agent(&world.session).await.unwrap();
        for id in ["r1", "r2"] {
            agent.publish(&prompt(id)).await.unwrap();
        }
        let cancel = r#"{"type":"control_cancel_request","request_id":"r1"}"#;
        agent.publish(cancel).await.unwrap();
        let mut viewer = world.attach(transport);
        let mut asked = Vec::new();
        viewer
            .until(|event| {
                match event {
                    Event::PermissionRequested(prompt) => {
                        asked.push(prompt.request_id().to_string());
                    }
                    Event::PermissionWithdrawn { .. } => asked.clear(),
                    _ => {}
                }
                matches!(event, Event::CaughtUp).then_some(())
            })
            .await;
        if asked.is_empty() {
            viewer
                .until(|event| matches!(event, Event::PermissionRequested(_)).then_some(()))
                .await;
        } else {
            assert_eq!(asked, ["r2"], "{transport:?}");
        }
    }
}

#[tokio::test]
async fn requests_are_answered_by_the_agent_and_by_nobody_else() {
    for transport in BOTH {
        let world = World::new().await;
        let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
        // The others see the request as well, and it is not theirs.
        let mut others = BOTH.map(|transport| world.attach(transport));
        for other in &mut others {
            other.live().await;
        }
        let mut viewer = world.attach(transport);
        viewer.live().await;
        let id = viewer
            .session
            .request("set_novelty", Fields::NONE)
            .await
            .unwrap();
        let request = soon(agent.recv()).await.unwrap().unwrap();
        let FrameKind::ControlRequest { request_id, .. } = request.kind() else {
            panic!("{request:?}");
        };
        assert_eq!(*request_id, id);
        agent
            .publish(&format!(
                r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{id}","response":{{"a":1}}}}}}"#
            ))
            .await
            .unwrap();
        let outcome = viewer
            .until(|event| match event {
                Event::Request { outcome, .. } => Some(outcome.clone()),
                _ => None,
            })
            .await;
        assert!(
            matches!(&outcome, RequestOutcome::Succeeded(Some(json)) if json.as_str() == r#"{"a":1}"#),
            "{transport:?} {outcome:?}"
        );
        agent.publish(&assistant("done")).await.unwrap();
        for other in &mut others {
            other.messages_to("done").await;
        }
        // Whatever anybody said to the agent would be here before this.
        viewer.session.send(Content::text("last")).await.unwrap();
        let next = soon(agent.recv()).await.unwrap().unwrap();
        assert_eq!(next.type_name(), "user", "{transport:?}");
    }
}

#[tokio::test]
async fn an_archived_session_ends_the_viewer() {
    for transport in BOTH {
        let world = World::new().await;
        let agent = world.relay.attach_agent(&world.session).await.unwrap();
        agent.publish(&assistant("u0")).await.unwrap();
        let mut viewer = world.attach(transport);
        viewer.live().await;
        world.relay.archive(&world.session).await.unwrap();
        let cause = soon(viewer.driver).await.unwrap();
        assert_eq!(cause, CloseCause::SessionEnded, "{transport:?}");
    }
}

#[tokio::test]
async fn an_application_that_takes_nothing_for_a_while_gets_everything_later() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut viewers = BOTH.map(|transport| {
        let mut config = world.config(transport);
        config.limits.events = 8;
        world.attach_with(config)
    });
    for viewer in &mut viewers {
        viewer.live().await;
    }
    // More than sockets and queues hold on the way.
    let padding = "x".repeat(16 * 1024);
    let ids: Vec<String> = (0..1500).map(|number| format!("u{number}")).collect();
    for id in &ids {
        let frame = format!(r#"{{"type":"assistant","uuid":"{id}","text":"{padding}"}}"#);
        agent.publish(&frame).await.unwrap();
    }
    for viewer in &mut viewers {
        assert_eq!(viewer.messages_to("u1499").await, ids);
    }
}
