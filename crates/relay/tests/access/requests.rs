//! Every request by everybody, as the documentation's table says.

use std::collections::BTreeSet;

use attache_protocol::SessionId;
use attache_relay::{Relay, Role};
use futures_util::StreamExt as _;

use crate::{
    people::{Held, Place, Who},
    table::rows,
    workers::send,
    world::{Viewer, soon},
};

#[test]
fn the_table_has_a_row_for_everything_that_is_served_and_no_other() {
    let endpoints = Relay::endpoints().into_iter();
    let served: BTreeSet<_> = endpoints
        .map(|one| format!("{} {}", one.method, one.path))
        .collect();
    let listed: Vec<_> = rows("request").iter().map(|row| row[0].clone()).collect();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(unique, served);
    assert_eq!(unique.len(), listed.len(), "a row stands there twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_what_the_table_says() {
    let place = Place::open().await;
    let mut wrong = Vec::new();
    let mut tried = 0;
    for row in rows("request") {
        for who in Who::all() {
            let session = place.world.relay.create_session("a test").await.unwrap();
            let held = place.token(who, &session).await;
            let expected = expected(&row, who);
            for got in attempts(&place, &row[0], &session, &held).await {
                tried += 1;
                if got != expected {
                    wrong.push(format!("{} by {who:?}: {got}, not {expected}", row[0]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > rows("request").len() * Who::all().len());
}

/// What the table says.
fn expected(row: &[String], who: Who) -> String {
    let of_role = |role| match role {
        Role::View => &row[2],
        Role::Approve => &row[3],
        Role::Drive => &row[4],
        Role::Own => &row[5],
    };
    let of_guest = |cell: usize, role| match &*row[cell] {
        "role" => of_role(role),
        _ => &row[cell],
    };
    let cell = match who {
        Who::Nobody
        | Who::Garbled
        | Who::Expired
        | Who::Revoked
        | Who::ExpiredGuest
        | Who::RevokedGuest => &row[1],
        Who::Person(role) => of_role(role),
        Who::Guest(role) => of_guest(6, role),
        Who::GuestElsewhere(role) => of_guest(7, role),
        // What a good worker's token would open, one that has expired is no good for.
        Who::ExpiredWorker if row[8] == "ok" => &row[1],
        Who::Worker | Who::ExpiredWorker => &row[8],
        Who::WorkerElsewhere => &row[9],
    };
    cell.clone()
}

/// How the relay answers, over each way there is to show the token.
async fn attempts(place: &Place, row: &str, session: &SessionId, held: &Held) -> Vec<String> {
    let (method, path) = row.split_once(' ').unwrap();
    if path.ends_with("/subscribe") {
        let url = place.world.subscribe_url(&session.v1());
        let header = Viewer::connect(&url, held.token.as_deref()).await;
        let mut outcomes = vec![entered(header).await];
        if let Some(token) = &held.token {
            let mut frame = Viewer::connect(&url, None).await;
            let credential = format!(r#"{{"type":"oauth","token":"{token}"}}"#);
            let auth = format!(r#"{{"type":"auth","credential":{credential}}}"#);
            frame.send(&auth).await;
            outcomes.push(entered(frame).await);
        }
        return outcomes;
    }
    let share = if path.contains("{share_id}") {
        place.share(session, Role::View, 60).await["id"].clone()
    } else {
        serde_json::Value::Null
    };
    let id = if path.starts_with("/v1/code/") {
        session.v2()
    } else {
        session.v1()
    };
    let path = path
        .replace("{id}", &id)
        .replace("{share_id}", share.as_str().unwrap_or_default());
    let url = format!("http://{}{path}", place.world.address);
    let body = body(&path, held.epoch);
    let token = held.token.as_deref().unwrap_or_default();
    let sent = match token {
        "" => send_without_token(method, &url, &body).await,
        token => send(method, &url, token, &body, &[])
            .await
            .status()
            .as_u16(),
    };
    vec![match sent {
        200..=299 => "ok".to_owned(),
        status => status.to_string(),
    }]
}

/// Whether a viewer is let in, or how its socket is closed.
async fn entered(mut viewer: Viewer) -> String {
    match viewer.next_of_any_kind().await {
        Ok(hello) if hello.contains("keep_alive") => "ok".to_owned(),
        Ok(other) => other,
        Err(close) => close.map_or_else(String::new, |close| u16::from(close.code).to_string()),
    }
}

/// What a request needs to be a good one.
fn body(path: &str, epoch: u64) -> String {
    let last = path.rsplit('/').next().unwrap();
    match last {
        "shares" => r#"{"role":"view","ttl_seconds":60}"#.to_owned(),
        "delivery" => format!(r#"{{"worker_epoch":{epoch},"updates":[]}}"#),
        "events" => format!(r#"{{"worker_epoch":{epoch},"events":[]}}"#),
        "worker" | "heartbeat" => format!(r#"{{"worker_epoch":{epoch}}}"#),
        _ => r#"{"title":"another"}"#.to_owned(),
    }
}

async fn send_without_token(method: &str, url: &str, body: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    soon(stream.write_all(request.as_bytes())).await.unwrap();
    let mut answer = [0; 12];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    core::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_guest_sees_its_own_session_in_lists_and_no_other() {
    let place = Place::open().await;
    let world = &place.world;
    world.relay.create_session("another").await.unwrap();
    let guest = place.token(Who::Guest(Role::View), &world.session).await;
    let guest = guest.token.unwrap();
    for (path, id) in [
        ("/v1/sessions", world.session.v1()),
        ("/v1/code/sessions", world.session.v2()),
    ] {
        let (status, list) = place.ask(&guest, "GET", path, "").await;
        assert_eq!((status, list["data"].as_array().unwrap().len()), (200, 1));
        assert_eq!(list["data"][0]["id"], *id);
        let after = format!("{path}?after_id={id}");
        let (status, list) = place.ask(&guest, "GET", &after, "").await;
        assert_eq!((status, &list["data"]), (200, &serde_json::json!([])));
        let everybody = place.ask(place.person(Role::View), "GET", path, "").await;
        assert_eq!(everybody.1["data"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_refusal_says_which_role_it_takes() {
    let place = Place::open().await;
    let path = format!("/v1/sessions/{}", place.world.session);
    let (status, body) = place
        .ask(place.person(Role::Drive), "PATCH", &path, "{}")
        .await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (403, &"permission_error".into())
    );
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("your role is drive (send and interrupt), and this takes own (start"));
}

#[tokio::test]
async fn whether_another_session_exists_is_not_told_to_a_guest() {
    let place = Place::open().await;
    let guest = place
        .token(Who::Guest(Role::Drive), &place.world.session)
        .await;
    let guest = guest.token.unwrap();
    let (status, _) = place
        .ask(&guest, "GET", "/v1/sessions/session_unknown", "")
        .await;
    assert_eq!(status, 403);
    let url = place.world.subscribe_url("session_unknown");
    let mut viewer = Viewer::connect(&url, Some(&guest)).await;
    assert_eq!(viewer.closed().await.0, 4003);
    assert!(viewer.socket.next().await.is_none_or(|end| end.is_err()));
}
