//! Calls beside the session.

use std::{net::SocketAddr, time::Duration};

use attache_protocol::{
    Bytes,
    io::{HttpRequest, HttpResponse, Method, NetworkFailure, Token},
};
use attache_tokio::Http;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::{
    server::{Reserved, Server, within},
    viewer::options,
};

fn request(method: Method, body: Option<&'static str>) -> HttpRequest {
    HttpRequest {
        method,
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
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let calling = tokio::spawn(get(address));
        let (mut stream, _) = within(listener.accept()).await.unwrap();
        let mut head = [0; 1024];
        within(tokio::io::AsyncReadExt::read(&mut stream, &mut head))
            .await
            .unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        drop(stream);

        let failure = within(calling).await.unwrap().unwrap_err();
        assert_eq!(failure, expected, "{answer}");
    }
}
