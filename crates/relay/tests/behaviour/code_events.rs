//! Saying something and reading what was said, in the second generation of the API.

use std::time::SystemTime;

use attache_relay::{Store as _, store::Retention};
use serde_json::{Value, json};

use crate::world::{World, assistant, raw_items, soon, user};

#[tokio::test]
async fn what_is_said_reaches_the_agent_and_both_generations_of_viewers() {
    let world = World::new().await;
    let mut agent = world.relay.attach_agent(&world.session).await.unwrap();
    let mut socket = world.viewer().await;
    let mut stream = world.watch().await;
    let (status, body) = world.say(&[&user("u1"), &user("u1"), &user("u2")]).await;
    assert_eq!(status, 200);
    let expected = json!([
        {"id": "u1", "status": "stored"},
        {"id": "u1", "status": "duplicate"},
        {"id": "u2", "status": "stored"},
    ]);
    assert_eq!(body["data"], expected);
    for uuid in ["u1", "u2"] {
        let taken = soon(agent.recv()).await.unwrap().unwrap();
        assert_eq!(taken.as_str(), user(uuid));
        assert_eq!(socket.frame().await, user(uuid));
        assert_eq!(stream.stored().await.1, user(uuid));
    }
    world.relay.archive(&world.session).await.unwrap();
    let (status, body) = world.say(&[&user("u3")]).await;
    assert_eq!(status, 409);
    assert_eq!(body["error"]["type"], "conflict_error");
}

#[tokio::test]
async fn a_bad_batch_stores_nothing() {
    let world = World::new().await;
    let path = format!("/v1/code/sessions/{}/events", world.session.v2());
    let good = user("u1");
    for body in [
        "",
        "[]",
        "{}",
        r#"{"events":{}}"#,
        r#"{"events":[7]}"#,
        &format!(r#"{{"events":[{good}]}}"#),
        r#"{"events":[{"payload":7}]}"#,
        &format!(r#"{{"events":[{{"payload":{good}}},{{"payload":{{"no":"type"}}}}]}}"#),
    ] {
        let (status, answer) = world.person("POST", &path, body).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(answer["error"]["type"], "invalid_request_error");
    }
    assert!(world.log().await.is_empty());
}

async fn page(world: &World, query: &str) -> Value {
    let path = format!("/v1/code/sessions/{}/events{query}", world.session.v2());
    let (status, body) = world.person("GET", &path, "").await;
    assert_eq!(status, 200, "{body}");
    body
}

fn numbers(page: &Value) -> Vec<u64> {
    let events = page["data"].as_array().unwrap().iter();
    events
        .map(|event| event["sequence_num"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 1..=25 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    for (order, expected) in [
        ("asc", (1..=25).collect::<Vec<_>>()),
        ("desc", (1..=25).rev().collect()),
    ] {
        let (mut all, mut query) = (Vec::new(), String::new());
        loop {
            let page = page(&world, &format!("?limit=10&sort_order={order}{query}")).await;
            all.extend(numbers(&page));
            assert_eq!(page["first_sequence_num"], 1);
            let Some(next) = page["next_cursor"].as_str() else {
                assert_eq!(page["has_more"], false);
                break;
            };
            assert_eq!(page["has_more"], true);
            query = format!("&cursor={next}");
        }
        assert_eq!(all, expected);
    }
    let event = &page(&world, "?limit=1").await["data"][0];
    for (field, value) in [
        ("event_id", "a1"),
        ("event_type", "assistant"),
        ("source", "worker"),
    ] {
        assert_eq!(event[field], value);
    }
    assert!(event["created_at"].is_string());
    assert_eq!(
        event["payload"],
        serde_json::from_str::<Value>(&assistant("a1")).unwrap()
    );
    let path = format!("/v1/code/sessions/{}/events", world.session.v2());
    for query in [
        "?cursor=x",
        "?cursor=-1",
        "?sort_order=up",
        "?limit=0",
        "?limit=1001",
    ] {
        assert_eq!(world.get(&format!("{path}{query}")).await.0, 400, "{query}");
    }
    assert!(numbers(&page(&world, "?cursor=25").await).is_empty());
    assert_eq!(world.get(&format!("{path}?cursor=26")).await.0, 410);
}

#[tokio::test]
async fn a_list_of_a_log_that_lost_its_front_says_so() {
    let world = World::new().await;
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    for number in 1..=9 {
        agent
            .publish(&assistant(&format!("a{number}")))
            .await
            .unwrap();
    }
    let path = format!("/v1/sessions/{}/events", world.session);
    let (_, whole) = world.get(&path).await;
    assert!(!whole.contains("truncated"), "{whole}");

    let mut keep = Retention::default();
    keep.frames = 3;
    let now = SystemTime::now();
    let pruned = world.store.prune(&world.session, &keep, 100, now).await;
    assert_eq!(pruned.unwrap(), 7);

    let second = page(&world, "?limit=2").await;
    assert_eq!(
        (numbers(&second), &second["first_sequence_num"]),
        (vec![7, 8], &7.into())
    );
    let second = page(&world, "?sort_order=desc").await;
    assert_eq!(
        (numbers(&second), &second["first_sequence_num"]),
        (vec![9, 8, 7], &7.into())
    );

    let (status, first) = world.get(&path).await;
    assert_eq!(status, 200);
    assert_eq!(raw_items(&first).len(), 3);
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        (&first["truncated"], &first["first_kept"]),
        (&true.into(), &7.into())
    );
    let (status, rest) = world.get(&format!("{path}?after_id=a7")).await;
    assert_eq!(status, 200);
    assert!(!rest.contains("truncated"), "{rest}");
    let (status, gone) = world.get(&format!("{path}?after_id=a3")).await;
    assert_eq!(status, 410, "{gone}");
    let (status, _) = world.get(&format!("{path}?after_id=never")).await;
    assert_eq!(status, 404);
}
