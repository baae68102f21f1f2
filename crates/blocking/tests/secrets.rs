//! What must not be read in a log. A program of its own: every thread writes into one log.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "what the test does not expect ends it, and events it does not look for are passed over"
)]

use std::{
    fmt::{self, Write as _},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use attache_blocking::{BaseUrl, Options, Plaintext, ProxyOptions};
use attache_protocol::{
    SessionId,
    io::{Token, TokenReason},
    viewer::{Content, Event, SendState, ViewerConfig},
};
use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tungstenite::{Message, accept};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// Keeps every line that is logged, spans included, with its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

#[test]
fn tokens_and_what_is_said_are_never_logged_and_addresses_not_at_info() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", server.local_addr().unwrap());
    thread::spawn(move || {
        for stream in server.incoming() {
            thread::spawn(move || serve(&stream.unwrap()));
        }
    });
    let mut options = Options::new(BaseUrl::parse(&base_url, Plaintext::LoopbackOnly).unwrap());
    options.proxy = ProxyOptions::Direct;
    let config = ViewerConfig::new(SessionId::parse("session_test").unwrap());
    let tokens = |_: TokenReason| Ok(Token::new("hunter2"));

    let (session, mut events, driver) = attache_blocking::spawn(config, options, tokens).unwrap();
    session.send(Content::text("confidential")).unwrap();
    let (mut heard, mut accepted) = (false, false);
    while !(heard && accepted) {
        match events.recv_timeout(LIMIT).unwrap() {
            Event::Message(_) => heard = true,
            Event::Send {
                state: SendState::Accepted,
                ..
            } => accepted = true,
            _ => {}
        }
    }
    session.close().unwrap();
    let shown = format!("{session:?}{events:?}");
    driver.join().unwrap();

    let lines = log.0.lock().unwrap();
    assert!(lines.iter().any(|(level, _)| *level == Level::INFO));
    for (level, line) in lines.iter().chain([&(Level::INFO, shown)]) {
        for secret in ["hunter2", "confidential"] {
            assert!(!line.contains(secret), "{level} {line}");
        }
        let is_detail = *level > Level::INFO;
        assert!(is_detail || !line.contains("/v1/"), "{level} {line}");
    }
}

/// A socket says something confidential; calls are answered well, and confidentially.
fn serve(mut stream: &TcpStream) {
    let mut request = [0; 4096];
    let Ok(length @ 1..) = stream.peek(&mut request) else {
        return;
    };
    let request = String::from_utf8_lossy(request.get(..length).unwrap()).to_lowercase();
    if request.contains("sec-websocket-key") {
        let mut socket = accept(stream).unwrap();
        let text = r#"{"type":"x","uuid":"u","said":"confidential"}"#;
        socket.send(Message::text(text)).unwrap();
        while socket.read().is_ok() {}
    } else {
        let _ = stream.read(&mut [0; 4096]);
        let body =
            r#"{"data":[],"has_more":false,"first_id":null,"last_id":null,"said":"confidential"}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes());
        // What is still coming of the request is read, so that the answer is not lost with a reset.
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    }
}

impl Log {
    fn write(&self, metadata: &Metadata<'_>, line: String) {
        self.0.lock().unwrap().push((*metadata.level(), line));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(span.metadata().name().into());
        span.record(&mut line);
        self.write(span.metadata(), line.0);
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.write(event.metadata(), line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}
