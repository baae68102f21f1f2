//! Every way of reading a session tells the same story.

use std::{collections::HashSet, sync::Arc};

use attache_protocol::frame::{Frame, FrameKind};
use attache_relay::{
    Agent, Store as _,
    store::{After, Origin, StoredFrame},
};
use proptest::prelude::*;
use serde_json::Value;

use crate::world::{
    World, answer, assistant, cancel, options, prompt, raw_items, request, soon, user,
};

/// The last thing that is said.
const END: &str = "the-end";

#[derive(Clone, Debug)]
enum Step {
    /// Viewers say something, all in one request.
    Say(usize, Generation),
    /// The agent says something, all in one batch.
    Publish(usize),
    Delta,
    Prompt,
    /// A viewer answers the oldest open prompt.
    Answer(Generation),
    /// The agent takes the oldest open prompt back.
    Cancel,
    /// A viewer asks something of the agent, which is in the log and on no other viewer's socket.
    Ask(Generation),
}

#[derive(Copy, Clone, Debug)]
enum Generation {
    First,
    Second,
}

fn step() -> impl Strategy<Value = Step> {
    let generation = prop_oneof![Just(Generation::First), Just(Generation::Second)];
    prop_oneof![
        4 => (1..8_usize, generation.clone()).prop_map(|(count, by)| Step::Say(count, by)),
        4 => (1..12_usize).prop_map(Step::Publish),
        3 => Just(Step::Delta),
        2 => Just(Step::Prompt),
        2 => generation.clone().prop_map(Step::Answer),
        1 => Just(Step::Cancel),
        2 => generation.prop_map(Step::Ask),
    ]
}

/// After how many events a reader comes back, again and again.
fn breaks() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..20_usize, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        // A reader that waits for what never comes takes its time to fail.
        max_shrink_iters: 16,
        ..ProptestConfig::default()
    })]

    #[test]
    fn all_readers_see_the_same_log_in_the_same_order(
        steps in prop::collection::vec(step(), 5..40),
        breaks in prop::array::uniform4(breaks()),
        // Also fewer than one batch brings.
        room in prop_oneof![Just(2_usize), Just(8), Just(1024)],
    ) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(compare(steps, breaks, room));
    }
}

async fn compare(steps: Vec<Step>, breaks: [Vec<usize>; 4], room: usize) {
    let mut options = options();
    options.viewer_buffer_frames = room;
    let world = Arc::new(World::with(options).await);
    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let [first, second, third, fourth] = breaks;
    let sockets = tokio::spawn(follow_by_socket(world.clone(), first));
    let streams = tokio::spawn(follow_by_stream(world.clone(), second));
    let pages = tokio::spawn(follow_by_list(world.clone(), third));
    let code_pages = tokio::spawn(follow_by_code_list(world.clone(), fourth));
    speak(&world, &agent, steps).await;

    let log = world
        .store
        .frames(&world.session, After::Sequence(0), None, usize::MAX);
    let log = log.await.unwrap().frames;
    let texts: Vec<_> = log.iter().map(|stored| stored.text.to_string()).collect();
    let numbered: Vec<_> = (1_u64..).zip(texts.iter().cloned()).collect();
    assert_eq!(soon(streams).await.unwrap(), numbered);
    assert_eq!(soon(pages).await.unwrap(), texts);
    assert_eq!(soon(code_pages).await.unwrap(), numbered);
    assert_eq!(backwards(&world).await, numbered);
    // What viewers ask of the agent is on no socket, so it is seen only in pages.
    let shown = log.iter().filter(|stored| !is_asked_by_viewer(stored));
    let shown: Vec<_> = shown.map(|stored| stored.text.to_string()).collect();
    let mut seen = soon(sockets).await.unwrap();
    seen.retain(|text| shown.contains(text));
    assert_eq!(seen, shown);
}

fn is_asked_by_viewer(stored: &StoredFrame) -> bool {
    let frame = Frame::classify(stored.text.clone()).unwrap();
    stored.origin == Origin::Viewer && matches!(frame.kind(), FrameKind::ControlRequest { .. })
}

/// The `uuid` of a frame of the log; `None` is for other frames.
fn stored_id(text: &str) -> Option<String> {
    let frame = Frame::classify(text.into()).unwrap();
    let id = frame.uuid().filter(|_| frame.is_stored());
    id.map(ToString::to_string)
}

async fn speak(world: &World, agent: &Agent, steps: Vec<Step>) {
    let (mut said, mut open) = (0, Vec::new());
    let mut next = || {
        said += 1;
        said
    };
    let say = async |frames: Vec<String>, by: Generation| {
        let frames: Vec<_> = frames.iter().map(String::as_str).collect();
        let status = match by {
            Generation::First => world.post_events(&frames).await.0,
            Generation::Second => world.say(&frames).await.0,
        };
        assert_eq!(status, 200);
    };
    let publisher = agent.publisher();
    for step in steps {
        match step {
            Step::Say(count, by) => {
                let frames = (0..count).map(|_| user(&format!("u{}", next())));
                say(frames.collect(), by).await;
            }
            Step::Publish(count) => {
                let frames = (0..count).map(|_| assistant(&format!("a{}", next())));
                let frames: Vec<_> = frames.collect();
                publisher.publish_all(&frames).await.unwrap();
            }
            Step::Delta => {
                let delta = format!(r#"{{"type":"stream_event","n":{}}}"#, next());
                publisher.publish(&delta).await.unwrap();
            }
            Step::Prompt => {
                let id = format!("p{}", next());
                publisher.publish(&prompt(&id)).await.unwrap();
                open.push(id);
            }
            Step::Answer(by) if !open.is_empty() => {
                let id = open.remove(0);
                say(vec![answer(&id, &format!("answer-{id}"))], by).await;
            }
            Step::Cancel if !open.is_empty() => {
                publisher.publish(&cancel(&open.remove(0))).await.unwrap();
            }
            Step::Answer(_) | Step::Cancel => {}
            Step::Ask(by) => {
                let ask = request(&format!("v{}", next()), "set_model");
                say(vec![ask], by).await;
            }
        }
    }
    publisher.publish(&assistant(END)).await.unwrap();
}

/// As viewers of the first generation do it: subscribe, read what was missed, go on live.
async fn follow_by_socket(world: Arc<World>, breaks: Vec<usize>) -> Vec<String> {
    let (mut seen, mut known) = (Vec::new(), HashSet::new());
    let mut last = None;
    for left in breaks.into_iter().cycle() {
        let mut viewer = world.viewer().await;
        let mut missed = page_all(&world, last.as_deref(), 7).await.into_iter();
        let mut left = left;
        while left > 0 {
            let text = match missed.next() {
                Some(text) => text,
                None => match viewer.next().await {
                    Ok(text) => text,
                    // It was too slow.
                    Err(_) => break,
                },
            };
            let Some(id) = stored_id(&text) else { continue };
            if known.insert(id.clone()) {
                seen.push(text);
                // What is asked again is no place in the log.
                last = Some(id.clone());
                left -= 1;
            }
            if id == END {
                return seen;
            }
        }
    }
    unreachable!("the breaks go on for ever")
}

async fn page_all(world: &World, after: Option<&str>, limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), after.map(str::to_owned));
    loop {
        let (items, has_more) = page(world, after.as_deref(), limit).await;
        after = items.last().and_then(|text| stored_id(text)).or(after);
        all.extend(items);
        if !has_more {
            return all;
        }
    }
}

async fn page(world: &World, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let after = after.map(|id| format!("&after_id={id}"));
    let path = format!(
        "/v1/sessions/{}/events?limit={limit}{}",
        world.session,
        after.unwrap_or_default()
    );
    let (status, body) = world.get(&path).await;
    assert_eq!(status, 200, "{body}");
    let has_more = serde_json::from_str::<Value>(&body).unwrap()["has_more"] == true;
    (raw_items(&body), has_more)
}

async fn follow_by_list(world: Arc<World>, limits: Vec<usize>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for limit in limits.into_iter().cycle() {
        let last = seen.last().and_then(|text| stored_id(text));
        seen.extend(page(&world, last.as_deref(), limit).await.0);
        if seen.last() == Some(&assistant(END)) {
            break;
        }
        tokio::task::yield_now().await;
    }
    seen
}

async fn follow_by_stream(world: Arc<World>, breaks: Vec<usize>) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    for left in breaks.into_iter().cycle() {
        let mut stream = world.watch_after(seen.len() as u64).await;
        let mut left = left;
        while left > 0 {
            let event = stream.event().await;
            let Some(number) = event.id else { continue };
            seen.push((number, event.payload));
            left -= 1;
            if event.data["event_id"] == END {
                return seen;
            }
        }
    }
    unreachable!("the breaks go on for ever")
}

async fn follow_by_code_list(world: Arc<World>, limits: Vec<usize>) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    for limit in limits.into_iter().cycle() {
        let query = format!("limit={limit}&cursor={}", seen.len());
        seen.extend(code_page(&world, &query).await.0);
        if seen.last().is_some_and(|(_, text)| *text == assistant(END)) {
            break;
        }
        tokio::task::yield_now().await;
    }
    seen
}

async fn backwards(world: &World) -> Vec<(u64, String)> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!("limit=9&sort_order=desc{cursor}");
        let (events, next) = code_page(world, &query).await;
        seen.extend(events);
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    seen.reverse();
    seen
}

async fn code_page(world: &World, query: &str) -> (Vec<(u64, String)>, Option<String>) {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        data: Vec<Event<'a>>,
        next_cursor: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct Event<'a> {
        sequence_num: u64,
        #[serde(borrow)]
        payload: &'a serde_json::value::RawValue,
    }
    let id = world.session.v2();
    let path = format!("/v1/code/sessions/{id}/events?{query}");
    let (status, body) = world.get(&path).await;
    assert_eq!(status, 200, "{body}");
    let page: Page<'_> = serde_json::from_str(&body).unwrap();
    let events = page.data.iter();
    let events = events.map(|event| (event.sequence_num, event.payload.get().to_owned()));
    (events.collect(), page.next_cursor)
}
