//! `attach --json`, driven as a program would drive it.

use serde_json::{Value, json};

use crate::{
    program::{Running, finish_with},
    server::Server,
};

/// The next line that tells of `event`.
async fn event(attached: &mut Running, event: &str) -> Value {
    let prefix = format!("{{\"event\":\"{event}\"");
    let line = attached.line(|line| line.starts_with(&prefix)).await;
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn a_program_answers_a_prompt_and_sends_a_message() {
    let mut server = Server::start().await;
    let frame = r#"{"type":"novel",  "n":1.0,"uuid":"u1"}"#;
    server.say(frame).await;
    let mut attached = Running::start(&mut server.command(&["attach", "SESSION", "--json"]));

    let line = attached.line(|line| line.contains("\"message\"")).await;
    assert!(line.ends_with(&format!("\"message\":{frame}}}")), "{line}");

    server.ask("r1").await;
    let asked = event(&mut attached, "permission_requested").await;
    assert_eq!(asked["request_id"], "r1");
    assert_eq!(asked["tool_name"], "Bash");
    assert_eq!(asked["input"], json!({"command": "ls"}));

    attached.type_line("this is no command").await;
    attached
        .type_line(r#"{"command":"decide","request_id":"r1","behavior":"allow","updatedInput":{"command":"pwd"}}"#)
        .await;
    let answer = server.heard().await;
    assert!(
        answer
            .as_str()
            .contains(r#""updatedInput":{"command":"pwd"}"#)
    );
    let settled = event(&mut attached, "permission_settled").await;
    assert_eq!(settled["by"], "us");

    attached
        .type_line(r#"{"command":"send","content":[{"type":"text","text":"hello"}]}"#)
        .await;
    let sent = server.heard().await;
    let user = sent.as_user().unwrap();
    assert_eq!(user.message.content.words().collect::<String>(), "hello");
    loop {
        let state = event(&mut attached, "send").await;
        assert_eq!(state["id"], sent.uuid().unwrap().to_string());
        if state["state"] == "accepted" {
            break;
        }
    }

    attached
        .type_line(r#"{"command":"request","subtype":"set_model","model":"m"}"#)
        .await;
    let request = server.heard().await;
    let request: Value = serde_json::from_str(request.as_str()).unwrap();
    assert_eq!(
        request["request"],
        json!({"subtype": "set_model", "model": "m"})
    );
    server.answer(request["request_id"].as_str().unwrap()).await;
    let outcome = event(&mut attached, "request").await;
    assert_eq!(outcome["outcome"], "succeeded");

    attached.type_line(r#"{"command":"close"}"#).await;
    let end = attached.end().await;
    end.ends_with(0);
    assert!(
        end.stdout
            .contains(r#"{"event":"closed","cause":"requested""#)
    );
    assert!(end.stderr.contains("not a JSON object"), "{end:?}");
}

#[tokio::test]
async fn what_was_typed_before_the_end_of_input_still_arrives() {
    let mut server = Server::start().await;
    let commands =
        "{\"command\":\"send\",\"content\":\"one\"}\n{\"command\":\"send\",\"content\":\"two\"}\n";
    let mut command = server.command(&["attach", "SESSION", "--json"]);
    let run = finish_with(&mut command, commands.as_bytes()).await;
    run.ends_with(0);
    assert_eq!(run.stdout.matches("\"state\":\"accepted\"").count(), 2);
    for expected in ["one", "two"] {
        let heard = server.heard().await;
        assert!(heard.as_str().contains(expected));
    }
}

#[tokio::test]
async fn a_watcher_can_say_nothing() {
    let server = Server::start().await;
    let mut attached =
        Running::start(&mut server.command(&["attach", "SESSION", "--json", "--watch"]));
    event(&mut attached, "status").await;
    server.ask("r1").await;
    event(&mut attached, "permission_requested").await;
    server.relay.archive(&server.session).await.unwrap();
    let closed = event(&mut attached, "closed").await;
    assert_eq!(closed["cause"], "session_ended");
    attached.end().await.ends_with(0);
}

#[tokio::test]
async fn every_message_of_a_long_history_arrives_once_and_in_order() {
    const COUNT: usize = 2000;
    let server = Server::start().await;
    for number in 0..COUNT {
        server
            .say(&format!(r#"{{"type":"novel","uuid":"u{number}"}}"#))
            .await;
    }
    let mut command = server.command(&["attach", "SESSION", "--json", "--history", "all"]);
    let mut attached = Running::start(&mut command);
    for number in 0..COUNT {
        let message = event(&mut attached, "message").await;
        assert_eq!(message["message"]["uuid"], format!("u{number}"));
    }
    attached.end_input();
    let end = attached.end().await;
    end.ends_with(0);
    assert!(!end.stdout.contains("\"message\""));
}

#[tokio::test]
async fn a_program_goes_on_where_an_earlier_one_was() {
    for transport in ["ws", "sse"] {
        let server = Server::start().await;
        for number in 1..=3 {
            server
                .say(&format!(r#"{{"type":"novel","uuid":"u{number}"}}"#))
                .await;
        }
        let attach = ["attach", "SESSION", "--json", "--transport", transport];
        let mut first = Running::start(&mut server.command(&attach));
        first.line(|line| line.contains("\"u3\"")).await;
        let reached = event(&mut first, "cursor").await;
        first.kill().await;
        server.say(r#"{"type":"novel","uuid":"u4"}"#).await;

        let cursor = reached["cursor"].as_str().unwrap();
        let resume = [&attach[..], &["--resume", cursor]].concat();
        let mut second = Running::start(&mut server.command(&resume));
        let message = event(&mut second, "message").await;
        assert_eq!(message["message"]["uuid"], "u4", "{transport}");
        second.end_input();
        let end = second.end().await;
        end.ends_with(0);
        assert!(!end.stdout.contains("\"message\""), "{end:?}");
    }
}
