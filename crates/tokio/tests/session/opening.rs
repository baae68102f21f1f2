//! Getting a connection, and getting another one.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use attache_protocol::{
    io::{Token, TokenReason, TokenRefusal},
    policy::CloseCause,
    viewer::Status,
};
use attache_tokio::StaticToken;

use crate::{
    server::{Reserved, Server, within},
    viewer::{attach, attach_with, config, options},
};

#[tokio::test]
async fn it_opens_with_its_token_and_streams_messages_in_order() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut peer = server.peer().await;
    assert_eq!(peer.headers["authorization"], "Bearer hunter2");
    assert_eq!(peer.headers["anthropic-version"], "2023-06-01");

    peer.says("a").await;
    peer.text("{\"type\":\"x\",\"uuid\":\"b\"}\n{\"type\":\"keep_alive\"}\n{\"type\":\"x\",\"uuid\":\"c\"}")
        .await;

    for uuid in ["a", "b", "c"] {
        assert_eq!(attached.sees_message().await, uuid);
    }
    assert_eq!(attached.session.status(), Status::Live);
}

#[tokio::test]
async fn a_refused_first_connection_and_a_refused_upgrade_are_tried_again() {
    let reserved = Reserved::new();
    let mut attached = attach(reserved.address());
    let session = &mut attached.session;
    while !matches!(
        within(session.status_changed()).await.unwrap(),
        Status::Waiting { .. }
    ) {}

    let mut server = reserved.start();
    server.refuse([503, 500]);
    server.peer().await.says("at last").await;

    assert_eq!(attached.sees_message().await, "at last");
}

#[tokio::test]
async fn the_token_source_is_asked_for_every_attempt() {
    let mut server = Server::start();
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let tokens = move |_: TokenReason| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                0 => Err(TokenRefusal::Unavailable),
                // Not fit for a header: counts as none.
                1 => Ok(Token::new("line\nbreak")),
                number => Ok(Token::new(format!("token-{number}"))),
            }
        }
    };
    let _attached = attach_with(config(), options(server.address()), tokens);

    let peer = server.peer().await;
    assert_eq!(peer.headers["authorization"], "Bearer token-2");
    drop(peer);
    let peer = server.peer().await;
    assert_eq!(peer.headers["authorization"], "Bearer token-3");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let mut server = Server::start();
    server.refuse([401]);
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&reasons);
    let tokens = move |reason: TokenReason| {
        log.lock().unwrap().push(reason);
        async move {
            Ok(Token::new(match reason {
                TokenReason::Attempt => "old",
                TokenReason::Rejected => "new",
            }))
        }
    };
    let mut attached = attach_with(config(), options(server.address()), tokens);
    let mut peer = server.peer().await;
    assert_eq!(peer.headers["authorization"], "Bearer new");

    peer.close(4003, "").await;

    assert_eq!(attached.sees_closed().await, CloseCause::Unauthorized);
    assert_eq!(
        reasons.lock().unwrap()[..2],
        [TokenReason::Attempt, TokenReason::Rejected]
    );
}

#[tokio::test]
async fn the_same_token_is_not_tried_again() {
    let server = Server::start();
    server.refuse([401]);
    let mut attached = attach_with(
        config(),
        options(server.address()),
        StaticToken::new("hunter2"),
    );

    assert_eq!(attached.sees_closed().await, CloseCause::Unauthorized);
}

#[tokio::test]
async fn a_peer_that_says_goodbye_and_stays_on_the_line_is_left() {
    let mut server = Server::start();
    let mut attached = attach(server.address());
    let mut first = server.peer().await;

    first.close(1001, "restart").await;

    assert_eq!(
        first.hears_close().await,
        1001,
        "the handshake is completed"
    );
    server.peer().await.says("again").await;
    assert_eq!(attached.sees_message().await, "again");
}

#[tokio::test]
async fn a_forced_reconnect_replaces_the_socket() {
    let mut server = Server::start();
    let mut config = config();
    config.liveness.reconnect_delay = std::time::Duration::from_millis(10);
    let mut attached = attach_with(
        config,
        options(server.address()),
        StaticToken::new("hunter2"),
    );
    let mut first = server.peer().await;
    first.says("before").await;
    assert_eq!(attached.sees_message().await, "before");

    attached.session.reconnect().await.unwrap();

    while first.hears().await.is_some() {}
    let mut second = server.peer().await;
    second.says("after").await;
    assert_eq!(attached.sees_message().await, "after");
}
