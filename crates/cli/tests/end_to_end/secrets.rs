//! What the program's own output does not tell, whatever it is asked to log.

use serde_json::json;

use crate::{
    agent::scripted_agent,
    program::{Finished, Running, finish},
    relay::{at, relay},
};

const TOKEN: &str = "canary-of-a-token-7f3a";
const WORDS: &str = "canary-of-what-is-said-9c1e";

#[tokio::test]
async fn a_bridge_a_viewer_and_their_failures_tell_no_token_and_not_what_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (server, url) = relay(folder.path(), "127.0.0.1:0").await;
    let run = |arguments: &[&str]| {
        let mut command = at(&url, arguments);
        command.env("ATTACHE_TOKEN", TOKEN).env("RUST_LOG", "trace");
        command
    };
    let mut bridge = Running::start(&mut run(&["bridge", "--", scripted_agent()]));
    let line = bridge.line(|line| line.starts_with("session ")).await;
    let session = line.trim_start_matches("session ").to_owned();

    let mut viewer = Running::start(&mut run(&["attach", &session, "--json"]));
    let say = json!({"command": "send", "content": WORDS});
    viewer.type_line(&say.to_string()).await;
    viewer
        .line(|line| line.contains("result") && line.contains(WORDS))
        .await;
    viewer.end_input();
    let viewer = viewer.end().await;
    bridge.ctrl_c().await;
    let bridge = bridge.end().await;
    server.kill().await;
    let nobody = finish(&mut run(&[
        "send",
        &session,
        WORDS,
        "--profile",
        "reference",
    ]))
    .await;

    for run in [&viewer, &bridge, &nobody] {
        let Finished { stdout, stderr, .. } = run;
        assert!(
            !stdout.contains(TOKEN) && !stderr.contains(TOKEN),
            "{run:?}"
        );
        assert!(!stderr.contains(WORDS), "{run:?}");
    }
    assert!(!bridge.stdout.contains(WORDS), "{bridge:?}");
}
