//! One request with a body that nobody would send who means well.

use axum::body::{Body, Bytes};
use futures_util::stream;

use crate::{
    KIB, MIB,
    relay::{BODY_LIMIT, Small, most_held},
};

/// A body is held as it came, and each of its events, of which the shortest has two bytes, by its place.
const HELD: usize = 24 * BODY_LIMIT;

/// As much as is read.
const MOST: usize = BODY_LIMIT - KIB;

/// Bodies for a worker in this epoch.
const HOSTILE: &[fn(u64) -> String] = &[
    |_| "[".repeat(MOST),
    |_| deep(MOST / 2),
    |_| r#"{"title":"#.repeat(MOST / 9),
    |_| {
        format!(
            r#"{{"title":{0},"events":{0},"updates":{0},"worker_epoch":{0}}}"#,
            deep(MOST / 10)
        )
    },
    |epoch| {
        format!(
            r#"{{"worker_epoch":{epoch},"external_metadata":{{"x":{}}}}}"#,
            deep(MOST / 3)
        )
    },
    |epoch| {
        format!(
            r#"{{"worker_epoch":{epoch},"requires_action_details":{{"x":{}}}}}"#,
            deep(MOST / 3)
        )
    },
    |_| format!(r#"{{"title":"x"{}}}"#, r#","title":"x""#.repeat(MOST / 12)),
    |_| format!(r#"{{"x":1{}}}"#, r#","x":1"#.repeat(MOST / 6)),
    |_| format!(r#"{{"events":[{}]}}"#, vec!["0"; MOST / 3].join(",")),
    |epoch| {
        format!(
            r#"{{"worker_epoch":{epoch},"events":[{}]}}"#,
            vec!["{}"; MOST / 4].join(",")
        )
    },
    |epoch| {
        format!(
            r#"{{"worker_epoch":{epoch},"updates":[{}]}}"#,
            vec![r#"{"event_id":"e","status":"received"}"#; MOST / 40].join(",")
        )
    },
    |_| format!(r#"{{"title":"{}"}}"#, "t".repeat(MOST)),
    |_| {
        format!(
            r#"{{"role":"view","ttl_seconds":60,"name":"{}"}}"#,
            "n".repeat(MOST)
        )
    },
    |_| "\u{0}".repeat(MOST),
    |_| "9".repeat(MOST),
    |_| format!("\"{}\"", "\\u0041".repeat(MOST / 7)),
];

fn deep(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn a_body_without_end_is_refused_at_the_limit_wherever_it_goes() {
    let held = most_held(async {
        let small = Small::new().await;
        for (method, path) in Small::writes() {
            let piece = Bytes::from(vec![b'['; 64 * KIB]);
            let endless =
                stream::repeat_with(move || Ok::<_, core::convert::Infallible>(piece.clone()));
            // Who has no use for a body does not read it.
            let (status, answer) = small.ask(method, &path, Body::from_stream(endless)).await;
            let reads = !path.ends_with("/archive") && !path.ends_with("/bridge");
            assert_eq!(status == 413, reads, "{method} {path}: {status} {answer}");
        }
    });
    assert!(held <= HELD, "{held} bytes");
}

#[test]
fn whatever_a_body_is_made_of_it_gets_an_answer_and_the_relay_goes_on() {
    let held = most_held(async {
        let small = Small::new().await;
        for make in HOSTILE {
            let body = make(small.epoch());
            for (method, path) in Small::writes() {
                if path.ends_with("/archive") || path.ends_with("/bridge") {
                    continue;
                }
                let (status, answer) = small.ask(method, &path, body.clone()).await;
                let is_answered = status.is_success() || status.is_client_error();
                assert!(is_answered, "{method} {path}: {status} for {body:.60}");
                assert!(
                    answer.len() <= 64 * KIB + body.len(),
                    "{method} {path}: {body:.60}"
                );
            }
        }
        let (status, _) = small
            .ask("GET", "/v1/sessions/session_a/events", Body::empty())
            .await;
        assert_eq!(status, 200);
    });
    assert!(held <= HELD, "{held} bytes");
}

#[test]
fn a_deep_frame_is_stored_and_read_byte_for_byte() {
    let held = most_held(async {
        let small = Small::new().await;
        let levels = 60_000;
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        let frame = format!(r#"{{"type":"user","uuid":"deep","x":{open}{close}}}"#);
        let said = format!(r#"{{"events":[{frame}]}}"#);
        let (status, answer) = small
            .ask("POST", "/v1/sessions/session_a/events", said)
            .await;
        assert_eq!(status, 200, "{answer}");
        for path in [
            "/v1/sessions/session_a/events",
            "/v1/code/sessions/cse_a/events",
        ] {
            let (status, listed) = small.ask("GET", path, Body::empty()).await;
            assert_eq!(status, 200);
            assert!(listed.contains(&frame), "{path}");
        }
    });
    assert!(held <= 4 * MIB, "{held} bytes");
}
