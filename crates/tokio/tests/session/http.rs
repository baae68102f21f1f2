//! Calls beside the session.

use std::{net::SocketAddr, time::Duration};

use attache_protocol::{
    Bytes,
    io::{HttpRequest, HttpResponse, Method, NetworkFailure, Token},
};
use attache_tokio::Http;
use futures_util::future::join;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    server::{Reserved, Server, within},
    viewer::options,
};

fn request(method: Method, body: Option<&'static str>) -> HttpRequest {
    HttpRequest {
        method,
        server: attache_protocol::io::Server::Configured,
        path: "/v1/sessions/session_test".into(),
        bearer: Token::new("hunter2"),
        headers: Vec::new(),
        body: body.map(Bytes::from),
        response_limit: 100,
    }
}

async fn get(server: SocketAddr) -> Result<HttpResponse, NetworkFailure> {
    let http = Http::new(&options(server)).unwrap();
    within(http.call(request(Method::Get, None))).await
}

#[tokio::test]
async fn a_call_brings_back_status_delay_and_body() {
    let mut server = Server::start();
    let http = Http::new(&options(server.address())).unwrap();
    let calling = tokio::spawn(async move {
        http.call(request(Method::Patch, Some(r#"{"title":"t"}"#)))
            .await
    });

    let call = server.call().await;
    assert_eq!(call.method, "PATCH");
    assert_eq!(call.json()["title"], "t");
    call.answer_with(429, &[("retry-after", "7")], "slow down");

    let answer = within(calling).await.unwrap().unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(answer.body, "slow down");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let mut server = Server::start();
    let calling = tokio::spawn(get(server.address()));
    let call = server.call().await;
    call.answer_with(307, &[("location", "http://127.0.0.1:1/")], "");

    assert_eq!(within(calling).await.unwrap().unwrap().status, 307);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let mut server = Server::start();
    let calling = tokio::spawn(get(server.address()));
    server.call().await.answer(200, vec![b'x'; 101]);

    let failure = within(calling).await.unwrap().unwrap_err();
    assert_eq!(failure, NetworkFailure::TooLarge);
}

#[tokio::test]
async fn failures_underneath_have_their_names() {
    let nobody = Reserved::new();
    let failure = get(nobody.address()).await.unwrap_err();
    assert_eq!(failure, NetworkFailure::Refused);

    for (answer, expected) in [
        ("", NetworkFailure::Ended),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
            NetworkFailure::Ended,
        ),
        ("SSH-2.0-x\r\n\r\n", NetworkFailure::Protocol),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            NetworkFailure::Protocol,
        ),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let calling = tokio::spawn(get(address));
        let mut stream = accept(&listener).await;
        reply(&mut stream, answer).await;
        drop(stream);

        let failure = within(calling).await.unwrap().unwrap_err();
        assert_eq!(failure, expected, "{answer}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_until_the_server_closes_it() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = Http::new(&options(address)).unwrap();
    let call = || {
        let http = http.clone();
        let request = request(Method::Post, Some("{}"));
        tokio::spawn(async move { http.call(request).await })
    };

    let first = call();
    let mut stream = accept(&listener).await;
    reply(&mut stream, ANSWER).await;
    assert_eq!(within(first).await.unwrap().unwrap().body, "hi");
    let second = call();
    reply(&mut stream, ANSWER).await;
    assert_eq!(within(second).await.unwrap().unwrap().body, "hi");
    drop(stream);
    // A round trip through the runtime's poller, so that it has seen the end of the stream.
    let (visitor, _) = within(join(TcpStream::connect(address), accept(&listener))).await;
    drop(visitor);
    let third = call();
    reply(&mut accept(&listener).await, ANSWER).await;
    assert_eq!(within(third).await.unwrap().unwrap().body, "hi");
}

async fn accept(listener: &TcpListener) -> TcpStream {
    within(listener.accept()).await.unwrap().0
}

/// Waits for a request and writes `answer`.
async fn reply(stream: &mut TcpStream, answer: &str) {
    let mut request = [0; 1024];
    assert_ne!(within(stream.read(&mut request)).await.unwrap(), 0);
    stream.write_all(answer.as_bytes()).await.unwrap();
}
