//! How an agent, or its bridge, comes to an end.

use std::time::{Duration, Instant};

use attache_protocol::SessionId;

use super::results;
use crate::{
    agent::scripted_agent,
    hub::Hub,
    program::{Running, finish},
};

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
