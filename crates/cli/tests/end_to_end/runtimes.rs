//! `attach --runtime` and `--transport`: the same story on every adapter, over either transport.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    program::{Finished, LIMIT, Running, finish},
    relay::{at, bridge, relay},
};

#[tokio::test]
async fn on_tokio_over_a_web_socket_everything_comes_once() {
    everything_comes_once("tokio", "ws").await;
}

#[tokio::test]
async fn on_tokio_over_a_stream_everything_comes_once() {
    everything_comes_once("tokio", "sse").await;
}

#[tokio::test]
async fn on_async_std_over_a_web_socket_everything_comes_once() {
    everything_comes_once("async-std", "ws").await;
}

#[tokio::test]
async fn on_async_std_over_a_stream_everything_comes_once() {
    everything_comes_once("async-std", "sse").await;
}

#[tokio::test]
async fn on_threads_over_a_web_socket_everything_comes_once() {
    everything_comes_once("blocking", "ws").await;
}

#[tokio::test]
async fn on_threads_over_a_stream_everything_comes_once() {
    everything_comes_once("blocking", "sse").await;
}

/// A conversation, an answered prompt, a relay that is killed and one that takes its place.
async fn everything_comes_once(runtime: &str, transport: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (first, url) = relay(folder.path(), "127.0.0.1:0").await;
    let (_bridge, session) = bridge(&url, &["--profile", "local"]).await;
    let mut viewer = Viewer::attach(
        &url,
        &session,
        &["--runtime", runtime, "--transport", transport],
    );
    viewer.until_status("live").await;
    #[cfg(target_os = "linux")]
    assert_eq!(adapter(viewer.running.id()), runtime);

    viewer.say("hello").await;
    viewer.until_result("You said: hello").await;

    viewer.say("tool").await;
    viewer
        .until("a prompt", |told| {
            !of(told, "permission_requested").is_empty()
        })
        .await;
    let asked = of(&viewer.told, "permission_requested")[0]["request_id"].clone();
    let answer = json!({"command": "decide", "request_id": asked, "behavior": "allow"});
    viewer.command(&answer).await;
    viewer
        .until("a settled prompt", |told| {
            !of(told, "permission_settled").is_empty()
        })
        .await;
    viewer
        .until("the tool's result", |told| results(told).len() == 2)
        .await;

    first.kill().await;
    viewer.until_status("waiting").await;
    viewer.say("meanwhile").await;
    viewer
        .until("a kept message", |told| sends(told, "queued").len() == 3)
        .await;
    let (_second, _) = relay(folder.path(), url.trim_start_matches("http://")).await;
    viewer.until_result("You said: meanwhile").await;
    viewer.say("the end").await;
    viewer.until_result("You said: the end").await;

    let told = viewer.detach().await;
    let results = results(&told);
    assert_eq!(results.len(), 4, "{told:#?}");
    assert_eq!(results[0], "You said: hello");
    assert!(results[1].starts_with("Bash ran with"), "{results:?}");
    assert_eq!(results[2..], ["You said: meanwhile", "You said: the end"]);
    let messages: Vec<_> = of(&told, "message")
        .iter()
        .map(|event| &event["message"]["uuid"])
        .collect();
    let distinct: BTreeSet<_> = messages.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), messages.len(), "{told:#?}");
    let accepted = sends(&told, "accepted");
    let distinct: BTreeSet<_> = accepted.iter().collect();
    assert_eq!((accepted.len(), distinct.len()), (4, 4), "{told:#?}");
    assert_eq!(of(&told, "permission_requested").len(), 1, "{told:#?}");
    let settled = of(&told, "permission_settled");
    assert_eq!(settled.len(), 1, "{told:#?}");
    assert_eq!(settled[0]["by"], "us");
    for mishap in ["gap", "malformed", "unresponsive", "answer_refused"] {
        assert!(of(&told, mishap).is_empty(), "{told:#?}");
    }
    assert_eq!(of(&told, "closed")[0]["cause"], "requested");
    assert_eq!(stored(&url, &session).await, 4);
}

/// Which adapter the process `id` runs, by the names of its threads.
#[cfg(target_os = "linux")]
fn adapter(id: u32) -> &'static str {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let names: Vec<_> = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok())
        .collect();
    if names.iter().any(|name| name == "events\n") {
        "blocking"
    } else if names.iter().any(|name| name.starts_with("async-std")) {
        "async-std"
    } else {
        "tokio"
    }
}

/// How many of what people said is in the log.
async fn stored(url: &str, session: &str) -> usize {
    let log = finish(&mut at(url, &["log", session])).await;
    log.ends_with(0);
    ["\"hello\"", "\"tool\"", "\"meanwhile\"", "\"the end\""]
        .iter()
        .map(|text| {
            let said = |line: &&str| line.contains(r#""type":"user""#) && line.contains(text);
            log.stdout.lines().filter(said).count()
        })
        .sum()
}

/// `attach --json`, with everything it has told.
struct Viewer {
    running: Running,
    told: Vec<Value>,
}

impl Viewer {
    fn attach(url: &str, session: &str, options: &[&str]) -> Self {
        let common = [
            "attach",
            session,
            "--json",
            "--history",
            "all",
            "--profile",
            "local",
        ];
        let arguments = [&common, options].concat();
        Self {
            running: Running::start(&mut at(url, &arguments)),
            told: Vec::new(),
        }
    }

    async fn say(&mut self, text: &str) {
        self.command(&json!({"command": "send", "content": text}))
            .await;
    }

    async fn command(&mut self, command: &Value) {
        self.running.type_line(&command.to_string()).await;
    }

    /// Listens until everything told so far satisfies `enough`.
    async fn until(&mut self, what: &str, enough: impl Fn(&[Value]) -> bool) {
        let listening = async {
            while !enough(&self.told) {
                let line = self.running.line(|_| true).await;
                self.told.push(serde_json::from_str(&line).unwrap());
            }
        };
        let heard = timeout(LIMIT, listening).await;
        assert!(heard.is_ok(), "no {what} after {:#?}", self.told);
    }

    /// Until the latest status is `status`.
    async fn until_status(&mut self, status: &str) {
        self.until(status, |told| {
            of(told, "status")
                .last()
                .is_some_and(|event| event["status"] == status)
        })
        .await;
    }

    async fn until_result(&mut self, result: &str) {
        self.until(result, |told| results(told).contains(&result))
            .await;
    }

    /// Ends the input, and gives everything that was ever told.
    async fn detach(mut self) -> Vec<Value> {
        self.running.end_input();
        let end: Finished = self.running.end().await;
        end.ends_with(0);
        let rest = end
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        self.told.extend(rest);
        self.told
    }
}

fn of<'a>(told: &'a [Value], event: &str) -> Vec<&'a Value> {
    told.iter().filter(|line| line["event"] == event).collect()
}

fn results(told: &[Value]) -> Vec<&str> {
    let messages = of(told, "message").into_iter();
    let results = messages.filter(|event| event["message"]["type"] == "result");
    results
        .filter_map(|event| event["message"]["result"].as_str())
        .collect()
}

/// The ids of what has been `state`.
fn sends<'a>(told: &'a [Value], state: &str) -> Vec<&'a str> {
    let sends = of(told, "send")
        .into_iter()
        .filter(|event| event["state"] == state);
    sends.filter_map(|event| event["id"].as_str()).collect()
}
