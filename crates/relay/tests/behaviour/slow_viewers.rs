//! Viewers that do not keep up.

use core::time::Duration;

use crate::world::{World, assistant, options, prompt, soon};

/// More than the system's own buffers take in.
const FRAMES: usize = 600;

fn big(number: usize) -> String {
    let frame = assistant(&format!("a{number}"));
    frame.replace("[]", &format!("[\"{}\"]", "x".repeat(64 << 10)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_viewer_is_closed_with_1013_and_the_others_are_not_slowed() {
    let mut options = options();
    options.viewer_buffer_frames = 64;
    options.viewer_buffer_bytes = 2 << 20;
    let world = World::with(options).await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut slow = world.viewer().await;
    let mut fast = world.viewer().await;
    for number in 0..FRAMES {
        agent.publish(&big(number)).await.unwrap();
        assert_eq!(fast.frame().await, big(number));
    }

    let mut seen = 0;
    let close = loop {
        match slow.next().await {
            Ok(frame) => {
                assert_eq!(frame, big(seen));
                seen += 1;
            }
            Err(close) => break close.expect("a close frame"),
        }
    };
    assert_eq!(u16::from(close.code), 1013);
    assert!(seen < FRAMES);

    // It comes back and reads on from the last frame it has.
    let mut back = world.viewer().await;
    let path = format!(
        "/v1/sessions/{}/events?after_id=a{}&limit=1",
        world.session,
        seen - 1
    );
    let (_, page) = world.get(&path).await;
    assert_eq!(crate::world::raw_items(&page), [big(seen)]);
    agent.publish(&assistant("last")).await.unwrap();
    assert_eq!(back.frame().await, assistant("last"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_takes_nothing_at_all_is_given_up() {
    let mut options = options();
    options.viewer_buffer_bytes = 1 << 30;
    options.write_timeout = Duration::from_millis(100);
    options.shutdown_timeout = Duration::from_secs(3600);
    let world = World::with(options).await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let stuck = world.viewer().await;
    for number in 0..FRAMES {
        agent.publish(&big(number)).await.unwrap();
    }
    // Its socket is the only thing a shutdown has to wait for.
    soon(world.relay.shutdown()).await;
    drop(stuck);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_read_slowly_lags_and_misses_nothing_that_is_stored() {
    let mut options = options();
    options.viewer_buffer_frames = 8;
    options.viewer_buffer_bytes = 1 << 20;
    let world = World::with(options).await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    agent.publish(&prompt("p1")).await.unwrap();
    let mut slow = world.watch().await;
    let mut fast = world.watch().await;
    assert_eq!(fast.live().await, prompt("p1"));
    for number in 0..FRAMES {
        agent.publish(&big(number)).await.unwrap();
        assert_eq!(fast.stored().await.1, big(number));
    }
    let last = r#"{"type":"stream_event","event":{"n":"last"}}"#;
    agent.publish(last).await.unwrap();
    assert_eq!(fast.live().await, last);

    assert_eq!(slow.live().await, prompt("p1"));
    for number in 0..FRAMES {
        assert_eq!(slow.stored().await, (number as u64 + 2, big(number)));
    }
    assert_eq!(slow.live().await, last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_nobody_reads_is_given_up() {
    let mut options = options();
    options.write_timeout = Duration::from_millis(100);
    options.shutdown_timeout = Duration::from_secs(3600);
    let world = World::with(options).await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let stuck = world.watch().await;
    for number in 0..FRAMES {
        agent.publish(&big(number)).await.unwrap();
    }
    soon(world.relay.shutdown()).await;
    drop(stuck);
}
