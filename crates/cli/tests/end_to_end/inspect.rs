//! `inspect` on a recording.

use crate::program::{attache, finish, finish_with};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/sample.jsonl");

#[tokio::test]
async fn every_line_of_a_recording_is_explained() {
    let run = finish(&mut attache(&["inspect", SAMPLE])).await;
    run.ends_with(0);
    for expected in [
        "message  assistant  ok  round trip same",
        "unknown fields: message.content[0].novel",
        "permission_prompt  control_request/can_use_tool  ok",
        "message  next_week  ok  round trip same  unknown types: type",
        "message  user  malformed: `message.content`",
        "not_a_frame  malformed: not JSON",
        "9 lines: 7 parsed, 2 malformed, 7 round trips the same",
    ] {
        assert!(run.stdout.contains(expected), "{expected}\n{}", run.stdout);
    }
}

#[tokio::test]
async fn the_explanations_come_as_json_too() {
    let run = finish(&mut attache(&["inspect", "--json", SAMPLE])).await;
    run.ends_with(0);
    let lines: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[0]["bucket"], "message");
    assert_eq!(lines[0]["type"], "system");
    assert_eq!(lines[0]["subtype"], "init");
    assert_eq!(lines[0]["parsed"], true);
    assert_eq!(lines[0]["round_trip"], true);
    assert_eq!(lines[9]["summary"]["malformed"], 2);
}

#[tokio::test]
async fn bad_input_is_reported_and_never_a_panic() {
    let mut input = Vec::new();
    input.extend(b"\xff\xfe\n[1]\n{}\n{\"type\":7}\n");
    input.extend("[".repeat(10_000).bytes());
    input.push(b'\n');
    let deep = format!(
        "{{\"type\":\"user\",\"message\":{{\"content\":\"x\"}},\"x\":{}{}}}\n",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    input.extend(deep.bytes());
    let long = format!(
        "{{\"type\":\"user\",\"message\":{{\"content\":\"{}\"}}}}",
        "x".repeat(20 << 20)
    );
    input.extend(long.bytes());
    let run = finish_with(&mut attache(&["inspect", "-"]), &input).await;
    run.ends_with(0);
    assert!(
        run.stdout.contains("7 lines: 2 parsed, 5 malformed"),
        "{}",
        run.stdout
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_failure() {
    let run = finish(&mut attache(&["inspect", "/nonexistent/file"])).await;
    run.fails_in_one_line(1, "/nonexistent/file");
}
