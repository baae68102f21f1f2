//! How a session ends, and what is left of it.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use attache_blocking::{CommandError, Ended, StaticToken};
use attache_protocol::{
    io::{Token, TokenReason},
    policy::CloseCause,
    viewer::{Content, Event, Status},
};

use crate::{
    server::{LIMIT, Server, started, within},
    viewer::{Attached, attach, attach_with, config, options},
};

#[test]
fn closing_says_goodbye_and_ends_everything() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    peer.says("live");
    attached.sees_message();

    let session = attached.session.clone();
    let closing = started(move || session.close());

    assert_eq!(peer.hears_close(), 1000);
    assert!(peer.hears().is_none());
    let closed = closing.recv_timeout(LIMIT).unwrap();
    assert_eq!(closed, Ok(CloseCause::Requested));
    assert_eq!(attached.sees_closed(), CloseCause::Requested);
    assert_eq!(
        attached.events.recv_timeout(LIMIT).unwrap_err(),
        RecvTimeoutError::Disconnected
    );
    assert!(attached.events.next().is_none());
    let refused = attached.session.send(Content::text("late"));
    assert!(matches!(refused, Err(CommandError::Ended)));
    assert_eq!(attached.session.close(), Ok(CloseCause::Requested));
    assert_eq!(attached.finishes(), CloseCause::Requested);
}

#[test]
fn a_silent_peer_does_not_hold_up_closing() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    peer.says("live");
    attached.sees_message();

    let started = Instant::now();
    let session = attached.session.clone();
    let cause = within(move || session.close()).unwrap();

    assert_eq!(cause, CloseCause::Requested);
    assert!(started.elapsed() < Duration::from_millis(2500));
    assert_eq!(attached.finishes(), CloseCause::Requested);
}

#[test]
fn closing_breaks_off_what_a_server_holds_up() {
    // Connections are taken by the operating system, and nobody ever reads or answers.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let attached = attach(mute.local_addr().unwrap());
    let _line = mute.accept().unwrap();

    let began = Instant::now();
    let session = attached.session.clone();
    within(move || session.close()).unwrap();
    attached.finishes();

    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_token_source_that_hangs_does_not_hold_up_closing() {
    let server = Server::start();
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (asking, asked) = mpsc::channel();
    let tokens = move |_: TokenReason| {
        asking.send(()).unwrap();
        let _ = gate.lock().unwrap().recv_timeout(LIMIT);
        Ok(Token::new("too late"))
    };
    let attached = attach_with(config(), options(server.address()), tokens);
    asked.recv_timeout(LIMIT).unwrap();

    let began = Instant::now();
    let session = attached.session.clone();
    assert_eq!(within(move || session.close()), Ok(CloseCause::Requested));
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(attached.finishes(), CloseCause::Requested);
    assert!(began.elapsed() < Duration::from_secs(2));

    drop(release);
    assert!(server.is_left_alone());
}

#[test]
fn a_driver_that_never_runs_opens_nothing() {
    let server = Server::start();
    let token = StaticToken::new("hunter2");
    let (session, mut events, driver) =
        attache_blocking::connect(config(), options(server.address()), token).unwrap();
    assert_eq!(session.status(), Status::Idle);

    drop(driver);

    assert!(events.next().is_none());
    assert_eq!(session.interrupt(), Err(CommandError::Ended));
    assert_eq!(session.close(), Err(Ended));
    assert!(server.is_left_alone());
}

#[test]
fn a_session_that_nobody_holds_is_closed_in_an_orderly_way() {
    let server = Server::start();
    let Attached {
        session,
        mut events,
        driver,
    } = attach(server.address());
    let mut peer = server.peer();

    drop(session);
    peer.says("still watched");
    while !matches!(
        events.recv_timeout(LIMIT).expect("the session goes on"),
        Event::Message(_)
    ) {}
    drop(events);

    assert_eq!(peer.hears_close(), 1000);
    drop(peer);
    let cause = within(|| driver.join().unwrap());
    assert_eq!(cause, CloseCause::Requested);
}

#[test]
fn events_that_nobody_takes_are_readable_after_the_end() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    for number in 0..200 {
        peer.says(&number.to_string());
    }
    peer.close(1000, "session ended");

    while !attached.driver.is_finished() {
        let mut session = attached.session.clone();
        if within(move || session.status_changed()).is_err() {
            break;
        }
    }

    for number in 0..200 {
        assert_eq!(attached.sees_message(), number.to_string());
    }
    assert_eq!(attached.sees_closed(), CloseCause::SessionEnded);
    assert!(attached.events.next().is_none());
    assert_eq!(attached.finishes(), CloseCause::SessionEnded);
}

#[test]
fn an_event_that_does_not_come_in_time_may_come_later() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    peer.says("live");
    attached.sees_message();
    while attached
        .events
        .recv_timeout(Duration::from_millis(20))
        .is_ok()
    {}

    let nothing = attached.events.recv_timeout(Duration::ZERO);
    assert_eq!(nothing.unwrap_err(), RecvTimeoutError::Timeout);

    peer.says("later");
    assert_eq!(attached.sees_message(), "later");
}

#[test]
fn closing_breaks_off_an_attempt_to_connect() {
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    // Once nobody fits into the listener's queue any more, the operating system answers nothing.
    let waiting = fill(address);
    let mut attached = attach(address);
    attached.sees(|event| match event {
        Event::Status(Status::Connecting { .. }) => Some(()),
        _ => None,
    });
    let nothing = attached.events.recv_timeout(Duration::from_millis(100));
    assert_eq!(nothing.unwrap_err(), RecvTimeoutError::Timeout);

    let began = Instant::now();
    let session = attached.session.clone();
    within(move || session.close()).unwrap();
    attached.finishes();

    assert!(began.elapsed() < Duration::from_millis(500));
    drop(waiting);
}

/// Connects until a connection does not come about at once.
fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let little = Duration::from_millis(100);
    let connect = || TcpStream::connect_timeout(&address, little);
    std::iter::from_fn(|| connect().ok()).take(10_000).collect()
}
