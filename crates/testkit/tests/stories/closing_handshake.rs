//! How a socket is closed: agreed with the peer, or dropped.

use attache_protocol::{
    io::{Effect, Input, SocketEnding},
    policy::CloseCause,
    viewer::Status,
};
use attache_testkit::{Upgrade, World, millis, secs};

use super::config;

fn assert_over(world: &mut World) {
    assert_eq!(world.closed(), Some(CloseCause::Requested));
    assert_eq!(world.server().open_sockets(), 0);
    assert!(world.viewer().is_drained());
    assert_eq!(world.viewer().poll_timeout(), None);
    let cause = CloseCause::Requested;
    assert_eq!(*world.status(), Status::Closed { cause });
    assert_eq!(world.statuses().last().unwrap().1, Status::Closed { cause });
}

#[test]
fn a_close_is_agreed_with_the_peer() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    world.close();
    assert_eq!(*world.status(), Status::Closing);
    world.run_for(millis(100));
    assert_over(&mut world);
    assert!(
        !world
            .effects()
            .any(|effect| matches!(effect, Effect::AbortSocket { .. }))
    );
}

#[test]
fn a_close_overtakes_an_attempt_that_hangs() {
    let mut world = World::new(config());
    world.server().every_upgrade(Upgrade::Never);
    world.connect();
    world.run_for(secs(1));
    world.close();
    world.run_for(secs(3));
    assert_eq!(world.closed(), Some(CloseCause::Requested));
    assert!(
        world
            .effects()
            .any(|effect| matches!(effect, Effect::AbortSocket { .. }))
    );
}

#[test]
fn a_peer_that_does_not_agree_to_close_is_dropped_within_2_s() {
    let mut world = World::new(config());
    world.server().answers_close = false;
    world.connect();
    world.run_until_live();
    let before = world.elapsed();
    world.close();
    world.run_until_closed();
    assert!((secs(1)..secs(2)).contains(&(world.elapsed() - before)));
    assert!(
        world
            .effects()
            .any(|effect| matches!(effect, Effect::AbortSocket { .. }))
    );
    assert_over(&mut world);
}

#[test]
fn a_peer_that_sends_a_close_frame_and_keeps_tcp_open_is_left_behind() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    let old = world.socket().unwrap();
    world.server().close(1011, "");
    world.run_for(secs(3));
    assert_eq!(*world.status(), Status::Live);
    assert_ne!(world.socket(), Some(old));

    world.feed(Input::SocketText {
        id: old,
        text: r#"{"type":"assistant","uuid":"ghost"}"#.into(),
    });
    world.feed(Input::SocketBytes { id: old });
    world.run_for(secs(60));
    assert!(world.messages().is_empty());
    assert_eq!(world.opens().len(), 2);
}

#[test]
fn nothing_is_delivered_after_closed() {
    let mut world = World::new(config());
    world.connect();
    world.run_until_live();
    let id = world.socket().unwrap();
    world.close();
    world.run_until_closed();
    let events = world.events().count();

    world.feed(Input::SocketText {
        id,
        text: r#"{"type":"assistant","uuid":"late"}"#.into(),
    });
    world.feed(Input::SocketOpened { id });
    world.feed(Input::SocketClosed {
        id,
        ending: SocketEnding::CloseFrame {
            code: 4003,
            reason: "".into(),
        },
    });
    world.wake();
    world.timeout();
    world.run_for(secs(3600));
    assert_eq!(world.events().count(), events);
    assert!(matches!(
        world.events().last(),
        Some(attache_protocol::viewer::Event::Closed(_))
    ));
}
