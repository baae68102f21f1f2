//! `log`, by numbers and as it grows.

use serde_json::{Value, json};

use crate::{
    hub::Hub,
    program::{Running, finish},
};

/// A session in which five things were said, and what is in its log.
async fn five(hub: &Hub) -> (String, Vec<Value>) {
    let session = hub.relay.create_session("a test").await.unwrap();
    say(hub, &session.to_string(), 1..=5).await;
    let log = hub.log(&session).await;
    assert_eq!(log.len(), 5);
    (session.to_string(), log)
}

async fn say(hub: &Hub, session: &str, numbers: impl Iterator<Item = u32>) {
    let session = attache_protocol::SessionId::parse(session).unwrap();
    let agent = hub.relay.attach_agent(&session).await.unwrap();
    for number in numbers {
        let frame = json!({"type": "novel", "n": number, "uuid": format!("u{number}")});
        agent.publish(&frame.to_string()).await.unwrap();
    }
}

fn frames(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_log_is_printed_from_any_number_on() {
    let hub = Hub::start().await;
    let (session, log) = five(&hub).await;
    for since in 0..=5 {
        let number = since.to_string();
        let run = finish(&mut hub.command(&["log", &session, "--since", &number])).await;
        run.ends_with(0);
        assert_eq!(frames(&run.stdout), log[since..]);
        assert!(run.stderr.is_empty(), "{run:?}");
    }
    let run = finish(&mut hub.command(&["log", &session, "--since", "6"])).await;
    run.fails_in_one_line(1, "6");
    let run = finish(&mut hub.command(&["log", &session, "--since", "6", "--follow"])).await;
    run.fails_in_one_line(1, "lower --since");
    for follow in [&["--follow"][..], &["--since", "0"]] {
        let run = finish(&mut hub.command(&[&["log", "none"], follow].concat())).await;
        run.fails_in_one_line(4, "none");
    }
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told() {
    let hub = Hub::start().await;
    let (session, log) = five(&hub).await;
    hub.keep(&session, 2).await;
    for options in [&[][..], &["--since", "0"], &["--since", "1"]] {
        let run = finish(&mut hub.command(&[&["log", &session], options].concat())).await;
        run.ends_with(0);
        assert_eq!(frames(&run.stdout), log[3..]);
        let from = options
            .last()
            .map_or(1, |&since| 1 + u32::from(since == "1"));
        let told = format!("frames {from} to 3 are no longer kept\n");
        assert_eq!(run.stderr, told, "{options:?}");
    }
}

#[tokio::test]
async fn a_follower_goes_on_when_the_relay_is_back_and_ends_with_the_session() {
    let mut hub = Hub::start().await;
    let (session, _) = five(&hub).await;
    let arguments = [
        "log",
        &session,
        "--follow",
        "--since",
        "2",
        "--profile",
        "local",
    ];
    let mut follower = Running::start(&mut hub.command(&arguments));
    for number in 3..=5 {
        assert!(
            follower
                .line(|_| true)
                .await
                .contains(&format!("\"u{number}\""))
        );
    }
    say(&hub, &session, 6..=6).await;
    assert!(follower.line(|_| true).await.contains("\"u6\""));
    hub.crash().await;
    follower
        .note(|line| line.starts_with("not connected"))
        .await;
    say(&hub, &session, 7..=8).await;
    hub.come_back().await;
    follower.note(|line| line == "connected again").await;
    say(&hub, &session, 9..=9).await;
    for number in 7..=9 {
        assert!(
            follower
                .line(|_| true)
                .await
                .contains(&format!("\"u{number}\""))
        );
    }
    let id = attache_protocol::SessionId::parse(&session).unwrap();
    hub.relay.archive(&id).await.unwrap();
    let end = follower.end().await;
    end.ends_with(0);
    assert!(end.stdout.is_empty(), "{end:?}");
}
