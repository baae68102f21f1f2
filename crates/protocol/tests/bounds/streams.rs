//! A stream of events without end.

use attache_protocol::{
    Bytes,
    frame::sse::{SseDecoder, SseItem},
};

use crate::{KIB, MIB, most_held};

const LIMIT: usize = 64 * KIB;

#[test]
fn a_decoder_holds_no_more_than_one_event_whatever_never_ends() {
    let x = "x".repeat(1000);
    for (what, piece) in [
        ("a line", x.clone()),
        ("bytes that are no text", "\u{fffd}".repeat(300)),
        ("an event", format!("data: {x}\n")),
        ("an event of nothing", "data\n".to_owned()),
        ("a name", format!("event: {x}\n")),
        ("ids", format!("id: {x}\n\n")),
        ("long ids", format!("id: {}\n\n", "x".repeat(LIMIT))),
        ("a comment", format!(":{x}")),
        ("comments", format!(":{x}\n")),
        ("unknown fields", format!("{x}: {x}\n")),
        ("delays", "retry: 1\n".to_owned()),
        ("blank lines", "\n\r\n\r".to_owned()),
        ("events", format!("id: 7\nevent: {x}\ndata: {x}\n\n")),
        (
            "too large events",
            format!("data: {}\n\n", "x".repeat(2 * LIMIT)),
        ),
    ] {
        let piece = Bytes::from(piece);
        let mut decoder = SseDecoder::new(LIMIT);
        let mut passed = 0;
        let held = most_held(|| {
            while passed < 8 * MIB {
                decoder.push(piece.clone());
                passed += piece.len();
                for item in decoder.by_ref() {
                    if let SseItem::Event(event) = item {
                        assert!(event.data.len() <= LIMIT);
                    }
                }
            }
        });
        // Three times for bytes that are no text, and twice that for a string that grows.
        assert!(held <= 8 * LIMIT, "{what}: {held} bytes");
    }
}
