//! Nobody gets more than there is for one.

use core::time::Duration;

use attache_protocol::io::Token;
use attache_relay::{Credentials, RateLimit};
use axum::http::{HeaderMap, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    workers::{read, send},
    world::{TOKEN, World, options, request, soon, user},
};

const FEW: RateLimit = RateLimit {
    per_second: 1,
    burst: 3,
};

/// A request over a connection of its own.
async fn ask(world: &World, method: &str, path: &str, token: &str) -> (StatusCode, HeaderMap) {
    let url = format!("http://{}{path}", world.address);
    let response = send(method, &url, token, r#"{"events":[]}"#, &[]).await;
    let headers = response.headers().clone();
    (read(response).await.0, headers)
}

fn wait(headers: &HeaderMap) -> u64 {
    headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn too_many_requests_of_one_are_429_and_the_other_goes_on() {
    let mut options = options();
    options.requests = FEW;
    options.credentials = Credentials::Tokens(vec![Token::new(TOKEN), Token::new("other")]);
    let world = World::with(options).await;
    for _ in 0..3 {
        assert_eq!(ask(&world, "GET", "/v1/sessions", TOKEN).await.0, 200);
    }
    let (status, headers) = ask(&world, "GET", "/v1/sessions", TOKEN).await;
    assert_eq!(status, 429);
    assert!((1..=2).contains(&wait(&headers)));
    assert_eq!(ask(&world, "GET", "/v1/sessions", "other").await.0, 200);
}

#[tokio::test]
async fn whoever_says_too_much_may_still_read() {
    let mut options = options();
    options.posts = FEW;
    let world = World::with(options).await;
    let path = format!("/v1/sessions/{}/events", world.session);
    for _ in 0..3 {
        assert_eq!(ask(&world, "POST", &path, TOKEN).await.0, 200);
    }
    assert_eq!(ask(&world, "POST", &path, TOKEN).await.0, 429);
    assert_eq!(ask(&world, "GET", &path, TOKEN).await.0, 200);
}

#[tokio::test]
async fn a_socket_that_says_too_much_is_read_slowly_and_loses_nothing() {
    let mut options = options();
    options.posts = RateLimit {
        per_second: 20,
        burst: 2,
    };
    let world = World::with(options).await;
    let mut viewer = world.viewer().await;
    let start = std::time::Instant::now();
    for number in 0..8 {
        viewer
            .send(&request(&format!("r{number}"), "initialize"))
            .await;
    }
    for number in 0..8 {
        let expected = format!("\"r{number}\"");
        while !viewer.frame().await.contains(&expected) {}
    }
    // Two at once, six more at twenty a second.
    assert!(start.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn whoever_tries_many_tokens_is_told_to_wait_and_good_ones_still_come_in() {
    let mut options = options();
    options.bad_credentials = FEW;
    let world = World::with(options).await;
    for _ in 0..3 {
        assert_eq!(ask(&world, "GET", "/v1/sessions", "bad").await.0, 401);
    }
    let (status, headers) = ask(&world, "GET", "/v1/sessions", "worse").await;
    assert_eq!(status, 429);
    assert!(wait(&headers) >= 1);
    assert_eq!(ask(&world, "GET", "/v1/sessions", TOKEN).await.0, 200);
}

#[tokio::test]
async fn a_body_that_takes_too_long_is_408() {
    let mut options = options();
    options.body_timeout = Duration::from_millis(200);
    let world = World::with(options).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST /v1/sessions/{}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: 100\r\n\r\n{{\"events\"",
        world.session
    );
    soon(stream.write_all(head.as_bytes())).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("the body took too long"), "{answer}");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_sockets_count() {
    let mut options = options();
    options.max_connections = 1;
    let world = World::with(options).await;
    let mut viewer = world.viewer().await;
    let connect = async || {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let mut answer = String::new();
        let head = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        // Whoever is turned away may not get to say anything.
        let _ = stream.write_all(head).await;
        let _ = soon(stream.read_to_string(&mut answer)).await;
        answer
    };
    let refused = connect().await;
    assert!(
        refused.is_empty() || refused.starts_with("HTTP/1.1 503 "),
        "{refused}"
    );
    // The socket is as good as before.
    viewer.send(&request("r", "initialize")).await;
    while !viewer.frame().await.contains("\"r\"") {}
    soon(viewer.socket.close(None)).await.unwrap();
    while viewer.next().await.is_ok() {}
    let freed = async {
        while !connect().await.starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
    };
    soon(freed).await;
    drop(world.viewer().await);
}

#[tokio::test]
async fn nothing_is_limited_by_zero() {
    let mut options = options();
    let none = RateLimit {
        per_second: 0,
        burst: 0,
    };
    (options.requests, options.posts, options.bad_credentials) = (none, none, none);
    let world = World::with(options).await;
    for number in 0..200 {
        let event = user(&format!("u{number}"));
        assert_eq!(world.post_events(&[&event]).await.0, 200);
    }
}
