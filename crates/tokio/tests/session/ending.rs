//! How a session ends, and what is left of it.

use std::time::{Duration, Instant};

use attache_protocol::{
    policy::CloseCause,
    viewer::{Content, Event, Status},
};
use attache_tokio::{CommandError, Ended, StaticToken};

use crate::{
    server::{Server, within},
    viewer::{Attached, attach, attach_with, config, options},
};

#[tokio::test]
async fn closing_says_goodbye_and_ends_everything() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    peer.says("live").await;
    attached.sees_message().await;

    let session = attached.session.clone();
    let closing = tokio::spawn(async move { session.close().await });

    assert_eq!(peer.hears_close().await, 1000);
    assert!(peer.hears().await.is_none());
    assert_eq!(within(closing).await.unwrap(), Ok(CloseCause::Requested));
    assert_eq!(attached.sees_closed().await, CloseCause::Requested);
    assert!(within(attached.events.next()).await.is_none());
    let refused = attached.session.send(Content::text("late")).await;
    assert!(matches!(refused, Err(CommandError::Ended)));
    assert_eq!(attached.session.close().await, Ok(CloseCause::Requested));
    assert_eq!(attached.finishes().await, CloseCause::Requested);
}

#[tokio::test]
async fn a_silent_peer_does_not_hold_up_closing() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    peer.says("live").await;
    attached.sees_message().await;

    let started = Instant::now();
    let cause = within(attached.session.close()).await.unwrap();

    assert_eq!(cause, CloseCause::Requested);
    assert!(started.elapsed() < Duration::from_millis(2500));
    assert_eq!(attached.finishes().await, CloseCause::Requested);
}

#[tokio::test]
async fn closing_before_anything_is_open_leaves_nothing_behind() {
    let mut server = Server::start();
    let attached = attach_with(config(), options(server.address()), |_| {
        std::future::pending()
    });

    assert_eq!(
        within(attached.session.close()).await,
        Ok(CloseCause::Requested)
    );
    assert_eq!(attached.finishes().await, CloseCause::Requested);
    let nobody = tokio::time::timeout(Duration::from_millis(50), server.peer()).await;
    assert!(nobody.is_err());
}

#[tokio::test]
async fn dropping_the_driver_closes_the_socket_at_once() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    peer.says("live").await;
    attached.sees_message().await;

    attached.driver.abort();

    assert!(peer.hears().await.is_none());
    while within(attached.events.next()).await.is_some() {}
    let refused = attached.session.interrupt().await;
    assert_eq!(refused, Err(CommandError::Ended));
    assert_eq!(within(attached.session.close()).await, Err(Ended));
}

#[tokio::test]
async fn a_driver_that_is_never_polled_opens_nothing() {
    let mut server = Server::start();
    let token = StaticToken::new("hunter2");
    let (session, mut events, driver) =
        attache_tokio::connect(config(), options(server.address()), token).unwrap();
    assert_eq!(session.status(), Status::Idle);

    drop(driver);

    assert!(within(events.next()).await.is_none());
    let nobody = tokio::time::timeout(Duration::from_millis(50), server.peer()).await;
    assert!(nobody.is_err());
}

#[tokio::test]
async fn a_session_that_nobody_holds_is_closed_in_an_orderly_way() {
    let mut server = Server::start();
    let Attached {
        session,
        mut events,
        driver,
    } = attach(server.address());
    let mut peer = server.peer().await;

    drop(session);
    peer.says("still watched").await;
    while !matches!(
        within(events.next()).await.expect("the session goes on"),
        Event::Message(_)
    ) {}
    drop(events);

    assert_eq!(peer.hears_close().await, 1000);
    assert_eq!(within(driver).await.unwrap(), CloseCause::Requested);
}

#[tokio::test]
async fn events_that_nobody_takes_are_readable_after_the_end() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    for number in 0..200 {
        peer.says(&number.to_string()).await;
    }
    peer.close(1000, "session ended").await;

    let ended = within(&mut attached.driver).await.unwrap();

    assert_eq!(ended, CloseCause::SessionEnded);
    for number in 0..200 {
        assert_eq!(attached.sees_message().await, number.to_string());
    }
    assert_eq!(attached.sees_closed().await, CloseCause::SessionEnded);
    assert!(attached.events.next().await.is_none());
}
