//! Agents come and go.

use attache_relay::{Published, RelayError};

use crate::world::{World, assistant, options, prompt, request, soon, user};

#[tokio::test]
async fn an_agent_that_comes_back_gets_exactly_what_it_missed() {
    let world = World::new().await;
    world.post_events(&[&user("u1"), &user("u2")]).await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        user("u1")
    );
    agent.publish(&assistant("a1")).await.unwrap();
    drop(agent);

    world.post_events(&[&user("u3")]).await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        user("u2")
    );
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        user("u3")
    );
    world.post_events(&[&user("u1"), &user("u4")]).await;
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        user("u4")
    );
}

#[tokio::test]
async fn a_new_agent_takes_over_from_the_old_one() {
    let world = World::new().await;
    let mut old = world.relay.attach_agent(&world.session).await.unwrap();
    let mut new = world.relay.attach_agent(&world.session).await.unwrap();
    assert!(soon(old.recv()).await.unwrap().is_none());
    assert!(matches!(
        old.publish(&assistant("a1")).await,
        Err(RelayError::Superseded)
    ));
    world.post_events(&[&user("u1")]).await;
    assert_eq!(
        soon(new.recv()).await.unwrap().unwrap().as_str(),
        user("u1")
    );
}

#[tokio::test]
async fn a_cancelled_recv_loses_nothing() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 0..20 {
        let waiting = agent.recv();
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            taken = waiting => panic!("nothing was said yet: {taken:?}"),
        }
        let uuid = format!("u{number}");
        world.post_events(&[&user(&uuid)]).await;
        assert_eq!(
            soon(agent.recv()).await.unwrap().unwrap().as_str(),
            user(&uuid)
        );
    }
}

#[tokio::test]
async fn requests_wait_for_an_agent_up_to_a_limit() {
    let mut options = options();
    options.detached_backlog = 2;
    let world = World::with(options).await;
    let mut viewer = world.viewer().await;
    for id in ["r1", "r2", "r3"] {
        viewer.send(&request(id, "set_model")).await;
    }
    let refused = viewer.frame().await;
    assert!(
        refused.contains("\"r3\"") && refused.contains("\"error\""),
        "{refused}"
    );

    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        request("r1", "set_model")
    );
    assert_eq!(
        soon(agent.recv()).await.unwrap().unwrap().as_str(),
        request("r2", "set_model")
    );
}

#[tokio::test]
async fn an_interrupt_is_not_kept_for_a_later_agent() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    viewer.send(&request("stop", "interrupt")).await;
    let refused = viewer.frame().await;
    assert!(
        refused.contains("\"stop\"") && refused.contains("\"error\""),
        "{refused}"
    );
    assert!(world.log().await.is_empty());
}

#[tokio::test]
async fn a_slow_agent_makes_posts_wait_their_turn() {
    let mut options = options();
    options.agent_backlog = 2;
    let world = World::with(options).await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    assert_eq!(world.post_events(&[&user("u1"), &user("u2")]).await.0, 200);
    let (status, body) = world.post_events(&[&user("u3")]).await;
    assert_eq!(status, 429);
    assert!(body.contains("rate_limit_error"), "{body}");
    soon(agent.recv()).await.unwrap().unwrap();
    assert_eq!(world.post_events(&[&user("u3")]).await.0, 200);
}

#[tokio::test]
async fn publishing_says_what_became_of_a_frame() {
    let mut options = options();
    options.open_requests = 1;
    let world = World::with(options).await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let first = agent.publish(&assistant("a1")).await.unwrap();
    assert_eq!(first, Published::Stored("a1".into()));
    let again = agent.publish(&assistant("a1")).await.unwrap();
    assert_eq!(again, Published::Duplicate("a1".into()));
    let live = agent.publish(r#"{"type":"stream_event"}"#).await.unwrap();
    assert_eq!(live, Published::Live);
    let nothing = agent.publish(r#"{"type":"keep_alive"}"#).await.unwrap();
    assert_eq!(nothing, Published::Ignored);
    assert!(matches!(
        agent.publish("{").await,
        Err(RelayError::Refused(_))
    ));
    agent.publish(&prompt("p1")).await.unwrap();
    let refused = agent.publish(&prompt("p2")).await;
    assert!(matches!(refused, Err(RelayError::TooManyOpenRequests(1))));
    assert_eq!(world.log().await, [assistant("a1"), prompt("p1")]);
}

#[tokio::test]
async fn a_batch_is_published_in_order_and_whole_or_not_at_all() {
    let world = World::new().await;
    let publisher = world
        .relay
        .attach_agent(&world.session)
        .await
        .unwrap()
        .publisher();
    let mut viewer = world.viewer().await;
    let batch = [assistant("a1"), assistant("a2"), assistant("a1")];
    let outcome = publisher.publish_all(&batch).await.unwrap();
    assert_eq!(outcome[2], Published::Duplicate("a1".into()));
    let broken = [assistant("a3"), "{".to_owned()];
    assert!(publisher.publish_all(&broken).await.is_err());
    publisher.publish(&assistant("a4")).await.unwrap();
    assert_eq!(viewer.frames(3).await, ["a1", "a2", "a4"].map(assistant));
}

#[tokio::test]
async fn an_agent_of_a_dead_relay_takes_nothing() {
    let world = World::new().await;
    let mut old = world.relay.attach_agent(&world.session).await.unwrap();
    world.post_events(&[&user("u1")]).await;
    let world = world.restarted().await;
    assert!(soon(old.recv()).await.unwrap().is_none());
    let mut new = world.relay.attach_agent(&world.session).await.unwrap();
    assert_eq!(
        soon(new.recv()).await.unwrap().unwrap().as_str(),
        user("u1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_take_over_from_each_other_share_the_frames_without_loss_or_repeat() {
    const FRAMES: usize = 300;
    let world = World::new().await;
    let relay = world.relay.clone();
    let session = world.session.clone();
    let taking = tokio::spawn(async move {
        let mut taken = Vec::new();
        while taken.len() < FRAMES {
            let mut agent = relay.attach_agent(&session).await.unwrap();
            let mut other = relay.attach_agent(&session).await.unwrap();
            for agent in [&mut agent, &mut other] {
                for _ in 0..3 {
                    if taken.len() < FRAMES
                        && let Some(frame) = soon(agent.recv()).await.unwrap()
                    {
                        taken.push(frame.as_str().to_owned());
                    }
                }
            }
        }
        taken
    });
    let all: Vec<_> = (0..FRAMES)
        .map(|number| user(&format!("u{number}")))
        .collect();
    for frame in &all {
        assert_eq!(world.post_events(&[frame]).await.0, 200);
    }
    assert_eq!(soon(taking).await.unwrap(), all);
}

#[tokio::test]
async fn what_an_agent_says_at_once_reaches_everybody_in_its_order_and_once() {
    const FRAMES: usize = 700;
    let mut options = options();
    // Nobody is too slow, whatever else the machine does.
    options.viewer_buffer_frames = 4 * FRAMES;
    let world = World::with(options).await;
    let mut viewers = [world.viewer().await, world.viewer().await];
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    // Short and long ones, stored and live ones; a thousand bytes and more on average.
    let said: Vec<_> = (0..FRAMES)
        .map(|number| {
            let name = format!("{number:04}");
            let text = "x".repeat(number * 131 % 2500);
            let frame = match number % 3 {
                0 => assistant(&name).replace("[]", &format!("[\"{text}\"]")),
                1 => format!(r#"{{"type":"stream_event","uuid":"{name}","event":"{text}"}}"#),
                _ => format!(r#"{{"type":"stream_event","event":"{name}{text}"}}"#),
            };
            format!(" {frame}\r\n")
        })
        .collect();
    let frames: Vec<_> = said.iter().map(|frame| frame.trim().to_owned()).collect();
    for _ in 0..2 {
        agent.publisher().publish_all(&said).await.unwrap();
    }
    agent.publish(&assistant("end")).await.unwrap();
    for viewer in &mut viewers {
        assert_eq!(viewer.frames(FRAMES).await, frames);
        // Of what came again, only what has no name is said again.
        for nameless in frames.iter().skip(2).step_by(3) {
            assert_eq!(viewer.frame().await, *nameless);
        }
        assert_eq!(viewer.frame().await, assistant("end"));
    }
    let mut stored: Vec<_> = frames.into_iter().step_by(3).collect();
    stored.push(assistant("end"));
    assert_eq!(world.log().await, stored);

    // One that can't be taken, and nothing of it all is said.
    let refused = agent.publisher().publish_all(&[&*user("u9"), "{}"]).await;
    assert!(matches!(refused, Err(RelayError::Refused(_))));
    agent.publish(&assistant("after")).await.unwrap();
    for viewer in &mut viewers {
        assert_eq!(viewer.frame().await, assistant("after"));
    }
    soon(world.relay.shutdown()).await;
    assert_eq!(soon(agent.recv()).await.unwrap(), None);
}
