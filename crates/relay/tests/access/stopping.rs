//! A relay that stops in order keeps what it has said yes to.

use core::time::Duration;
use std::{collections::BTreeSet, sync::Arc};

use attache_relay::{
    Relay, SqliteStore, Store,
    store::{After, StoredFrame},
};
use http_body_util::BodyExt as _;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use crate::{
    workers::{read, send},
    world::{TOKEN, Viewer, options, soon, user},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_is_on_disk_and_everybody_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
    let relay = Relay::new(store.clone(), options());
    let session = relay.create_session("a test").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(relay.serve(listener, async { drop(stopped.await) }));

    let url = format!("ws://{address}/v1/sessions/ws/{session}/subscribe");
    let mut viewer = Viewer::connect(&url, Some(TOKEN)).await;
    let url = format!(
        "http://{address}/v1/code/sessions/{}/events/stream",
        session.v2()
    );
    let mut stream = send("GET", &url, TOKEN, "", &[]).await;
    assert_eq!(stream.status(), 200);

    let mut posts = JoinSet::new();
    for client in 0..4 {
        let url = format!("http://{address}/v1/sessions/{session}/events");
        posts.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let id = format!("u{client}-{number}");
                let body = format!(r#"{{"events":[{}]}}"#, user(&id));
                // The relay is gone when nobody listens any more.
                if tokio::net::TcpStream::connect(address).await.is_err() {
                    break;
                }
                let posted = tokio::spawn({
                    let url = url.clone();
                    async move { read(send("POST", &url, TOKEN, &body, &[]).await).await.0 }
                });
                match posted.await {
                    Ok(status) if status == 200 => acknowledged.push(id),
                    Ok(_) | Err(_) => break,
                }
            }
            acknowledged
        });
    }
    // In the middle of it.
    while viewer.frame().await.contains("u0-0") {}
    drop(stop);
    assert_eq!(viewer.closed().await.0, 1012);
    let rest = async { while stream.body_mut().frame().await.is_some() {} };
    soon(rest).await;
    let began = std::time::Instant::now();
    soon(serving).await.unwrap().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "nobody had to be killed"
    );
    let acknowledged: Vec<String> = soon(posts.join_all()).await.concat();
    assert!(!acknowledged.is_empty());
    drop(relay);
    let alone = async {
        while Arc::strong_count(&store) > 1 {
            tokio::task::yield_now().await;
        }
    };
    soon(alone).await;
    store.close().await;
    drop(store);

    let store = SqliteStore::open(folder.path()).unwrap();
    let mut stored: Vec<StoredFrame> = Vec::new();
    loop {
        let after = After::Sequence(stored.last().map_or(0, |frame| frame.sequence));
        let page = store.frames(&session, after, None, 1000).await.unwrap();
        stored.extend(page.frames);
        if !page.has_more {
            break;
        }
    }
    let ids: BTreeSet<_> = stored.iter().map(|frame| frame.uuid.to_string()).collect();
    assert_eq!(ids.len(), stored.len());
    for id in acknowledged {
        assert!(ids.contains(&id), "{id} was acknowledged and is gone");
    }
}
