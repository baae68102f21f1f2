//! HTTP calls.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    time::Duration,
};

use attache_blocking::Http;
use attache_protocol::io::{
    HttpRequest, HttpResponse, Method, NetworkFailure, Refusal, Server as Place, Token,
};

use crate::{
    server::{LIMIT, Server, started, within},
    viewer::options,
};

fn request(method: Method, body: Option<&'static str>) -> HttpRequest {
    HttpRequest {
        method,
        server: Place::Configured,
        path: "/v1/x?y=z".into(),
        bearer: Token::new("hunter2"),
        headers: Vec::new(),
        body: body.map(|body| body.as_bytes().into()),
        response_limit: 100,
    }
}

type Answer = Result<HttpResponse, NetworkFailure>;

fn calling(server: SocketAddr, request: HttpRequest) -> mpsc::Receiver<Answer> {
    let http = Http::new(&options(server)).unwrap();
    started(move || http.call(request))
}

fn answered(calling: &mpsc::Receiver<Answer>) -> Answer {
    calling.recv_timeout(LIMIT).unwrap()
}

#[test]
fn every_method_is_sent_with_and_without_a_body() {
    let server = Server::start();
    let cases = [
        (Method::Get, "GET", None),
        (Method::Post, "POST", None),
        (Method::Post, "POST", Some("{}")),
        (Method::Put, "PUT", Some("{}")),
        (Method::Patch, "PATCH", Some("{}")),
        (Method::Delete, "DELETE", None),
        (Method::Delete, "DELETE", Some("{}")),
    ];
    for (method, name, body) in cases {
        let calling = calling(server.address(), request(method, body));
        let call = server.call();
        assert_eq!(call.method, name);
        assert_eq!(call.path, "/v1/x?y=z");
        assert_eq!(call.headers["authorization"], "Bearer hunter2");
        assert!(!call.headers.contains_key("transfer-encoding"));
        let has_length = call.headers.contains_key("content-length");
        assert_eq!(has_length, body.is_some() || name == "POST", "{name}");
        assert_eq!(call.body, body.unwrap_or_default().as_bytes());
        call.answer(200, "fine");
        let answer = answered(&calling).unwrap();
        assert_eq!((answer.status, &*answer.body), (200, b"fine".as_slice()));
    }
}

#[test]
fn every_status_is_an_answer_and_its_delay_is_read() {
    let server = Server::start();
    for status in [204, 301, 307, 404, 500, 503] {
        let calling = calling(server.address(), request(Method::Get, None));
        let headers = "retry-after: 7\r\nlocation: http://127.0.0.1:1/\r\n";
        server.call().answer_with(status, headers, "");
        let answer = answered(&calling).unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.retry_after.unwrap().as_secs(), 7);
    }
}

#[test]
fn an_answer_of_the_limit_is_taken_and_a_longer_one_refused() {
    let server = Server::start();
    let fitting = calling(server.address(), request(Method::Get, None));
    server.call().answer(200, &"x".repeat(100));
    assert_eq!(answered(&fitting).unwrap().body.len(), 100);

    let too_long = calling(server.address(), request(Method::Get, None));
    server.call().answer(200, &"x".repeat(101));
    assert_eq!(answered(&too_long), Err(NetworkFailure::TooLarge));
}

#[test]
fn failures_underneath_have_their_names() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let refused = calling(nobody, request(Method::Get, None));
    assert_eq!(answered(&refused), Err(NetworkFailure::Refused));

    let cases = [
        ("", NetworkFailure::Ended),
        ("HTTP/1.1 20", NetworkFailure::Ended),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
            NetworkFailure::Ended,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nsho",
            NetworkFailure::Ended,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n1",
            NetworkFailure::Ended,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            NetworkFailure::Protocol,
        ),
        ("SSH-2.0-x\r\n\r\n", NetworkFailure::Protocol),
    ];
    for (answer, expected) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let calling = calling(listener.local_addr().unwrap(), request(Method::Get, None));
        let (mut stream, _) = listener.accept().unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
        stream.write_all(answer.as_bytes()).unwrap();
        drop(stream);

        assert_eq!(answered(&calling), Err(expected), "{answer}");
    }
}

#[test]
fn a_request_that_cannot_be_made_is_not_sent() {
    let server = Server::start();
    let mut unfit = request(Method::Get, None);
    unfit.bearer = Token::new("line\nbreak");
    let refused = calling(server.address(), unfit);
    assert_eq!(answered(&refused), Err(NetworkFailure::Other));

    let mut elsewhere = request(Method::Get, None);
    elsewhere.server = Place::At("http://elsewhere.example".into());
    let refused = calling(server.address(), elsewhere);
    assert_eq!(answered(&refused), Err(NetworkFailure::Other));
}

#[test]
fn an_answer_is_read_as_it_comes_and_its_end_is_told() {
    let server = Server::start();
    let http = Http::new(&options(server.address())).unwrap();
    let opening = started(move || http.open(request(Method::Get, None)));
    let mut flow = server.call().flows();
    let mut stream = opening.recv_timeout(LIMIT).unwrap().unwrap();

    flow.sends("one");
    let (mut stream, first) = within(move || {
        let first = stream.next();
        (stream, first)
    });
    flow.ends();
    let end = within(move || stream.next());

    assert_eq!(&*first.unwrap(), b"one");
    assert_eq!(end, Err(NetworkFailure::Ended));
}

#[test]
fn a_stream_that_is_dropped_closes_its_connection() {
    let server = Server::start();
    let http = Http::new(&options(server.address())).unwrap();
    let opening = started(move || http.open(request(Method::Get, None)));
    let flow = server.call().flows();

    drop(opening.recv_timeout(LIMIT).unwrap().unwrap());

    flow.sees_end();
}

#[test]
fn a_stream_is_refused_with_its_status() {
    let server = Server::start();
    let http = Http::new(&options(server.address())).unwrap();
    let opening = started(move || http.open(request(Method::Get, None)));

    server.call().answer_with(503, "retry-after: 7\r\n", "");

    let refusal = Refusal::Http {
        status: 503,
        retry_after: Some(Duration::from_secs(7)),
    };
    assert_eq!(opening.recv_timeout(LIMIT).unwrap().unwrap_err(), refusal);
}
