//! Getting a connection, and getting another one.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use attache_blocking::StaticToken;
use attache_protocol::{
    io::{NetworkFailure, Token, TokenReason, TokenRefusal},
    policy::{CloseCause, Outcome},
    viewer::{Event, Status},
};

use crate::{
    server::{LIMIT, Server},
    viewer::{Attached, attach, attach_with, config, options},
};

#[test]
fn it_opens_with_its_token_and_streams_messages_in_order() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer();
    assert_eq!(peer.headers["authorization"], "Bearer hunter2");
    assert_eq!(peer.headers["anthropic-version"], "2023-06-01");

    peer.says("a");
    peer.text("{\"type\":\"x\",\"uuid\":\"b\"}\n{\"type\":\"keep_alive\"}\n{\"type\":\"x\",\"uuid\":\"c\"}");

    for uuid in ["a", "b", "c"] {
        assert_eq!(attached.sees_message(), uuid);
    }
    assert_eq!(attached.session.status(), Status::Live);
}

#[test]
fn a_refused_connection_and_refused_upgrades_are_tried_again() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut attached = attach(address);
    assert_eq!(first_failure(&mut attached), NetworkFailure::Refused);

    let server = Server::listen(TcpListener::bind(address).unwrap(), None);
    server.refuse([503, 500]);
    server.peer().says("at last");

    assert_eq!(attached.sees_message(), "at last");
}

#[test]
fn the_token_source_is_asked_for_every_attempt() {
    let server = Server::start();
    let asked = AtomicU32::new(0);
    let tokens = move |_: TokenReason| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Err(TokenRefusal::Unavailable),
        // Not fit for a header: counts as none.
        1 => Ok(Token::new("line\nbreak")),
        number => Ok(Token::new(format!("token-{number}"))),
    };
    let _attached = attach_with(config(), options(server.address()), tokens);

    let peer = server.peer();
    assert_eq!(peer.headers["authorization"], "Bearer token-2");
    drop(peer);
    let peer = server.peer();
    assert_eq!(peer.headers["authorization"], "Bearer token-3");
}

#[test]
fn a_refused_token_is_replaced_once() {
    let server = Server::start();
    server.refuse([401]);
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&reasons);
    let tokens = move |reason: TokenReason| {
        log.lock().unwrap().push(reason);
        Ok(Token::new(match reason {
            TokenReason::Attempt => "old",
            TokenReason::Rejected => "new",
        }))
    };
    let mut attached = attach_with(config(), options(server.address()), tokens);
    let mut peer = server.peer();
    assert_eq!(peer.headers["authorization"], "Bearer new");

    peer.close(4003, "");

    assert_eq!(attached.sees_closed(), CloseCause::Unauthorized);
    assert_eq!(
        reasons.lock().unwrap()[..2],
        [TokenReason::Attempt, TokenReason::Rejected]
    );
}

#[test]
fn a_token_source_that_hangs_is_asked_again_only_when_it_is_done() {
    let server = Server::start();
    let mut config = config();
    config.patience.token = Duration::from_millis(30);
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let tokens = move |_: TokenReason| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            gate.lock().unwrap().recv_timeout(LIMIT).unwrap();
        }
        Ok(Token::new(format!("token-{number}")))
    };
    let mut attached = attach_with(config, options(server.address()), tokens);
    for _ in 0..5 {
        attached.sees(|event| match event {
            Event::Status(Status::Waiting { .. }) => Some(()),
            _ => None,
        });
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    release.send(()).unwrap();

    let token = server.peer().headers["authorization"].clone();
    assert_ne!(token, "Bearer token-0", "that one came too late");
}

#[test]
fn a_host_that_has_no_address_is_a_failure_with_its_name() {
    let base_url = attache_blocking::BaseUrl::parse(
        &format!("http://{}.invalid", "n".repeat(64)),
        attache_blocking::Plaintext::Allowed,
    );
    let mut options = options(SocketAddr::from(([127, 0, 0, 1], 1)));
    options.base_url = base_url.unwrap();
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    assert_eq!(first_failure(&mut attached), NetworkFailure::Dns);
}

#[test]
fn a_peer_that_says_goodbye_and_stays_on_the_line_is_left() {
    let server = Server::start();
    let mut attached = attach(server.address());
    let mut first = server.peer();

    first.close(1001, "restart");

    assert_eq!(first.hears_close(), 1001, "the handshake is completed");
    server.peer().says("again");
    assert_eq!(attached.sees_message(), "again");
}

#[test]
fn a_forced_reconnect_replaces_the_socket() {
    let server = Server::start();
    let mut config = config();
    config.liveness.reconnect_delay = Duration::from_millis(10);
    let token = StaticToken::new("hunter2");
    let mut attached = attach_with(config, options(server.address()), token);
    let mut first = server.peer();
    first.says("before");
    assert_eq!(attached.sees_message(), "before");

    attached.session.reconnect().unwrap();

    while first.hears().is_some() {}
    let mut second = server.peer();
    second.says("after");
    assert_eq!(attached.sees_message(), "after");
}

/// Why the first attempt that fails does.
pub(crate) fn first_failure(attached: &mut Attached) -> NetworkFailure {
    attached.sees(|event| match event {
        Event::Status(Status::Waiting {
            cause: Outcome::Network(failure),
            ..
        }) => Some(failure),
        _ => None,
    })
}
