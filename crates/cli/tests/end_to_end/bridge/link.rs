//! What the link between a bridge and its relay may go through.

use std::time::{Duration, Instant};

use attache_relay::RelayOptions;
use serde_json::json;
use tokio::time::timeout;

use super::{results, state};
use crate::{
    agent::scripted_agent,
    hub::Hub,
    program::{LIMIT, Running, attache},
};

#[tokio::test]
async fn of_two_bridges_the_newer_has_the_session() {
    let hub = Hub::start().await;
    let (older, session) = hub.bridge(&[]).await;
    let mut viewer = hub.viewer(&session).await;
    assert_eq!(viewer.turn("one").await["result"], "You said: one");
    viewer.say("slow 100000 10").await;
    viewer.message("stream_event").await;

    let id = session.to_string();
    let (_newer, same) = hub.bridge(&["--session", &id]).await;
    assert_eq!(same, session);
    let end = older.end().await;
    end.ends_with(8);
    assert!(
        end.stderr.contains("another worker took the session over"),
        "{end:?}"
    );
    assert!(!hub.is_archived(&session).await);
    // What the older had not finished goes to the newer first.
    viewer.message("stream_event").await;
    viewer.command(&json!({"command": "interrupt"})).await;
    viewer.message("result").await;
    assert_eq!(viewer.turn("two").await["result"], "You said: two");

    let log = hub.log(&session).await;
    let agents = log.iter().filter_map(|frame| {
        let is_viewers = frame["type"] == "user" && frame["session_id"] == id.as_str();
        frame["session_id"].as_str().filter(|_| !is_viewers)
    });
    let mut agents: Vec<_> = agents.collect();
    agents.dedup();
    assert_eq!(agents.len(), 2, "{agents:?}");
}

#[tokio::test]
async fn nothing_is_lost_or_repeated_when_the_relay_is_restarted() {
    const COUNT: usize = 30;
    let mut hub = Hub::start().await;
    let (_bridge, session) = hub.bridge(&[]).await;
    let mut viewer = hub.viewer(&session).await;
    for number in 0..COUNT {
        viewer.say(&format!("message {number}")).await;
        if number % 10 == 5 {
            viewer.message("result").await;
            hub.crash().await;
            hub.come_back().await;
        }
    }
    let expected: Vec<_> = (0..COUNT)
        .map(|number| format!("You said: message {number}"))
        .collect();
    loop {
        let result = viewer.message("result").await;
        if result["result"] == expected.last().unwrap().as_str() {
            break;
        }
    }
    let log = hub.log(&session).await;
    assert_eq!(results(&log), expected);
    let mut ids: Vec<_> = log.iter().map(|frame| frame["uuid"].to_string()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[tokio::test]
async fn an_agent_talks_on_while_the_relay_is_away() {
    let mut hub = Hub::start().await;
    let (_bridge, session) = hub.bridge(&[]).await;
    let mut viewer = hub.viewer(&session).await;
    viewer.say("slow 20 20").await;
    viewer.message("stream_event").await;
    hub.crash().await;
    // That is when the person learns of it; the agent does not.
    viewer.event("status").await;
    hub.come_back().await;
    assert_eq!(viewer.message("result").await["result"], "20 words");
    assert_eq!(results(&hub.log(&session).await), ["20 words"]);
}

#[cfg(unix)]
#[tokio::test]
async fn an_agent_that_says_more_than_there_is_room_for_has_to_wait() {
    const SCRIPT: &str = r#"
read -r line
echo '{"type":"novel","n":0}'
read -r line < "$GATE"
pad="0123456789abcdef0123456789abcdef"; pad="$pad$pad$pad$pad$pad$pad$pad$pad"
n=1; while [ $n -le 5000 ]; do
    echo '{"type":"novel","n":'$n',"pad":"'"$pad"'"}'
    n=$((n + 1))
done
echo '{"type":"result","subtype":"success","is_error":false}'
cat > /dev/null
"#;
    let mut hub = Hub::start().await;
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let made = tokio::process::Command::new("mkfifo").arg(&gate).status();
    assert!(made.await.unwrap().success());
    let variable = format!("GATE={}", gate.display());
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    let options = ["--env", &variable, "--env", &path];
    let (mut bridge, session) = hub.shell(&options, SCRIPT).await;
    let mut viewer = hub.viewer(&session).await;
    viewer.say("go").await;
    viewer.message("novel").await;
    hub.crash().await;
    bridge
        .note(|line| line.starts_with("the connection was lost"))
        .await;
    let open = tokio::task::spawn_blocking(move || std::fs::write(gate, "go on\n"));
    let opened = timeout(LIMIT, open).await.unwrap();
    opened.unwrap().unwrap();
    hub.come_back().await;
    viewer.message("result").await;
    let log = hub.log(&session).await;
    let numbers = log.iter().filter_map(|frame| frame["n"].as_u64());
    assert!(numbers.eq(0..=5000));
}

#[tokio::test]
async fn a_bridge_that_was_killed_shows_as_disconnected() {
    let mut options = RelayOptions::default();
    options.worker_lease = Duration::from_secs(1);
    let hub = Hub::with(options).await;
    let (bridge, session) = hub.bridge(&[]).await;
    let mut viewer = hub.viewer(&session).await;
    viewer.turn("hello").await;
    drop(bridge);
    let shown = async { while state(&hub, &session).await != "disconnected" {} };
    timeout(LIMIT, shown).await.unwrap();
}

#[tokio::test]
async fn a_conversation_does_not_notice_that_tokens_are_renewed() {
    let mut options = RelayOptions::default();
    options.worker_token_ttl = Duration::from_secs(1);
    let hub = Hub::with(options).await;
    let (_bridge, session) = hub.bridge(&[]).await;
    let mut viewer = hub.viewer(&session).await;
    let started = Instant::now();
    let mut expected = Vec::new();
    while started.elapsed() < Duration::from_secs(5) {
        let text = format!("message {}", expected.len());
        let result = viewer.turn(&text).await;
        expected.push(format!("You said: {text}"));
        assert_eq!(result["result"], expected.last().unwrap().as_str());
    }
    assert_eq!(results(&hub.log(&session).await), expected);
    assert_eq!(state(&hub, &session).await, "idle");
}

#[cfg(unix)]
#[tokio::test]
async fn a_relay_of_the_command_line_gives_short_lived_tokens() {
    let mut relay = Running::start(&mut attache(&["relay", "--worker-token-ttl", "1"]));
    let line = relay.line(|line| line.starts_with("listening on ")).await;
    let url = line.trim_start_matches("listening on ").to_owned();
    let command = |arguments: &[&str]| {
        let mut command = attache(arguments);
        command
            .env("ATTACHE_BASE_URL", &url)
            .env("ATTACHE_TOKEN", "any");
        command
    };
    let mut bridge = Running::start(&mut command(&["bridge", "--", scripted_agent()]));
    let line = bridge.line(|line| line.starts_with("session ")).await;
    let id = line.trim_start_matches("session ");
    let mut viewer = Running::start(&mut command(&["attach", id, "--json"]));
    for text in ["slow 60 50", "hello"] {
        let say = json!({"command": "send", "content": text}).to_string();
        viewer.type_line(&say).await;
    }
    viewer.line(|line| line.contains("60 words")).await;
    viewer.line(|line| line.contains("You said: hello")).await;
    bridge.signal("-TERM").await;
    bridge.end().await.ends_with(0);
}
