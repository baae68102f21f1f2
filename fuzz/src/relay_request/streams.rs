//! The event streams that were asked for. They stay open while the script goes on.

use std::task::Poll;

use attache_protocol::frame::sse::{SseDecoder, SseItem};
use axum::body::{Body, HttpBody as _};
use serde_json::Value;

/// How often the relay's tasks get their turn before a stream counts as having nothing to say.
const TURNS: usize = 8;

#[derive(Default)]
pub(super) struct Streams(Vec<Stream>);

struct Stream {
    body: Body,
    decoder: SseDecoder,
    last: u64,
}

impl Streams {
    pub(super) fn add(&mut self, body: Body) {
        self.0.push(Stream {
            body,
            decoder: SseDecoder::default(),
            last: 0,
        });
    }

    /// Reads what is there to be read. Streams that have ended go.
    pub(super) async fn drain(&mut self) {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            let mut open = Vec::new();
            for mut stream in self.0.drain(..) {
                if stream.read().await {
                    open.push(stream);
                }
            }
            self.0 = open;
        }
    }
}

impl Stream {
    /// Whether it goes on.
    async fn read(&mut self) -> bool {
        loop {
            let frame = std::future::poll_fn(|context| {
                match std::pin::Pin::new(&mut self.body).poll_frame(context) {
                    Poll::Ready(frame) => Poll::Ready(Some(frame)),
                    Poll::Pending => Poll::Ready(None),
                }
            });
            match frame.await {
                None => return true,
                Some(None | Some(Err(_))) => return false,
                Some(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.decoder.push(bytes);
                        self.check();
                    }
                }
            }
        }
    }

    fn check(&mut self) {
        for item in self.decoder.by_ref() {
            let SseItem::Event(event) = item else {
                continue;
            };
            let data: Value = serde_json::from_str(&event.data).expect("data is JSON");
            assert!(data.is_object(), "{}: {data}", event.event);
            if let Some(id) = &event.id {
                let sequence: u64 = id.parse().expect("an id is a sequence number");
                assert!(sequence > self.last, "{sequence} after {}", self.last);
                assert_eq!(data["sequence_num"], sequence);
                self.last = sequence;
            }
        }
    }
}
