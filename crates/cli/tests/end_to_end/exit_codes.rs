//! What scripts rely on.

use tokio::net::TcpListener;

use crate::{
    program::{Running, attache, finish, finish_with},
    server::Server,
};

#[tokio::test]
async fn a_wrong_command_line_is_2() {
    for arguments in [
        &["attach"][..],
        &["attach", "a/b", "--base-url", "http://127.0.0.1:1"],
        &["dance"],
        &["ls", "--token", "secret"],
        &["ls"],
    ] {
        finish(&mut attache(arguments)).await.ends_with(2);
    }
    let mut no_ca = attache(&[
        "ls",
        "--base-url",
        "https://127.0.0.1:1",
        "--ca-file",
        "/nonexistent",
    ]);
    let no_ca = finish(no_ca.env("ATTACHE_TOKEN", "t")).await;
    no_ca.fails_in_one_line(2, "/nonexistent");
    let no_token = finish(&mut attache(&["ls", "--base-url", "http://127.0.0.1:1"])).await;
    no_token.fails_in_one_line(2, "ATTACHE_TOKEN");
}

#[tokio::test]
async fn a_token_does_not_travel_unencrypted_to_another_machine() {
    let mut command = attache(&["ls", "--base-url", "http://192.0.2.1"]);
    let run = finish(command.env("ATTACHE_TOKEN", "canary")).await;
    run.fails_in_one_line(2, "--allow-plaintext");
    assert!(!run.stderr.contains("canary"));
}

#[tokio::test]
async fn a_wrong_token_is_3_and_a_wrong_session_is_4() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let file = file.to_str().unwrap();
    let added = ["token", "add", "ann", "--role", "own", "--tokens", file];
    let added = finish(&mut attache(&added)).await;
    added.ends_with(0);
    let right = added.stdout.trim();
    let mut relay = Running::start(&mut attache(&["relay", "--tokens", file]));
    let line = relay.line(|line| line.starts_with("listening on ")).await;
    let url = line.trim_start_matches("listening on ").to_owned();

    for arguments in [
        &["ls"][..],
        &["log", "session_x"],
        &["send", "session_x", "hello"],
        &["approve", "session_x"],
        &["interrupt", "session_x"],
        &["attach", "session_x", "--watch"],
    ] {
        let mut command = attache(arguments);
        command.env("ATTACHE_BASE_URL", &url);
        let run = finish(command.env("ATTACHE_TOKEN", "canary")).await;
        run.ends_with(3);
        assert!(!run.stderr.contains("canary"), "{run:?}");
        if arguments[0] != "ls" && arguments[0] != "attach" {
            let run = finish(command.env("ATTACHE_TOKEN", right)).await;
            run.fails_in_one_line(4, "session_x");
        }
    }
    let mut command = attache(&["ls", "--token-stdin", "--base-url", &url]);
    finish_with(&mut command, right.as_bytes())
        .await
        .ends_with(0);
    finish_with(&mut command, b"#\n").await.ends_with(3);
    let unusable = finish_with(&mut command, b"two words\n").await;
    unusable.fails_in_one_line(2, "token");
    assert!(!unusable.stderr.contains("words"));
}

#[tokio::test]
async fn attaching_to_no_session_is_4_after_the_retries_it_is_owed() {
    let server = Server::start().await;
    let run = finish(&mut server.command(&["attach", "session_x", "--watch"])).await;
    run.ends_with(4);
    assert!(run.stderr.lines().last().unwrap().contains("attache ls"));
}

#[tokio::test]
async fn no_server_is_7_and_a_silent_one_is_6() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for arguments in [
        &["ls", "--timeout", "0.2"][..],
        &["send", "session_x", "hello", "--timeout", "0.2"],
    ] {
        let mut command = attache(arguments);
        command.env("ATTACHE_BASE_URL", &url);
        let run = finish(command.env("ATTACHE_TOKEN", "t")).await;
        run.fails_in_one_line(6, "timed out");
    }
    drop(listener);
    let mut command = attache(&["ls", "--base-url", &url]);
    let run = finish(command.env("ATTACHE_TOKEN", "t")).await;
    run.fails_in_one_line(7, "connection refused");
    let mut command = attache(&["send", "session_x", "hello", "--timeout", "0.3"]);
    command.env("ATTACHE_BASE_URL", &url);
    let run = finish(command.env("ATTACHE_TOKEN", "t")).await;
    run.fails_in_one_line(6, "connection refused");
    let profile = ["attach", "session_x", "--watch", "--profile", "reference"];
    let mut command = attache(&profile);
    command.env("ATTACHE_BASE_URL", &url);
    let run = finish(command.env("ATTACHE_TOKEN", "t")).await;
    run.ends_with(7);
    assert_eq!(run.stderr.matches("reconnecting").count(), 5, "{run:?}");
}

#[tokio::test]
async fn a_session_whose_last_turn_failed_is_5() {
    let server = Server::start().await;
    server
        .say(r#"{"type":"result","subtype":"success","is_error":true,"result":"overloaded"}"#)
        .await;
    let mut attached = Running::start(&mut server.command(&["attach", "SESSION", "--watch"]));
    attached.note(|line| line == "connected").await;
    server.relay.archive(&server.session).await.unwrap();
    attached.end().await.ends_with(5);
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_on_an_idle_session_is_130() {
    let server = Server::start().await;
    server.say(r#"{"type":"system","subtype":"init"}"#).await;
    let mut attached = Running::start(&mut server.command(&["attach", "SESSION"]));
    attached.line(|line| line.contains("ready")).await;
    attached.ctrl_c().await;
    attached.end().await.ends_with(130);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let mut child = attache(&["inspect", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let lines = "{\"type\":\"keep_alive\"}\n".repeat(20_000);
    let feed = async {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, lines.as_bytes()).await;
        drop(stdin);
    };
    let work = async { tokio::join!(child.wait_with_output(), feed).0.unwrap() };
    let output = tokio::time::timeout(crate::program::LIMIT, work)
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[tokio::test]
async fn completions_are_printed() {
    let run = finish(&mut attache(&["completions", "bash"])).await;
    run.ends_with(0);
    assert!(run.stdout.contains("attache"));
}
