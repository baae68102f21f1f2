//! Frames without end, from a viewer and from a worker.

use crate::{
    KIB, MIB,
    relay::{Small, most_held},
};

/// So much is sent, and so much may be held of it: what is retained, what waits for the agent, ids, and one body.
const SENT: usize = 24 * MIB;
const HELD: usize = 8 * MIB;

/// What it is, and the frame with this number.
type Flood = (&'static str, fn(usize) -> String);

const FRAMES: &[Flood] = &[
    ("messages", |n| {
        format!(r#"{{"type":"user","uuid":"u{n}","x":"{}"}}"#, large(n))
    }),
    ("messages without an id", |n| {
        format!(r#"{{"type":"user","x":"{}"}}"#, large(n))
    }),
    ("live messages", |n| {
        format!(
            r#"{{"type":"stream_event","uuid":"u{n}","event":"{}"}}"#,
            large(n)
        )
    }),
    ("one message over and over", |_| {
        format!(r#"{{"type":"user","uuid":"u","x":"{}"}}"#, large(0))
    }),
    ("prompts", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r{n}","request":{{"subtype":"can_use_tool","tool_name":"x","input":{{"x":"{}"}}}}}}"#,
            large(n)
        )
    }),
    ("requests", |n| {
        format!(
            r#"{{"type":"control_request","request_id":"r{n}","request":{{"subtype":"x","x":"{}"}}}}"#,
            large(n)
        )
    }),
    ("answers that nobody asked for", |n| {
        format!(
            r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"r{n}","response":"{}"}}}}"#,
            large(n)
        )
    }),
    ("withdrawals of what nobody asked", |n| {
        format!(
            r#"{{"type":"control_cancel_request","request_id":"r{n}","x":"{}"}}"#,
            large(n)
        )
    }),
    ("what nobody knows", |n| {
        format!(r#"{{"type":"t{n}{}"}}"#, large(n))
    }),
];

#[test]
fn a_worker_without_end_leaves_no_more_than_is_retained() {
    for (what, frame) in FRAMES {
        let held = most_held(async {
            let small = Small::new().await;
            let epoch = small.epoch();
            send(async |frames| {
                let events: Vec<String> = frames
                    .map(|n| format!(r#"{{"payload":{}}}"#, frame(n)))
                    .collect();
                let body = format!(
                    r#"{{"worker_epoch":{epoch},"events":[{}]}}"#,
                    events.join(",")
                );
                let (status, answer) = small
                    .ask("POST", "/v1/code/sessions/cse_a/worker/events", body)
                    .await;
                let expected = status.is_success() || status == 429;
                assert!(expected, "{what}: {status} {answer:.200}");
            })
            .await;
        });
        assert!(held <= HELD, "{what}: {held} bytes");
    }
}

#[test]
fn a_viewer_without_end_is_told_to_wait_for_the_agent() {
    for (what, frame) in FRAMES {
        let held = most_held(async {
            let small = Small::new().await;
            send(async |frames| {
                let events: Vec<String> = frames.map(frame).collect();
                let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
                let (status, answer) = small
                    .ask("POST", "/v1/sessions/session_a/events", body)
                    .await;
                let expected = status.is_success() || status == 429;
                assert!(expected, "{what}: {status} {answer:.200}");
            })
            .await;
        });
        assert!(held <= HELD, "{what}: {held} bytes");
    }
}

/// Batches of eight.
async fn send(mut batch: impl AsyncFnMut(core::ops::Range<usize>)) {
    for number in 0..SENT / (8 * 16 * KIB) {
        batch(number * 8..number * 8 + 8).await;
    }
}

/// Sixteen thousand bytes, which differ.
fn large(n: usize) -> String {
    format!("{n:016}").repeat(1000)
}
