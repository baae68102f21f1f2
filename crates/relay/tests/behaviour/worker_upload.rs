//! What a worker's agent says reaches the viewers.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{World, assistant, cancel, options, prompt, soon, user};

#[tokio::test]
async fn uploads_reach_every_viewer_once_and_in_order() {
    let world = World::new().await;
    let (mut first, mut second) = (world.viewer().await, world.viewer().await);
    let worker = world.worker().await;
    let frames: Vec<_> = (0..300).map(|n| assistant(&format!("a{n}"))).collect();
    for start in (0..300).step_by(60) {
        // What was not acknowledged is sent again before what is new.
        let again = start.max(20) - 20;
        let (status, body) = worker.upload(&frames[again..start + 60]).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(first.frames(300).await, frames);
    assert_eq!(second.frames(300).await, frames);
    assert_eq!(world.log().await, frames);
}

#[tokio::test]
async fn a_repeated_uuid_is_one_event() {
    let world = World::new().await;
    let worker = world.worker().await;
    let batch = ["a1", "a2", "a1"].map(assistant);
    let (_, body) = worker.upload(&batch).await;
    let statuses: Vec<_> = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["status"])
        .collect();
    assert_eq!(statuses, ["stored", "stored", "duplicate"]);
    worker.upload(&["a2", "a3"].map(assistant)).await;
    let newer = world.worker().await;
    newer.upload(&["a3", "a4"].map(assistant)).await;
    assert_eq!(world.log().await, ["a1", "a2", "a3", "a4"].map(assistant));

    let nameless = r#"{"type":"assistant"}"#.to_owned();
    let (_, body) = newer.upload(&[nameless]).await;
    let id = body["data"][0]["id"].as_str().unwrap();
    assert!(world.log().await[4].contains(id));
}

#[tokio::test]
async fn what_is_ephemeral_is_seen_once_and_not_stored() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    let worker = world.worker().await;
    let ephemeral = |frame: &str| format!(r#"{{"payload":{frame},"ephemeral":true}}"#);
    let delta = r#"{"type":"stream_event","uuid":"d1","event":{}}"#;
    let progress = r#"{"type":"tool_progress"}"#;
    let batch = [
        ephemeral(delta),
        ephemeral(progress),
        ephemeral(&prompt("p1")),
    ];
    worker.upload_events(&batch).await;
    worker
        .upload_events(&[ephemeral(delta), ephemeral(&assistant("live"))])
        .await;
    worker.upload(&[assistant("a1")]).await;
    let seen = [
        delta,
        progress,
        &prompt("p1"),
        &assistant("live"),
        &assistant("a1"),
    ];
    assert_eq!(viewer.frames(5).await, seen);
    // A prompt that nobody can look up could not be answered.
    assert_eq!(world.log().await, [prompt("p1"), assistant("a1")]);
}

#[tokio::test]
async fn a_bad_batch_is_refused_whole() {
    let world = World::new().await;
    let worker = world.worker().await;
    let good = format!(r#"{{"payload":{}}}"#, assistant("a1"));
    for bad in [r#"{"payload":{}}"#, r#"{"payload":7}"#, "{}", "7"] {
        let (status, body) = worker.upload_events(&[good.clone(), bad.to_owned()]).await;
        assert_eq!(status, 400, "{bad}: {body}");
    }
    let (status, _) = worker.upload_events(&vec![good; 1001]).await;
    assert_eq!(status, 413);
    assert!(world.log().await.is_empty());
}

#[tokio::test]
async fn prompts_of_a_worker_are_open_until_they_are_settled() {
    let world = World::new().await;
    let worker = world.worker().await;
    worker
        .upload(&[prompt("p1"), prompt("p2"), cancel("p1")])
        .await;
    let mut late = world.viewer().await;
    assert_eq!(late.frame().await, prompt("p2"));
    assert_eq!(world.status().await, "requires_action");
    let session = world.code_session().await;
    assert_eq!(session["worker_status"], "requires_action");
}

#[tokio::test]
async fn prompts_that_are_sent_again_do_not_count_twice() {
    let mut options = options();
    options.open_requests = 2;
    let world = World::with(options).await;
    let worker = world.worker().await;
    let prompts = ["p1", "p2"].map(prompt);
    for _ in 0..2 {
        assert_eq!(worker.upload(&prompts).await.0, 200);
    }
    assert_eq!(worker.upload(&[prompt("p3")]).await.0, 429);
    assert_eq!(worker.upload(&[cancel("p1")]).await.0, 200);
    assert_eq!(worker.upload(&[prompt("p3")]).await.0, 200);
    assert_eq!(world.log().await.len(), 4);
}

#[tokio::test]
async fn a_megabyte_goes_both_ways_byte_for_byte() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    let worker = world.worker().await;
    let mut stream = worker.stream(None).await;
    let mega = "m\\u00e4".repeat(150_000);
    let up = assistant("a1").replace("[]", &format!("\"{mega}\""));
    let down = user("u1").replace("hello", &mega);
    worker.upload(core::slice::from_ref(&up)).await;
    assert_eq!(viewer.frame().await, up);
    world.post_events(&[&down]).await;
    assert_eq!(stream.payload().await, down);
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let world = World::new().await;
    let worker = world.worker().await;
    let path = worker
        .base
        .split_once(&world.address.to_string())
        .unwrap()
        .1;
    let body = format!(
        r#"{{"worker_epoch":{},"events":[{{"payload":{}}}]}}"#,
        worker.epoch,
        assistant("a1")
    );
    let request = format!(
        "POST {path}/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        world.address,
        worker.token,
        body.len()
    );
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    for byte in request.as_bytes() {
        socket.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    soon(socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(world.log().await, [assistant("a1")]);
}

#[tokio::test]
async fn what_a_worker_says_of_itself_is_kept_and_shown() {
    let world = World::new().await;
    let worker = world.worker().await;
    let (status, body) = worker.get().await;
    assert_eq!(
        (status.as_u16(), &body["worker"]["external_metadata"]),
        (200, &json!({}))
    );

    let details = json!({"tool_name": "Bash", "action_description": "run ls"});
    let report = json!({
        "worker_status": "requires_action",
        "requires_action_details": details,
        "external_metadata": {"a": {"x": 1}, "b": 2},
        "of a newer version": true,
    });
    assert_eq!(worker.put(report).await.0, 200);
    let session = world.code_session().await;
    assert_eq!(session["worker_status"], "requires_action");
    assert_eq!(session["requires_action_details"], details);

    let report = json!({"worker_status": "idle", "external_metadata": {"a": {"y": 1}, "b": null}});
    worker.put(report).await;
    let newer = world.worker().await;
    let (_, body) = newer.get().await;
    assert_eq!(body["worker"]["external_metadata"], json!({"a": {"y": 1}}));
    let session = world.code_session().await;
    assert_eq!(session["worker_status"], "idle");
    assert_eq!(session["requires_action_details"], json!(null));

    let large = json!({"external_metadata": {"large": "x".repeat(64 << 10)}});
    assert_eq!(newer.put(large).await.0, 413);
    assert_eq!(newer.put(json!({"worker_status": "tired"})).await.0, 400);
    let (_, body) = newer.get().await;
    assert_eq!(body["worker"]["external_metadata"], json!({"a": {"y": 1}}));
}
