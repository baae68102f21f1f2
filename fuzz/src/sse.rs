//! The decoder of event streams: however the bytes are cut, the items are the same; they are those of a
//! plain reading of the standard; and no event is longer than it may be.

use std::time::Duration;

use attache_protocol::frame::sse::{SseDecoder, SseItem};
use axum::body::Bytes;

/// Longer streams are cut into larger pieces only, which is faster.
const LONGEST_BYTE_BY_BYTE: usize = 512;

/// Takes the first byte as how to cut, and the rest as a stream.
pub fn check(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else {
        return;
    };
    let whole = decode(usize::MAX, [stream]);
    assert_eq!(whole, plain(stream));
    for limit in [usize::MAX, usize::from(cut)] {
        let at_once = decode(limit, [stream]);
        if stream.len() <= LONGEST_BYTE_BY_BYTE {
            assert_eq!(at_once, decode(limit, stream.chunks(1)), "byte by byte");
        }
        let size = usize::from(cut % 16) + 2;
        assert_eq!(at_once, decode(limit, stream.chunks(size)), "in pieces");
        let (front, back) = stream.split_at(usize::from(cut) % (stream.len() + 1));
        assert_eq!(at_once, decode(limit, [front, &[], back]), "in two");
        for item in &at_once.items {
            is_within(limit, item);
        }
    }
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    items: Vec<SseItem>,
    last_event_id: Option<String>,
}

fn decode<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = SseDecoder::new(limit);
    let mut items = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        items.extend(decoder.by_ref());
    }
    assert_eq!(decoder.next(), None, "the end is not the end");
    Decoded {
        items,
        last_event_id: decoder.last_event_id().map(ToString::to_string),
    }
}

/// A byte that is no text becomes three at most.
fn is_within(limit: usize, item: &SseItem) {
    match item {
        SseItem::Event(event) => {
            let id = event.id.as_ref().map_or(0, |id| id.len());
            let name = if &*event.event == "message" {
                0
            } else {
                event.event.len()
            };
            let longest = limit.saturating_mul(3);
            assert!(event.data.len() <= longest && name <= longest && id <= longest);
        }
        SseItem::TooLarge { .. } => assert_ne!(limit, usize::MAX),
        SseItem::Retry(_) => {}
    }
}

/// The standard's own algorithm on a whole stream, without limit.
fn plain(stream: &[u8]) -> Decoded {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    // What no line break ends is no line yet.
    lines.pop();
    let (mut items, mut last_event_id) = (Vec::new(), String::new());
    let (mut event, mut data, mut id) = (String::new(), None::<String>, None::<String>);
    for line in lines {
        if line.is_empty() {
            if let Some(id) = &id {
                last_event_id.clone_from(id);
            }
            let (event, id) = (std::mem::take(&mut event), id.take());
            if let Some(data) = data.take() {
                let name = if event.is_empty() {
                    "message".to_owned()
                } else {
                    event
                };
                items.push(SseItem::Event(attache_protocol::frame::sse::SseEvent {
                    event: name.into(),
                    data: data.into(),
                    id: id.map(Into::into),
                }));
            }
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut event),
            "data" => {
                data = Some(match data {
                    Some(data) => data + "\n" + value,
                    None => value.to_owned(),
                });
            }
            "id" if !value.contains('\0') => id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                let milliseconds = value.parse().unwrap_or(u64::MAX);
                items.push(SseItem::Retry(Duration::from_millis(milliseconds)));
            }
            _ => {}
        }
    }
    Decoded {
        items,
        last_event_id: Some(last_event_id).filter(|id| !id.is_empty()),
    }
}
