//! Viewers of the second generation: streams of server-sent events.

use axum::http::StatusCode;
use hyper::{Response, body::Incoming};
use serde_json::Value;

use crate::{
    workers::{Stream, read, send},
    world::{TOKEN, World},
};

/// An open stream of a viewer.
pub(crate) struct Watcher {
    stream: Stream,
}

/// One event of a viewer's stream.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: Value,
    /// The frame, byte for byte, if it brings one.
    pub(crate) payload: String,
}

impl World {
    /// A viewer's stream from now on.
    pub(crate) async fn watch(&self) -> Watcher {
        self.watch_with("", &[]).await
    }

    /// A viewer's stream behind a position.
    pub(crate) async fn watch_after(&self, position: u64) -> Watcher {
        let query = format!("?from_sequence_num={position}");
        self.watch_with(&query, &[]).await
    }

    /// Opens a stream.
    pub(crate) async fn watch_with(&self, query: &str, headers: &[(&str, &str)]) -> Watcher {
        let response = self.try_watch(query, headers).await;
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        let stream = Stream::of(response).await;
        Watcher { stream }
    }

    pub(crate) async fn try_watch(
        &self,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let id = self.session.v2();
        let url = format!(
            "http://{}/v1/code/sessions/{id}/events/stream{query}",
            self.address
        );
        send("GET", &url, TOKEN, "", headers).await
    }

    /// What the stream is answered with when it is refused.
    pub(crate) async fn refused_watch(&self, query: &str) -> (StatusCode, Value) {
        read(self.try_watch(query, &[]).await).await
    }

    /// Says frames as a viewer of the second generation does.
    pub(crate) async fn say(&self, frames: &[&str]) -> (StatusCode, Value) {
        let events = frames
            .iter()
            .map(|frame| format!(r#"{{"payload":{frame}}}"#));
        let events = events.collect::<Vec<_>>().join(",");
        let path = format!("/v1/code/sessions/{}/events", self.session.v2());
        self.person("POST", &path, &format!(r#"{{"events":[{events}]}}"#))
            .await
    }
}

impl Watcher {
    /// The next event that is no word about the relay itself or about deliveries; `None` when the
    /// stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            let told = self.next_of_any_kind().await?;
            let is_hello = told.data["event_type"] == "keep_alive";
            if !is_hello && told.name != "delivery_update" {
                return Some(told);
            }
        }
    }

    /// The next event, comments left out; `None` when the stream has ended.
    pub(crate) async fn next_of_any_kind(&mut self) -> Option<Told> {
        loop {
            let block = self.stream.block().await?;
            if !block.starts_with(':') {
                return Some(Told::parse(&block));
            }
        }
    }

    pub(crate) async fn event(&mut self) -> Told {
        self.next().await.expect("an event, and not the end")
    }

    /// The next event, which is a stored frame.
    pub(crate) async fn stored(&mut self) -> (u64, String) {
        let event = self.event().await;
        assert_eq!(event.name, "client_event", "{event:?}");
        (event.id.unwrap(), event.payload)
    }

    /// The next event, which is a frame that has no place in the log.
    pub(crate) async fn live(&mut self) -> String {
        let event = self.event().await;
        assert_eq!(
            (event.name.as_str(), event.id),
            ("ephemeral_event", None),
            "{event:?}"
        );
        event.payload
    }

    /// What stands before the next empty line, comments too.
    pub(crate) async fn block(&mut self) -> Option<String> {
        self.stream.block().await
    }
}

impl Told {
    fn parse(block: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            payload: Option<&'a serde_json::value::RawValue>,
        }
        assert!(!block.contains('\r'), "{block:?}");
        let (mut name, mut id, mut data) = (String::new(), None, Vec::new());
        for line in block.lines() {
            match line.split_once(": ").unwrap() {
                ("event", text) => text.clone_into(&mut name),
                ("id", text) => id = Some(text.parse().unwrap()),
                ("data", text) => data.push(text),
                _ => panic!("{block}"),
            }
        }
        let json = data.join("\n");
        let data: Value = serde_json::from_str(&json).unwrap();
        let raw: Data<'_> = serde_json::from_str(&json).unwrap();
        let payload = raw.payload.map_or("", |raw| raw.get()).to_owned();
        assert_eq!(id, data["sequence_num"].as_u64());
        // Only what is in the log has a place to come back to.
        assert_eq!(id.is_some(), name == "client_event");
        Self {
            name,
            id,
            data,
            payload,
        }
    }
}
