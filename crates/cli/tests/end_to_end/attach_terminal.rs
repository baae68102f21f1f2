//! `attach` as a person sees it, and `--count`.

use crate::{program::Running, server::Server};

const START: &str =
    r#"{"type":"stream_event","event":{"type":"message_start","message":{"id":"m1"}}}"#;
const DELTA: &str = r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"streamed once"}}}"#;
const WHOLE: &str = r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"streamed once"}]}}"#;
const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"duration_ms":1500}"#;

#[tokio::test]
async fn a_prompt_is_answered_with_y_and_streamed_text_comes_once() {
    let mut server = Server::start().await;
    server.ask("r1").await;
    let mut attached = Running::start(&mut server.command(&["attach", "SESSION"]));
    attached.line(|line| line.contains("y allows")).await;
    attached.type_line("y").await;
    let answer = server.heard().await;
    assert!(
        answer.as_str().contains(r#""behavior":"allow""#),
        "{answer:?}"
    );
    assert!(
        answer.as_str().contains(r#"{"command": "ls"}"#),
        "{answer:?}"
    );

    for frame in [START, DELTA, WHOLE, RESULT] {
        server.say(frame).await;
    }
    let text = attached.line(|line| !line.trim().is_empty()).await;
    assert_eq!(text, "streamed once");
    let end = attached.line(|_| true).await;
    assert_eq!(end, "-- done after 1.5 s");

    attached.type_line("thank you").await;
    let heard = server.heard().await;
    assert!(heard.as_str().contains("thank you"));
    attached.end_input();
    let end = attached.end().await;
    end.ends_with(0);
    assert!(end.stderr.contains("connected"));
    assert!(!end.stderr.contains('\u{1b}'), "no colour off a terminal");
}

#[tokio::test]
async fn a_count_is_one_line() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.say(RESULT).await;
    }
    let mut command = server.command(&["attach", "SESSION", "--watch", "--count"]);
    let mut attached = Running::start(&mut command);
    attached.note(|line| line == "connected").await;
    server.relay.archive(&server.session).await.unwrap();
    let run = attached.end().await;
    run.ends_with(0);
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    assert!(run.stdout.starts_with("3 messages, "), "{run:?}");
}
