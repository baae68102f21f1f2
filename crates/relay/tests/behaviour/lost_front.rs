//! Readers of a log that loses its front are told what they missed, and miss nothing else.

use std::{sync::Arc, time::SystemTime};

use attache_relay::{Store as _, store::Retention};
use proptest::prelude::*;
use serde_json::Value;

use crate::world::{World, assistant, options, raw_items, soon};

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    /// All but so many frames are given up.
    Prune(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..15_usize).prop_map(Step::Publish),
        1 => (1..20_u64).prop_map(Step::Prune),
    ]
}

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
    fn nobody_is_served_a_silent_hole(
        steps in prop::collection::vec(step(), 5..40),
        breaks in prop::array::uniform3(breaks()),
        room in prop_oneof![Just(2_usize), Just(1024)],
    ) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(follow(steps, breaks, room));
    }
}

async fn follow(steps: Vec<Step>, breaks: [Vec<usize>; 3], room: usize) {
    let mut options = options();
    options.viewer_buffer_frames = room;
    let world = Arc::new(World::with(options).await);
    let frames = |step: &Step| match step {
        Step::Publish(count) => *count as u64,
        Step::Prune(_) => 0,
    };
    let last = steps.iter().map(frames).sum::<u64>() + 1;
    let [first, second, third] = breaks;
    let streams = tokio::spawn(by_stream(world.clone(), first, last));
    let pages = tokio::spawn(by_list(world.clone(), second, last));
    let code_pages = tokio::spawn(by_code_list(world.clone(), third, last));

    let agent = world.relay.attach_agent(&world.session).await.unwrap();
    let publisher = agent.publisher();
    let mut said = 0;
    for step in steps.into_iter().chain([Step::Publish(1)]) {
        match step {
            Step::Publish(count) => {
                let frames = (said..).skip(1).take(count).map(frame);
                let frames = frames.collect::<Vec<_>>();
                said += count as u64;
                publisher.publish_all(&frames).await.unwrap();
            }
            Step::Prune(kept) => {
                let mut keep = Retention::default();
                keep.frames = kept;
                let now = SystemTime::now();
                let pruned = world.store.prune(&world.session, &keep, u64::MAX, now);
                pruned.await.unwrap();
            }
        }
        // Readers get on meanwhile.
        world.status().await;
    }
    for reader in [streams, pages, code_pages] {
        soon(reader).await.unwrap();
    }
}

/// The frame with this sequence number.
fn frame(number: u64) -> String {
    assistant(&format!("a{number}"))
}

/// Where a reader is.
#[derive(Default)]
struct Reader {
    at: u64,
    /// The number with which it goes on, as it was told.
    told: Option<u64>,
}

impl Reader {
    fn is_told(&mut self, first: u64) {
        assert!(first > self.at + 1, "{first} comes after {}", self.at);
        self.told = Some(first);
    }

    fn reads(&mut self, number: u64, text: &str) {
        assert_eq!(number, self.told.take().unwrap_or(self.at + 1));
        assert_eq!(text, frame(number));
        self.at = number;
    }
}

async fn by_stream(world: Arc<World>, breaks: Vec<usize>, last: u64) {
    let mut reader = Reader::default();
    for events in breaks.into_iter().cycle() {
        let mut stream = world.watch_after(reader.at).await;
        // Nobody comes back knowing more than its position.
        reader.told = None;
        let mut left = events;
        while left > 0 {
            let event = stream.event().await;
            match event.id {
                None => reader.is_told(event.data["first_sequence_num"].as_u64().unwrap()),
                Some(number) => {
                    reader.reads(number, &event.payload);
                    left -= 1;
                }
            }
            if reader.at == last {
                return;
            }
        }
    }
}

async fn by_list(world: Arc<World>, limits: Vec<usize>, last: u64) {
    let mut reader = Reader::default();
    let mut after = None;
    for limit in limits.into_iter().cycle() {
        let cursor = after.map(|number: u64| format!("&after_id=a{number}"));
        let cursor = cursor.unwrap_or_default();
        let path = format!(
            "/v1/sessions/{}/events?limit={limit}{cursor}",
            world.session
        );
        let (status, body) = world.get(&path).await;
        if status == 410 {
            after = None;
            continue;
        }
        assert_eq!(status, 200, "{body}");
        let page: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(page["truncated"] == true, page["first_kept"].is_u64());
        if after.is_none() {
            let first = page["first_kept"].as_u64().unwrap_or(1);
            reader.at = first - 1;
        }
        for text in raw_items(&body) {
            let uuid = serde_json::from_str::<Value>(&text).unwrap()["uuid"].clone();
            let number = uuid.as_str().unwrap().strip_prefix('a').unwrap();
            reader.reads(number.parse().unwrap(), &text);
            after = Some(reader.at);
        }
        if reader.at == last {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn by_code_list(world: Arc<World>, limits: Vec<usize>, last: u64) {
    let mut reader = Reader::default();
    for limit in limits.into_iter().cycle() {
        let (id, at) = (world.session.v2(), reader.at);
        let path = format!("/v1/code/sessions/{id}/events?limit={limit}&cursor={at}");
        let (status, body) = world.get(&path).await;
        assert_eq!(status, 200, "{body}");
        let page: Value = serde_json::from_str(&body).unwrap();
        let first = page["first_sequence_num"].as_u64().unwrap();
        if first > at + 1 && !page["data"].as_array().unwrap().is_empty() {
            reader.is_told(first);
        }
        for event in page["data"].as_array().unwrap() {
            let number = event["sequence_num"].as_u64().unwrap();
            let expected: Value = serde_json::from_str(&frame(number)).unwrap();
            assert_eq!(event["payload"], expected);
            reader.reads(number, &frame(number));
        }
        if reader.at == last {
            return;
        }
        tokio::task::yield_now().await;
    }
}
