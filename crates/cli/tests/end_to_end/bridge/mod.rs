//! `bridge`, with a real agent's process behind it.

mod endings;
mod link;
mod weather;

use attache_protocol::SessionId;
use serde_json::{Value, json};

use crate::{
    hub::{Hub, Viewer},
    program::finish,
};

#[tokio::test]
async fn a_person_talks_to_the_agent_allows_and_denies() {
    let hub = Hub::start().await;
    let (_bridge, session) = hub.bridge(&["--title", "a talk"]).await;
    let mut viewer = hub.viewer(&session).await;
    assert_eq!(viewer.turn("hello").await["result"], "You said: hello");
    assert_eq!(state(&hub, &session).await, "idle");

    viewer.say("tool").await;
    let allowed = decide(&mut viewer, json!({"behavior": "allow"})).await;
    assert!(
        allowed["result"]
            .as_str()
            .unwrap()
            .starts_with("Bash ran with")
    );

    viewer.say("tool").await;
    let denied = decide(
        &mut viewer,
        json!({"behavior": "deny", "message": "not now"}),
    )
    .await;
    assert_eq!(denied["result"], "Bash was denied: not now");

    viewer.say("tool").await;
    viewer.event("permission_requested").await;
    assert_eq!(state(&hub, &session).await, "needs action");
    let run = finish(&mut hub.command(&["ls"])).await;
    assert!(run.stdout.contains("a talk"), "{run:?}");
}

#[tokio::test]
async fn an_interrupt_reaches_the_agent_in_the_middle_of_its_words() {
    let hub = Hub::start().await;
    let (_bridge, session) = hub.bridge(&[]).await;
    let mut viewer = hub.viewer(&session).await;
    viewer.say("slow 100000 10").await;
    viewer.message("stream_event").await;
    assert_eq!(state(&hub, &session).await, "running");
    viewer.command(&json!({"command": "interrupt"})).await;
    let outcome = viewer.event("request").await;
    assert_eq!(outcome["outcome"], "succeeded");
    let result = viewer.message("result").await;
    assert_eq!(result["errors"], json!(["interrupted"]));
}

#[tokio::test]
async fn big_lines_pass_and_garbage_is_dropped() {
    let hub = Hub::start().await;
    let (mut bridge, session) = hub.bridge(&[]).await;
    let mut viewer = hub.viewer(&session).await;
    viewer.say("big 16").await;
    let big = viewer.message("assistant").await;
    let text = big["message"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(text.len(), 16 << 20);
    assert_eq!(viewer.message("result").await["result"], "16 MiB");
    let result = viewer.turn("garbage").await;
    assert_eq!(result["result"], "That was garbage.");
    bridge
        .note(|line| line.contains("is no frame (not UTF-8)"))
        .await;
}

#[tokio::test]
async fn folder_environment_and_flags_are_the_users() {
    let hub = Hub::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let path = path.to_str().unwrap();
    let (_bridge, session) = hub.bridge(&["--cwd", path, "--env", "COLOUR=blue"]).await;
    let mut viewer = hub.viewer(&session).await;
    let result = viewer.turn("env COLOUR").await;
    assert_eq!(result["result"], "COLOUR=blue");
    let result = viewer.turn("env ATTACHE_TOKEN").await;
    assert_eq!(result["result"], "ATTACHE_TOKEN is not set");
    let log = hub.log(&session).await;
    let init = log.iter().find(|frame| frame["subtype"] == "init").unwrap();
    assert_eq!(init["cwd"], path);
}

/// Answers the prompt that is open next.
async fn decide(viewer: &mut Viewer, mut decision: Value) -> Value {
    let asked = viewer.event("permission_requested").await;
    decision["command"] = "decide".into();
    decision["request_id"] = asked["request_id"].clone();
    viewer.command(&decision).await;
    viewer.message("result").await
}

/// The state that `ls` shows for `session`.
async fn state(hub: &Hub, session: &SessionId) -> String {
    let run = finish(&mut hub.command(&["ls"])).await;
    let id = session.to_string();
    let line = run.stdout.lines().find(|line| line.starts_with(&id));
    let line = line.unwrap().trim_start_matches(&id).trim_start();
    line.split("  ").next().unwrap().to_owned()
}

fn results(log: &[Value]) -> Vec<&str> {
    log.iter()
        .filter(|frame| frame["type"] == "result")
        .map(|frame| frame["result"].as_str().unwrap_or_default())
        .collect()
}
