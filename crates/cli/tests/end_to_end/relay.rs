//! `relay`, and what it keeps.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    process::Command,
    time::{Instant, timeout},
};

use crate::{
    agent::scripted_agent,
    program::{LIMIT, Running, attache, finish},
};

/// A relay over `folder` at `address`, and its URL.
pub(crate) async fn relay(folder: &Path, address: &str) -> (Running, String) {
    let folder = folder.to_str().unwrap();
    let arguments = ["relay", "--data", folder, "--listen", address];
    let mut relay = Running::start(&mut attache(&arguments));
    let line = relay.line(|line| line.starts_with("listening on ")).await;
    (relay, line.trim_start_matches("listening on ").to_owned())
}

/// The program, pointed at the relay at `url`.
pub(crate) fn at(url: &str, arguments: &[&str]) -> Command {
    let mut command = attache(arguments);
    command
        .env("ATTACHE_BASE_URL", url)
        .env("ATTACHE_TOKEN", "a-token");
    command
}

/// A bridge that is up, and its session.
pub(crate) async fn bridge(url: &str, options: &[&str]) -> (Running, String) {
    let arguments = [&["bridge"], options, &["--", scripted_agent()]].concat();
    let mut bridge = Running::start(&mut at(url, &arguments));
    let line = bridge.line(|line| line.starts_with("session ")).await;
    (bridge, line.trim_start_matches("session ").to_owned())
}

#[tokio::test]
async fn what_was_accepted_survives_that_the_relay_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, url) = relay(folder.path(), "127.0.0.1:0").await;
    let (_bridge, session) = bridge(&url, &["--profile", "local"]).await;
    let send = finish(&mut at(&url, &["send", &session, "remember this"])).await;
    send.ends_with(0);
    first.kill().await;

    let (_second, url) = relay(folder.path(), url.trim_start_matches("http://")).await;
    let log = finish(&mut at(&url, &["log", &session])).await;
    log.ends_with(0);
    assert_eq!(
        log.stdout.matches("\"remember this\"").count(),
        1,
        "{log:?}"
    );
}

#[tokio::test]
async fn a_message_is_followed_until_the_agent_is_done_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, url) = relay(folder.path(), "127.0.0.1:0").await;
    let (_bridge, session) = bridge(&url, &[]).await;
    let arguments = ["send", &session, "hello", "--wait", "processed"];
    finish(&mut at(&url, &arguments)).await.ends_with(0);
    let log = finish(&mut at(&url, &["log", &session])).await;
    assert!(log.stdout.contains("You said: hello"), "{log:?}");

    let mut viewer = Running::start(&mut at(&url, &["attach", &session, "--json"]));
    let say = json!({"command": "send", "content": "hello again"});
    viewer.type_line(&say.to_string()).await;
    let mut states = Vec::new();
    while states.last().is_none_or(|state| state != "processed") {
        let line = viewer
            .line(|line| line.starts_with("{\"event\":\"send\""))
            .await;
        let event: Value = serde_json::from_str(&line).unwrap();
        states.push(event["state"].as_str().unwrap().to_owned());
    }
    let path = [
        "queued",
        "in_flight",
        "accepted",
        "delivered",
        "processing",
        "processed",
    ];
    let mut path = path.iter();
    assert!(
        states.iter().all(|state| path.any(|step| step == state)),
        "{states:?}"
    );
    assert!(states.contains(&"accepted".to_owned()), "{states:?}");
}

#[tokio::test]
async fn a_relay_that_is_told_to_stop_says_so_and_its_successor_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (first, url) = relay(folder.path(), "127.0.0.1:0").await;
    let (_bridge, session) = bridge(&url, &["--profile", "local"]).await;
    let arguments = ["attach", &session, "--json", "--profile", "local"];
    let mut viewer = Running::start(&mut at(&url, &arguments));
    viewer.line(|line| line.contains("\"live\"")).await;
    first.signal("-TERM").await;
    let told = viewer.line(|line| line.contains("\"waiting\"")).await;
    assert!(told.contains("1012"), "{told}");
    first.end().await.ends_with(0);

    let (_second, _) = relay(folder.path(), url.trim_start_matches("http://")).await;
    viewer.line(|line| line.contains("\"live\"")).await;
    let say = json!({"command": "send", "content": "still there?"});
    viewer.type_line(&say.to_string()).await;
    viewer
        .line(|line| line.contains("You said: still there?"))
        .await;
}

#[tokio::test]
async fn a_second_signal_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, url) = relay(folder.path(), "127.0.0.1:0").await;
    let address = url.trim_start_matches("http://");
    // A request that never ends keeps the relay from stopping in order.
    let mut request = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /v1/code/sessions HTTP/1.1\r\nhost: {address}\r\n");
    let rest = "authorization: Bearer x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    request.write_all((head + rest).as_bytes()).await.unwrap();
    // It is being read: it was asked for more.
    request.readable().await.unwrap();
    relay.signal("-TERM").await;
    let stopped = Instant::now();
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(LIMIT, refused).await.unwrap();
    relay.signal("-TERM").await;
    relay.end().await.ends_with(130);
    // In order it would have taken longer.
    assert!(stopped.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, _) = relay(folder.path(), "127.0.0.1:0").await;
    let data = |path: &Path| path.to_str().unwrap().to_owned();
    let again = finish(&mut attache(&["relay", "--data", &data(folder.path())])).await;
    again.fails_in_one_line(1, "another relay uses the store");

    let foreign = tempfile::tempdir().unwrap();
    fs::write(
        foreign.path().join("attache.db"),
        "something else, long enough to be seen",
    )
    .unwrap();
    let run = finish(&mut attache(&["relay", "--data", &data(foreign.path())])).await;
    run.fails_in_one_line(1, "is not a store of a relay");

    let file = tempfile::NamedTempFile::new().unwrap();
    let run = finish(&mut attache(&["relay", "--data", &data(file.path())])).await;
    run.fails_in_one_line(1, "check that it is a folder");
}

#[tokio::test]
async fn the_demo_goes_on_in_the_session_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut sessions = Vec::new();
    for title in ["one", "one", "two"] {
        let arguments = ["relay", "--data", data, "--demo-session", title];
        let mut relay = Running::start(&mut attache(&arguments));
        sessions.push(relay.line(|line| line.starts_with("session ")).await);
        relay.signal("-TERM").await;
        relay.end().await.ends_with(0);
    }
    assert_eq!(sessions[0], sessions[1]);
    assert_ne!(sessions[1], sessions[2]);
}

#[tokio::test]
async fn a_bridge_that_comes_back_withdraws_what_its_dead_agent_has_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, url) = relay(folder.path(), "127.0.0.1:0").await;
    let (first, session) = bridge(&url, &[]).await;
    let mut viewer = Running::start(&mut at(&url, &["attach", &session, "--json"]));
    let say = json!({"command": "send", "content": "tool"});
    viewer.type_line(&say.to_string()).await;
    let asked = |line: &str| line.contains("permission_requested");
    let asked: Value = serde_json::from_str(&viewer.line(asked).await).unwrap();
    first.kill().await;
    let (_second, same) = bridge(&url, &["--session", &session]).await;
    assert_eq!(same, session);
    let withdrawn = |line: &str| line.contains("permission_withdrawn");
    let withdrawn: Value = serde_json::from_str(&viewer.line(withdrawn).await).unwrap();
    assert_eq!(withdrawn["request_id"], asked["request_id"]);
    // The message that nobody has finished goes to the agent that there is now.
    viewer
        .line(|line| line.contains("permission_requested"))
        .await;
}

#[tokio::test]
async fn a_relay_keeps_as_much_as_it_is_told_to() {
    let mut relay = Running::start(&mut attache(&["relay", "--keep-frames", "20"]));
    let line = relay.line(|line| line.starts_with("listening on ")).await;
    let url = line.trim_start_matches("listening on ");
    let (_bridge, session) = bridge(url, &[]).await;
    let mut viewer = Running::start(&mut at(url, &["attach", &session, "--json"]));
    let mut text = String::new();
    // Three frames a message.
    for number in 0..200 {
        text = format!("message {number}");
        let say = json!({"command": "send", "content": text});
        viewer.type_line(&say.to_string()).await;
    }
    let last = format!("You said: {text}");
    viewer
        .line(|line| line.contains("\"result\"") && line.contains(&last))
        .await;
    let log = finish(&mut at(url, &["log", &session])).await;
    assert!(log.stdout.lines().count() < 601, "{log:?}");
    assert!(log.stderr.contains("are no longer kept"), "{log:?}");
}
