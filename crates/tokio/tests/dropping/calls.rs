//! Calls beside a session, and answers that are read as they come.

use attache_protocol::{
    Bytes,
    io::{HttpRequest, Method, Server, Token},
};
use attache_testkit::conformance::SessionServer;
use attache_tokio::Http;

use crate::polls::{at_most, options, until, within};

fn request(method: Method, path: &str, body: Option<String>) -> HttpRequest {
    HttpRequest {
        method,
        server: Server::Configured,
        path: path.into(),
        bearer: Token::new("t"),
        headers: Vec::new(),
        body: body.map(Bytes::from),
        response_limit: 64 * 1024,
    }
}

fn post(uuid: &str) -> HttpRequest {
    let message = format!(r#"{{"type":"user","uuid":"{uuid}"}}"#);
    let body = format!(r#"{{"events":[{message}]}}"#);
    let path = "/v1/sessions/session_conformance/events";
    request(Method::Post, path, Some(body))
}

#[tokio::test]
async fn a_call_dropped_at_any_poll_leaves_nothing() {
    for polls in 0.. {
        let server = SessionServer::start().unwrap();
        let http = Http::new(&options(&server)).unwrap();
        let done = within(at_most(polls, Box::pin(http.call(post("m1"))))).await;
        if done.is_none() {
            until(|| server.connections() == 0).await;
        }
        // The next one goes its way as if nothing had been.
        let answer = within(http.call(post("m2"))).await.unwrap();
        assert_eq!(answer.status, 200);
        // The two have connections of their own, which a server may take in any order.
        let mut messages = server.messages();
        messages.sort();
        assert!(
            messages == ["m1", "m2"] || messages == ["m2"],
            "{messages:?}"
        );
        drop(http);
        until(|| server.connections() == 0).await;
        if done.is_some() {
            assert!(polls > 2, "a call takes a few polls");
            break;
        }
    }
}

#[tokio::test]
async fn a_stream_loses_no_byte_to_readers_that_leave() {
    const NAMES: usize = 30;
    let path = "/v1/code/sessions/cse_conformance/events/stream?from_sequence_num=0";
    for polls in 0.. {
        let server = SessionServer::start().unwrap();
        let http = Http::new(&options(&server)).unwrap();
        let opened = within(at_most(polls, http.open(request(Method::Get, path, None)))).await;
        let Some(opened) = opened else {
            until(|| server.connections() == 0).await;
            continue;
        };
        let mut stream = opened.unwrap();
        let mut text = String::new();
        for round in 0..NAMES {
            server.say();
            if let Some(bytes) = at_most(round % 4, stream.next()).await {
                text.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
            }
        }
        while text.matches("\nid: ").count() < NAMES || !text.ends_with("\n\n") {
            let bytes = within(stream.next()).await.unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        for number in 1..=NAMES {
            let id = format!("\nid: {number}\n");
            assert_eq!(text.matches(&id).count(), 1, "{number}");
        }
        drop(stream);
        until(|| server.connections() == 0).await;
        break;
    }
}
