//! What must not be read in a log.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use attache_protocol::viewer::Content;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use crate::{
    server::Server,
    viewer::{attach_with, config, options},
};

/// Keeps every line that is logged, spans included, with its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

#[tokio::test]
async fn tokens_and_what_is_said_are_never_logged_and_addresses_not_at_info() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut server = Server::start();
    server.refuse([503]);
    let options = options(server.address());
    let tokens = async |_| Ok(attache_protocol::io::Token::new("hunter2"));
    let mut attached = attach_with(config(), options, tokens);
    let mut peer = server.peer().await;
    peer.text(r#"{"type":"x","uuid":"u","said":"confidential"}"#)
        .await;
    attached.sees_message().await;
    let content = Content::text("confidential");
    attached.session.send(content).await.unwrap();
    server
        .call()
        .await
        .answer(200, r#"{"said":"confidential"}"#);
    peer.close(1000, "session ended").await;
    attached.sees_closed().await;
    let shown = format!("{:?}{:?}", attached.session, attached.events);

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

    fn event(&self, event: &Event<'_>) {
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
