//! `bridge`, with a real agent's process behind it.

use std::time::{Duration, Instant};

use attache_protocol::SessionId;
use attache_relay::RelayOptions;
use serde_json::{Value, json};

use crate::{
    agent::scripted_agent,
    hub::{Hub, Viewer},
    program::{LIMIT, Running, attache, finish},
};

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

#[tokio::test]
async fn viewers_are_told_when_the_agent_dies() {
    let hub = Hub::start().await;
    let (bridge, session) = hub.bridge(&[]).await;
    let mut viewer = hub.viewer(&session).await;
    let result = viewer.turn("crash 3").await;
    assert_eq!(result["subtype"], "error_during_execution");
    assert_eq!(result["is_error"], true);
    let errors = result["errors"].to_string();
    assert!(errors.contains("exited with code 3"), "{errors}");
    assert!(errors.contains("told to crash"), "{errors}");
    viewer.event("closed").await;
    let end = bridge.end().await;
    end.ends_with(5);
    assert!(
        end.stderr.contains("scripted-agent: told to crash"),
        "{end:?}"
    );
    assert!(hub.is_archived(&session).await);
}

#[tokio::test]
async fn an_agent_that_leaves_in_order_ends_the_session_in_order() {
    let hub = Hub::start().await;
    let (bridge, session) = hub.bridge(&["--restart", "on-failure"]).await;
    let mut viewer = hub.viewer(&session).await;
    assert_eq!(viewer.turn("exit").await["result"], "Goodbye.");
    bridge.end().await.ends_with(0);
    assert!(hub.is_archived(&session).await);
    assert_eq!(results(&hub.log(&session).await), ["Goodbye."]);
}

#[tokio::test]
async fn a_failed_agent_is_started_again_if_that_is_wished() {
    let hub = Hub::start().await;
    let (_bridge, session) = hub.bridge(&["--restart", "on-failure"]).await;
    let mut viewer = hub.viewer(&session).await;
    assert_eq!(viewer.turn("crash").await["is_error"], true);
    // Said to nobody, for the moment.
    assert_eq!(viewer.turn("again").await["result"], "You said: again");
    let log = hub.log(&session).await;
    let inits = log.iter().filter(|frame| frame["subtype"] == "init");
    assert_eq!(inits.count(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn asked_to_stop_it_archives_within_five_seconds() {
    for (signal, text, first, code) in [
        ("-TERM", "tool", "assistant", 0),
        ("-INT", "slow 100000 10", "stream_event", 130),
    ] {
        let hub = Hub::start().await;
        let (bridge, session) = hub.bridge(&[]).await;
        let mut viewer = hub.viewer(&session).await;
        viewer.say(text).await;
        viewer.message(first).await;
        let asked = Instant::now();
        bridge.signal(signal).await;
        bridge.end().await.ends_with(code);
        assert!(asked.elapsed() < Duration::from_secs(5));
        assert!(hub.is_archived(&session).await);
        let result = viewer.message("result").await;
        assert_eq!(result["is_error"], true);
        viewer.event("closed").await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_agent_that_does_not_want_to_leave_is_made_to() {
    let hub = Hub::start().await;
    let mut command = hub.command(&[
        "bridge",
        "--",
        "/bin/sh",
        "-c",
        "trap '' TERM; /bin/sleep 1000",
    ]);
    let mut bridge = Running::start(&mut command);
    let line = bridge.line(|line| line.starts_with("session ")).await;
    let session = SessionId::parse(line.trim_start_matches("session ")).unwrap();
    bridge.note(|line| line.starts_with("connected")).await;
    let asked = Instant::now();
    bridge.signal("-TERM").await;
    bridge.end().await.ends_with(0);
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert!(hub.is_archived(&session).await);
}

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
    let opened = tokio::time::timeout(LIMIT, open).await.unwrap();
    opened.unwrap().unwrap();
    hub.come_back().await;
    viewer.message("result").await;
    let log = hub.log(&session).await;
    let numbers = log.iter().filter_map(|frame| frame["n"].as_u64());
    assert!(numbers.eq(0..=5000));
}

#[cfg(unix)]
#[tokio::test]
async fn an_agent_that_stops_listening_is_replaced_and_nothing_is_said_to_it_in_vain() {
    let hub = Hub::start().await;
    let once = tempfile::tempdir().unwrap();
    let flag = once.path().join("flag");
    // The first of them closes its ears; the second repeats what it hears.
    let script = format!(
        r#"
if [ ! -e {flag} ]; then
    : > {flag}; exec < /dev/null; echo '{{"type":"deaf"}}'; exec /bin/sleep 1000
fi
read -r line
echo '{{"type":"heard","line":'"$line"'}}'
echo '{{"type":"result","subtype":"success","is_error":false}}'
while read -r line; do :; done
"#,
        flag = flag.display()
    );
    let (_bridge, session) = hub.shell(&["--restart", "on-failure"], &script).await;
    let mut viewer = hub.viewer(&session).await;
    viewer.say("is anybody there?").await;
    let heard = viewer.message("heard").await;
    assert_eq!(heard["line"]["message"]["content"], "is anybody there?");
    viewer.message("result").await;
    let log = hub.log(&session).await;
    assert_eq!(
        log.iter().filter(|frame| frame["type"] == "heard").count(),
        1
    );
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
    tokio::time::timeout(LIMIT, shown).await.unwrap();
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

#[tokio::test]
async fn a_bridge_that_cannot_start_says_why() {
    let hub = Hub::start().await;
    let mut nothing = hub.command(&["bridge", "--", "/nonexistent/agent"]);
    let run = finish(&mut nothing).await;
    run.fails_in_one_line(2, "/nonexistent/agent");
    let agent = scripted_agent();
    let mut unknown = hub.command(&["bridge", "--session", "session_x", "--", agent]);
    let run = finish(&mut unknown).await;
    run.fails_in_one_line(4, "session_x");
    let mut nowhere = hub.command(&["bridge", "--base-url", "http://127.0.0.1:1", "--", agent]);
    let run = finish(&mut nowhere).await;
    run.fails_in_one_line(7, "connection refused");
}
