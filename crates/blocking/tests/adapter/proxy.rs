//! Sessions through a proxy's tunnel.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use attache_blocking::{Options, ProxyOptions, ProxyRules, StaticToken};
use attache_protocol::{io::NetworkFailure, viewer::Content};

use crate::{
    opening::first_failure,
    server::{LIMIT, Server},
    viewer::{attach_with, config, options},
};

/// Opens tunnels, and tells what it was asked.
struct Proxy {
    address: SocketAddr,
    requests: mpsc::Receiver<String>,
}

impl Proxy {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, sender) = (stream.unwrap(), sender.clone());
                thread::spawn(move || tunnel(stream, answer, &sender));
            }
        });
        Self { address, requests }
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

fn tunnel(mut stream: TcpStream, answer: &str, asked: &mpsc::Sender<String>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let request = String::from_utf8(request).unwrap();
    let target = request.split(' ').nth(1).unwrap().to_owned();
    let _ = asked.send(request);
    stream.write_all(answer.as_bytes())?;
    let server = TcpStream::connect(target)?;
    let (mut down, mut up) = (stream.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut up, &mut down));
    io::copy(&mut &stream, &mut &server)?;
    Ok(())
}

#[test]
fn socket_and_posts_go_through_the_tunnel() {
    let server = Server::start();
    let proxy = Proxy::start("HTTP/1.1 200 Connection established\r\n\r\n");
    let options = proxy.options(server.address(), "");
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));
    let mut peer = server.peer();
    peer.says("through");
    assert_eq!(attached.sees_message(), "through");
    attached.session.send(Content::text("hello")).unwrap();
    server.call().answer(200, "{}");

    for _ in 0..2 {
        let request = proxy.requests.recv_timeout(LIMIT).unwrap();
        assert!(request.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.address())));
        assert!(request.contains("proxy-authorization: Basic dXNlcjpzZWNyZXQ="));
        assert!(!request.contains("hunter2"), "the token is the server's");
    }
}

#[test]
fn an_excepted_host_is_reached_directly() {
    let server = Server::start();
    let proxy = Proxy::start("HTTP/1.1 200 OK\r\n\r\n");
    let options = proxy.options(server.address(), "localhost,127.0.0.0/8");
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    server.peer().says("directly");

    assert_eq!(attached.sees_message(), "directly");
    assert!(proxy.requests.try_recv().is_err());
}

#[test]
fn a_proxy_that_refuses_is_not_taken_for_the_server() {
    let server = Server::start();
    let proxy = Proxy::start("HTTP/1.1 403 Forbidden\r\n\r\n");
    let options = proxy.options(server.address(), "");
    let mut attached = attach_with(config(), options, StaticToken::new("hunter2"));

    assert_eq!(first_failure(&mut attached), NetworkFailure::Other);
}
