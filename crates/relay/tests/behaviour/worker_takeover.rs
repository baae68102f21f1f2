//! One agent at a time: the newest.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    workers::{Worker, read},
    world::{World, assistant, soon, user},
};

#[tokio::test]
async fn the_newer_worker_wins_and_the_older_can_do_nothing_more() {
    let world = World::new().await;
    let mut viewer = world.viewer().await;
    let old = world.worker().await;
    let mut old_stream = old.stream(None).await;
    old.upload(&[assistant("a1")]).await;
    old.put(json!({"external_metadata": {"by": "old"}})).await;
    let new = world.worker().await;
    assert!(new.epoch > old.epoch);
    assert!(old_stream.next().await.is_none(), "its stream ends");

    world.post_events(&[&user("u1")]).await;
    let mut answers = every_call(&old).await;
    answers.push(old.get().await);
    answers.push(read(old.try_stream("", &[]).await).await);
    for (status, body) in answers {
        assert_eq!(status, 409, "{body}");
        assert_eq!(body["error"]["type"], "conflict_error");
    }
    let archive = format!("/v1/sessions/{}/archive", world.session);
    assert_eq!(world.as_worker(&old, "POST", &archive).await.0, 409);

    let mut new_stream = new.stream(None).await;
    assert_eq!(new_stream.payload().await, user("u1"));
    new.upload(&[assistant("a2")]).await;
    let expected = [assistant("a1"), user("u1"), assistant("a2")];
    assert_eq!(viewer.frames(3).await, expected);
    assert_eq!(world.log().await, expected);
    let (_, state) = new.get().await;
    assert_eq!(state["worker"]["external_metadata"]["by"], "old");
    assert_eq!(world.status().await, "running");
}

#[tokio::test]
async fn an_older_epoch_with_the_newest_token_changes_nothing() {
    let world = World::new().await;
    let old = world.worker().await;
    let new = world.worker().await;
    let mixed = Worker {
        epoch: old.epoch,
        ..new.clone()
    };
    for (status, body) in every_call(&mixed).await {
        assert_eq!(status, 409, "{body}");
    }
    assert!(world.log().await.is_empty());

    let spelled = format!(
        r#"{{"worker_epoch":"{}","events":[{{"payload":{}}}]}}"#,
        new.epoch,
        assistant("a1")
    );
    let (status, body) = new.call("POST", "/events", &spelled).await;
    assert_eq!(status, 200, "{body}");
    for epoch in ["-1", "1.5", "null", "\"x\"", "{}"] {
        let body = format!(r#"{{"worker_epoch":{epoch}}}"#);
        let (status, body) = new.call("POST", "/heartbeat", &body).await;
        assert_eq!(status, 400, "{epoch}: {body}");
    }
    assert_eq!(world.log().await, [assistant("a1")]);
}

#[tokio::test]
async fn workers_and_agents_of_this_process_take_over_from_each_other() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    world.post_events(&[&user("u1"), &user("u2")]).await;
    soon(agent.recv()).await.unwrap().unwrap();

    let worker = world.worker().await;
    assert!(soon(agent.recv()).await.unwrap().is_none());
    assert!(agent.publish(&assistant("late")).await.is_err());
    let mut stream = worker.stream(None).await;
    assert_eq!(stream.payload().await, user("u2"));
    assert_eq!(worker.acknowledge("u2", "processed").await.0, 200);
    world.post_events(&[&user("u3")]).await;
    assert_eq!(stream.payload().await, user("u3"));

    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    assert!(stream.next().await.is_none());
    assert_eq!(worker.upload(&[assistant("late")]).await.0, 409);
    let taken = soon(agent.recv()).await.unwrap().unwrap();
    assert_eq!(taken.as_str(), user("u3"), "it was not processed");
    assert_eq!(world.log().await, ["u1", "u2", "u3"].map(user));
}

#[tokio::test]
async fn nothing_of_an_older_worker_is_stored_after_a_takeover() {
    let world = World::new().await;
    for round in 0..5 {
        let old = world.worker().await;
        let talking = tokio::spawn(async move {
            for number in 0.. {
                let frame = assistant(&format!("old-{round}-{number}"));
                let (status, _) = old.upload(&[frame]).await;
                if status != StatusCode::OK {
                    return (number, status);
                }
            }
            unreachable!("it talks until it is stopped");
        });
        let new = world.worker().await;
        new.upload(&[assistant(&format!("new-{round}"))]).await;
        let (stored, status) = soon(talking).await.unwrap();
        assert_eq!(status, 409);
        let log = world.log().await;
        let count = |what: &str| log.iter().filter(|one| one.contains(what)).count();
        assert_eq!(count(&format!("\"old-{round}-")), stored);
        assert!(log.last().unwrap().contains(&format!("new-{round}")));
    }
}

#[tokio::test]
async fn of_many_registrations_at_once_exactly_one_counts() {
    let world = World::new().await;
    let registrations = (0..16).map(|_| world.worker());
    let workers = futures_util::future::join_all(registrations).await;
    let mut epochs: Vec<_> = workers.iter().map(|worker| worker.epoch).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=16).collect::<Vec<_>>());
    for worker in &workers {
        let expected = if worker.epoch == 16 { 200 } else { 409 };
        assert_eq!(worker.heartbeat().await.0, expected);
    }
}

/// What the calls that name an epoch are answered with.
async fn every_call(worker: &Worker) -> Vec<(StatusCode, Value)> {
    let report = json!({"worker_status": "requires_action", "external_metadata": {"by": null}});
    vec![
        worker.put(report).await,
        worker.upload(&[assistant("stale")]).await,
        worker.acknowledge("u1", "processed").await,
        worker.heartbeat().await,
    ]
}
