//! Sessions through a proxy's tunnel.

use std::net::SocketAddr;

use attache_protocol::{
    io::NetworkFailure,
    policy::Outcome,
    viewer::{Content, Event, Status},
};
use attache_tokio::{Options, ProxyOptions, ProxyRules, StaticToken};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    server::{Server, within},
    viewer::{attach_with, config, options},
};

/// Opens tunnels, and tells what it was asked.
struct Proxy {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut tunnels = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tunnels.spawn(tunnel(stream, answer, sender.clone()));
            }
        });
        Self {
            address,
            requests,
            _tasks: tasks,
        }
    }

    fn options(&self, server: SocketAddr, no_proxy: &str) -> Options {
        let mut options = options(server);
        options.proxy = ProxyOptions::Explicit(ProxyRules {
            http: format!("http://user:secret@{}", self.address),
            no_proxy: no_proxy.into(),
            ..ProxyRules::default()
        });
        options
    }
}

async fn tunnel(mut stream: TcpStream, answer: &str, asked: mpsc::UnboundedSender<String>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return;
        }
    }
    let request = String::from_utf8(request).unwrap();
    let target = request.split(' ').nth(1).unwrap().to_owned();
    asked.send(request).unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    let mut server = TcpStream::connect(target).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

#[tokio::test]
async fn socket_and_posts_go_through_the_tunnel() {
    let mut server = Server::start();
    let mut proxy = Proxy::start("HTTP/1.1 200 Connection established\r\n\r\n").await;
    let options = proxy.options(server.address(), "");
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));
    let mut peer = server.peer().await;
    peer.says("through").await;
    assert_eq!(attached.sees_message().await, "through");
    attached.session.send(Content::text("hello")).await.unwrap();
    server.call().await.answer(200, "{}");

    for _ in 0..2 {
        let request = within(proxy.requests.recv()).await.unwrap();
        assert!(request.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.address())));
        assert!(request.contains("proxy-authorization: Basic dXNlcjpzZWNyZXQ="));
        assert!(!request.contains("hunter2"), "the token is the server's");
    }
}

#[tokio::test]
async fn an_excepted_host_is_reached_directly() {
    let mut server = Server::start();
    let mut proxy = Proxy::start("HTTP/1.1 200 OK\r\n\r\n").await;
    let options = proxy.options(server.address(), "localhost,127.0.0.0/8");
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    server.peer().await.says("directly").await;

    assert_eq!(attached.sees_message().await, "directly");
    assert!(proxy.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_not_taken_for_the_server() {
    let server = Server::start();
    let proxy = Proxy::start("HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let options = proxy.options(server.address(), "");
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    let cause = attached
        .sees(|event| match event {
            Event::Status(Status::Waiting { cause, .. }) => Some(cause),
            _ => None,
        })
        .await;

    assert_eq!(cause, Outcome::Network(NetworkFailure::Other));
}
