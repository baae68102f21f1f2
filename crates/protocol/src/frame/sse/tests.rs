use alloc::{format, string::ToString, vec};

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn decode(bytes: impl AsRef<[u8]>) -> Vec<SseItem> {
    let mut decoder = SseDecoder::default();
    decoder.push(Bytes::copy_from_slice(bytes.as_ref()));
    decoder.collect()
}

fn event(event: &'static str, data: &'static str, id: Option<&'static str>) -> SseItem {
    SseItem::Event(SseEvent {
        event: event.into(),
        data: data.into(),
        id: id.map(Into::into),
    })
}

fn message(data: &'static str) -> SseItem {
    event("message", data, None)
}

#[test]
fn an_event_has_a_name_data_and_an_id() {
    assert_eq!(
        decode("event: client_event\nid: 7\ndata: {\"a\":1}\n\n"),
        [event("client_event", "{\"a\":1}", Some("7"))]
    );
}

#[test]
fn every_kind_of_line_end_counts_once() {
    for text in [
        "data: a\n\ndata: b\n\n",
        "data: a\r\rdata: b\r\r",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "data: a\n\rdata: b\r\n\n",
    ] {
        assert_eq!(decode(text), [message("a"), message("b")], "{text:?}");
    }
}

#[test]
fn a_return_ends_its_line_at_once_and_the_newline_after_it_ends_nothing() {
    let mut decoder = SseDecoder::default();
    decoder.push("data: a\r\n\r".into());
    assert_eq!(decoder.next(), Some(message("a")));
    decoder.push("\ndata: b\r".into());
    assert_eq!(decoder.next(), None);
    decoder.push("\n".into());
    assert_eq!(decoder.next(), None);
    decoder.push("\n".into());
    assert_eq!(decoder.next(), Some(message("b")));
}

#[test]
fn data_lines_are_joined_and_may_be_empty() {
    assert_eq!(
        decode("data: a\ndata\ndata:\ndata: b\n\n"),
        [message("a\n\n\nb")]
    );
    assert_eq!(decode("data\n\n"), [message("")]);
    assert_eq!(decode("event: lonely\n\n"), []);
}

#[test]
fn one_space_after_the_colon_is_not_part_of_the_value() {
    assert_eq!(
        decode("data:a\n\ndata:  b\n\ndata:c: d \n\n"),
        [message("a"), message(" b"), message("c: d ")]
    );
}

#[test]
fn comments_and_unknown_fields_are_skipped() {
    assert_eq!(
        decode(":ok\n\n: data: x\ndata: a\nData: x\n data: x\nnovel: x\n:\n\n"),
        [message("a")]
    );
}

#[test]
fn a_name_lasts_for_one_event_and_the_last_one_counts() {
    assert_eq!(
        decode("event: a\nevent: b\ndata\n\ndata\n\nevent: c\n\ndata\n\nevent: d\nevent\ndata\n\n"),
        [event("b", "", None), message(""), message(""), message("")]
    );
}

#[test]
fn the_last_id_lasts_until_another_complete_block_has_one() {
    let mut decoder = SseDecoder::default();
    decoder
        .push("id: 1\ndata: a\n\ndata: b\n\nid: x\0\ndata: c\n\nid: 2\n\nid: 3\ndata: d\n".into());
    assert_eq!(decoder.last_event_id(), None);
    assert_eq!(decoder.next(), Some(event("message", "a", Some("1"))));
    for data in ["b", "c"] {
        assert_eq!(decoder.next(), Some(message(data)));
        assert_eq!(decoder.last_event_id().unwrap(), "1");
    }
    assert_eq!(decoder.next(), None);
    assert_eq!(decoder.last_event_id().unwrap(), "2");

    decoder.push("\nid\ndata: e\n\n".into());
    assert_eq!(decoder.next(), Some(event("message", "d", Some("3"))));
    assert_eq!(decoder.last_event_id().unwrap(), "3");
    assert_eq!(decoder.next(), Some(event("message", "e", Some(""))));
    assert_eq!(decoder.last_event_id(), None);
}

#[test]
fn retry_is_digits_only() {
    assert_eq!(
        decode("retry: 1500\nretry: -1\nretry: 1.5\nretry: 1 \nretry\nretry: ٣\nretry:0\n"),
        [
            SseItem::Retry(Duration::from_millis(1500)),
            SseItem::Retry(Duration::ZERO)
        ]
    );
    assert_eq!(
        decode("retry: 99999999999999999999999\n"),
        [SseItem::Retry(Duration::from_millis(u64::MAX))]
    );
}

#[test]
fn a_byte_order_mark_counts_only_where_it_is_none() {
    assert_eq!(decode("\u{feff}data: a\n\n"), [message("a")]);
    assert_eq!(decode("\u{feff}\u{feff}data: a\n\n"), []);
    assert_eq!(
        decode("data: a\n\n\u{feff}data: b\n\ndata: \u{feff}\n\n"),
        [message("a"), message("\u{feff}")]
    );
    assert_eq!(decode(b"\xef\xbbdata: a\n\n"), []);
}

#[test]
fn what_is_not_utf8_is_replaced() {
    assert_eq!(
        decode(b"data: a\xffb\xe2\x82\ndata: \xf0\x9f\n\n"),
        [message("a\u{fffd}b\u{fffd}\n\u{fffd}")]
    );
}

#[test]
fn an_event_without_its_end_never_comes() {
    assert_eq!(decode("data: a\n\ndata: b\n"), [message("a")]);
    assert_eq!(decode("data: a\n\ndata: b"), [message("a")]);
}

#[test]
fn a_too_large_event_is_reported_once_and_the_next_one_is_read() {
    let mut decoder = SseDecoder::new(16);
    decoder.push("data: 0123456789\n\n".into());
    assert_eq!(decoder.next(), Some(message("0123456789")));

    let long = format!(
        "event: e\ndata: 012\nid: 9\nretry: 5\ndata: {}\ndata: c\n\ndata: d\n\n",
        "x".repeat(100)
    );
    decoder.push(long.into());
    assert_eq!(
        decoder.by_ref().collect::<Vec<_>>(),
        [
            SseItem::Retry(Duration::from_millis(5)),
            SseItem::TooLarge {
                id: Some("9".into())
            },
            message("d")
        ]
    );
    assert_eq!(decoder.last_event_id().unwrap(), "9");
}

#[test]
fn comments_may_be_longer_than_the_limit() {
    let mut decoder = SseDecoder::new(16);
    for _ in 0..100 {
        decoder.push(": still here, still here".into());
        decoder.push(" and still here\ndata: a".into());
        decoder.push("\n\n".into());
        assert_eq!(decoder.next(), Some(message("a")));
        assert_eq!(decoder.next(), None);
    }
}

#[test]
fn debug_never_shows_data() {
    let mut decoder = SseDecoder::default();
    decoder.push("data: canary\n\ndata: canary".into());
    let item = decoder.next();
    assert!(item.is_some() && decoder.next().is_none());
    assert!(!format!("{item:?} {decoder:?}").contains("canary"));
}

/// The whole text at once, straight from the standard. `limit` only means something for valid UTF-8.
fn reference(bytes: &[u8], limit: usize) -> (Vec<SseItem>, String) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop();

    let mut items = Vec::new();
    let mut last_event_id = String::new();
    let mut block: Vec<(&str, &str)> = Vec::new();
    let mut length = 0;
    for line in lines {
        if line.is_empty() {
            let last = |name| block.iter().rev().find(|(field, _)| *field == name);
            let mut ids = block
                .iter()
                .filter(|(field, value)| *field == "id" && !value.contains('\0'));
            let id = ids.next_back().map(|(_, value)| (*value).to_string());
            if let Some(id) = &id {
                last_event_id.clone_from(id);
            }
            let id = id.map(ByteString::from);
            let data: Vec<&str> = block
                .iter()
                .filter(|(field, _)| *field == "data")
                .map(|(_, value)| *value)
                .collect();
            let name = last("event").map_or("", |(_, value)| value);
            if length > limit {
                items.push(SseItem::TooLarge { id });
            } else if !data.is_empty() {
                items.push(SseItem::Event(SseEvent {
                    event: if name.is_empty() { "message" } else { name }.into(),
                    data: data.join("\n").into(),
                    id,
                }));
            }
            block.clear();
            length = 0;
        } else if !line.starts_with(':') {
            length += line.len();
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            if line.len() <= limit {
                block.push((name, value));
                if name == "retry" && !value.is_empty() && value.chars().all(|c| c.is_ascii_digit())
                {
                    let millis = value.parse().unwrap_or(u64::MAX);
                    items.push(SseItem::Retry(Duration::from_millis(millis)));
                }
            }
        }
    }
    (items, last_event_id)
}

/// Texts that look like streams, more or less.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let pieces = select(vec![
        "data: a",
        "data",
        "data:",
        "event: e",
        "event",
        "id: 1",
        "id",
        "id: \0",
        "retry: 10",
        "retry: x",
        ": c",
        ":",
        " ",
        "x",
        "é",
        "💡",
        "\u{feff}",
        "\n",
        "\n",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "7",
    ]);
    vec(pieces, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

/// The same, with holes and with bytes that are no text.
fn broken_streams() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (streams(), damage).prop_map(|(mut bytes, damage)| {
        for (index, byte) in damage {
            if !bytes.is_empty() {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
        }
        bytes
    })
}

/// Decodes chunks of these lengths, over and over; stops taking items now and then.
fn decode_cut(
    bytes: &[u8],
    limit: usize,
    lengths: &[usize],
    mut check: impl FnMut(&SseDecoder),
) -> (Vec<SseItem>, String) {
    let mut decoder = SseDecoder::new(limit);
    let mut items = Vec::new();
    let mut rest = bytes;
    for (turn, length) in lengths.iter().cycle().enumerate() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*length).min(rest.len()));
        rest = after;
        decoder.push(Bytes::copy_from_slice(chunk));
        if turn % 3 > 0 {
            items.extend(decoder.by_ref());
        } else {
            items.extend(decoder.next());
        }
        check(&decoder);
    }
    items.extend(decoder.by_ref());
    check(&decoder);
    let last_event_id = decoder.last_event_id().map(ToString::to_string);
    (items, last_event_id.unwrap_or_default())
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), vec(1_usize..20, 1..20), Just(vec![10_000])]
}

proptest! {
    #[test]
    fn any_split_gives_what_the_whole_text_says(bytes in broken_streams(), lengths in lengths()) {
        prop_assert_eq!(
            decode_cut(&bytes, EVENT_LIMIT_BYTES, &lengths, |_| ()),
            reference(&bytes, EVENT_LIMIT_BYTES)
        );
    }

    #[test]
    fn the_limit_cuts_the_same_events_however_they_come(
        bytes in streams(),
        lengths in lengths(),
        limit in 0_usize..40,
    ) {
        prop_assert_eq!(
            decode_cut(&bytes, limit, &lengths, |_| ()),
            reference(&bytes, limit)
        );
    }

    #[test]
    fn no_bytes_make_it_panic_or_hold_more_than_its_bound(
        bytes in prop_oneof![vec(any::<u8>(), 0..2_000), broken_streams()],
        lengths in lengths(),
        limit in 0_usize..100,
    ) {
        decode_cut(&bytes, limit, &lengths, |decoder| {
            let line = match &decoder.line {
                Line::Held(held) => held.len(),
                Line::Skipped => 0,
            };
            let content = match &decoder.block.content {
                Content::Kept { event, data } => event.len() + data.as_ref().map_or(0, String::len),
                Content::Dropped => 0,
            };
            assert!(line <= limit);
            assert!(line + content <= 3 * limit);
            assert!(decoder.block.id.as_ref().map_or(0, |id| id.len()) <= 3 * limit);
            assert!(decoder.block.last_event_id.len() <= 3 * limit);
        });
    }
}

#[test]
fn an_endless_line_is_not_held() {
    let mut decoder = SseDecoder::new(1_000);
    decoder.push("data: ".into());
    let chunk = Bytes::from(vec![b'x'; 10_000]);
    for _ in 0..1_000 {
        decoder.push(chunk.clone());
        assert_eq!(decoder.next(), None);
        assert!(decoder.chunks.is_empty() && matches!(decoder.line, Line::Skipped));
    }
    decoder.push("\n\ndata: a\n\n".into());
    assert_eq!(decoder.next(), Some(SseItem::TooLarge { id: None }));
    assert_eq!(decoder.next(), Some(message("a")));
}

#[test]
fn an_event_of_some_megabytes_is_taken_unless_told_otherwise() {
    let mut decoder = SseDecoder::default();
    let data = "x".repeat(4 * 1024 * 1024);
    decoder.push(alloc::format!("data: {data}\n\n").into());
    assert!(matches!(decoder.next(), Some(SseItem::Event(event)) if event.data == data));
}
