//! A conversation through bad weather.

use serde_json::json;
use tokio::time::timeout;

use super::results;
use crate::{
    hub::Hub,
    program::LIMIT,
    weather::{Proxy, Weather},
};

#[tokio::test]
async fn cuts_trickles_and_busy_servers_lose_and_repeat_nothing() {
    const WEATHERS: [Weather; 4] = [
        Weather::Fair,
        Weather::Trickle,
        Weather::Busy,
        Weather::Fair,
    ];
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.address()).await;
    let (_bridge, session) = hub.bridge_through(proxy.address, &[]).await;
    let mut viewer = hub.viewer(&session).await;
    let mut expected = Vec::new();
    for round in 0..3 {
        for weather in WEATHERS {
            for half in ["before", "after"] {
                let text = format!("{half} {weather:?} {round}");
                viewer.say(&text).await;
                expected.push(format!("You said: {text}"));
                if half == "before" {
                    proxy.turns(weather);
                }
            }
            if weather == Weather::Busy {
                let turned_away = proxy.turned_away();
                let seen = async {
                    while proxy.turned_away() == turned_away {
                        tokio::task::yield_now().await;
                    }
                };
                timeout(LIMIT, seen).await.expect("the bridge tries again");
            }
        }
    }
    loop {
        let result = viewer.message("result").await;
        if result["result"] == expected.last().unwrap().as_str() {
            break;
        }
    }
    // An answer given in bad weather arrives once, too.
    viewer.say("tool").await;
    let asked = viewer.event("permission_requested").await;
    proxy.turns(Weather::Trickle);
    let answer = json!({
        "command": "decide",
        "request_id": asked["request_id"],
        "behavior": "allow",
    });
    viewer.command(&answer).await;
    let told = viewer.message("result").await;
    assert_eq!(told["permission_denials"], json!([]), "{told}");

    let log = hub.log(&session).await;
    let results = results(&log);
    let (last, before) = results.split_last().unwrap();
    assert_eq!(before, expected);
    assert_eq!(*last, told["result"]);
    let mut ids: Vec<_> = log.iter().map(|frame| frame["uuid"].to_string()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all);
    let asked = log
        .iter()
        .filter(|frame| frame["request"]["subtype"] == "can_use_tool");
    assert_eq!(asked.count(), 1);
}
