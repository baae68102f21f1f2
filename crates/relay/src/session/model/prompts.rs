//! Prompts under every interleaving of agents, answers, crashes and silence.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use attache_protocol::{
    ByteString,
    frame::{
        Frame, FrameKind,
        relay::{AnswerRefused, RefusedBecause, Settlement},
    },
};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use crate::{
    Identity, MemoryStore, Relay, RelayError, RelayOptions, Role, Store,
    line::Line,
    outgoing::Outgoing,
    session::{Epoch, Published, ViewerId},
    store::{After, Origin, SessionDetails, SessionRecord, StoredFrame},
};

const LEASE: Duration = Duration::from_secs(60);
const VIEWERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Register { instance: Option<u8> },
    Ask { request: u8, uuid: u8 },
    Cancel { request: u8 },
    // `by` is a socket, or the one that posts.
    Answer { by: usize, request: u8, uuid: u8 },
    Subscribe { viewer: usize },
    Wait { seconds: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let request = || 0..3_u8;
    prop_oneof![
        2 => prop::option::of(0..2_u8).prop_map(|instance| Step::Register { instance }),
        6 => (request(), 0..9_u8).prop_map(|(request, uuid)| Step::Ask { request, uuid }),
        2 => request().prop_map(|request| Step::Cancel { request }),
        10 => (0..=VIEWERS, request(), 0..12_u8)
            .prop_map(|(by, request, uuid)| Step::Answer { by, request, uuid }),
        1 => (0..VIEWERS).prop_map(|viewer| Step::Subscribe { viewer }),
        2 => prop_oneof![Just(20_u64), Just(61)].prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Wins,
    Repeats,
    Refused(RefusedBecause),
}

/// What ought to be.
struct Model {
    epoch: u64,
    instance: Option<u8>,
    /// When the worker is given up; `None` when it is, or there is none.
    until: Option<Instant>,
    open: BTreeSet<u8>,
    /// By the answer that won; `None` when it was taken back.
    settled: BTreeMap<u8, Option<u8>>,
    asks: BTreeSet<u8>,
    answers: BTreeSet<u8>,
}

impl Model {
    fn new() -> Self {
        Self {
            epoch: 0,
            instance: None,
            until: None,
            open: BTreeSet::new(),
            settled: BTreeMap::new(),
            asks: BTreeSet::new(),
            answers: BTreeSet::new(),
        }
    }

    fn withdraw(&mut self, requests: &BTreeSet<u8>) {
        for request in requests {
            if self.open.remove(request) {
                self.settled.insert(*request, None);
            }
        }
    }

    fn register(&mut self, instance: Option<u8>) {
        if self.instance != instance && !self.open.is_empty() {
            let open = self.open.clone();
            self.withdraw(&open);
            self.epoch += 1;
        }
        self.epoch += 1;
        self.instance = instance;
        self.until = Some(Instant::now() + LEASE);
    }

    fn wait(&mut self) {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.until = None;
            let open = self.open.clone();
            self.withdraw(&open);
        }
    }

    /// Whether the worker may speak; if so it has been heard of.
    fn hears_worker(&mut self) -> bool {
        let hears = self.until.is_some();
        if hears {
            self.until = Some(Instant::now() + LEASE);
        }
        hears
    }

    fn ask(&mut self, request: u8, uuid: u8) {
        if self.asks.insert(uuid) && self.open.insert(request) {
            self.settled.remove(&request);
        }
    }

    fn answer(&mut self, request: u8, uuid: u8) -> Verdict {
        if self.open.contains(&request) {
            if !self.answers.insert(uuid) {
                return Verdict::Repeats;
            }
            self.open.remove(&request);
            self.settled.insert(request, Some(uuid));
            return Verdict::Wins;
        }
        match self.settled.get(&request) {
            Some(Some(winner)) if *winner == uuid => Verdict::Repeats,
            Some(Some(_)) => Verdict::Refused(RefusedBecause::Answered),
            Some(None) => Verdict::Refused(RefusedBecause::Withdrawn),
            None => Verdict::Refused(RefusedBecause::Unknown),
        }
    }
}

/// A viewer on a socket, and what it was told.
struct Socket {
    id: ViewerId,
    outgoing: Arc<Outgoing>,
    /// Where the log ended when it came.
    since: u64,
    heard: Vec<ByteString>,
}

struct Real {
    store: Arc<MemoryStore>,
    relay: Relay,
    record: SessionRecord,
    sockets: Vec<Socket>,
}

impl Real {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let relay = Relay::new(store.clone(), RelayOptions::default());
        let created = relay.create(None, "prompts", SessionDetails::default());
        let record = created.await.unwrap();
        let mut real = Self {
            store,
            relay,
            record,
            sockets: Vec::new(),
        };
        real.subscribe_all().await;
        real
    }

    async fn subscribe_all(&mut self) {
        self.sockets.clear();
        for _ in 0..VIEWERS {
            let socket = self.subscribe().await;
            self.sockets.push(socket);
        }
    }

    async fn subscribe(&self) -> Socket {
        let session = self.relay.session(&self.record.id).await.unwrap();
        let outgoing = Arc::new(Outgoing::for_socket(10_000, 1 << 24));
        let subscribed = session.subscribe(outgoing.clone(), somebody()).await;
        let mut socket = Socket {
            id: subscribed.unwrap().viewer,
            outgoing,
            since: self.log().await.last().map_or(0, |last| last.sequence),
            heard: Vec::new(),
        };
        socket.listen().await;
        socket.heard.clear();
        socket
    }

    async fn log(&self) -> Vec<StoredFrame> {
        let all = After::Sequence(0);
        let page = self.store.frames(&self.record.id, all, None, usize::MAX);
        page.await.unwrap().frames
    }

    async fn upload(&self, epoch: u64, text: &str) -> Result<(), RelayError> {
        let session = self.relay.session(&self.record.id).await?;
        let lines = vec![Line::accept(text).unwrap()];
        session.upload(Epoch(epoch), lines).await.map(drop)
    }

    async fn answer(&mut self, by: usize, request: u8, uuid: u8) -> Verdict {
        let session = self.relay.session(&self.record.id).await.unwrap();
        let behavior = if uuid.is_multiple_of(2) {
            "allow"
        } else {
            "deny"
        };
        let line = Line::accept(&format!(
            r#"{{"type":"control_response","uuid":"answer-{uuid}","response":{{"subtype":"success","request_id":"r{request}","response":{{"behavior":"{behavior}"}}}}}}"#
        ));
        let line = line.unwrap();
        let before = self.log().await.len();
        let Some(socket) = self.sockets.get_mut(by) else {
            let posted = session.post(vec![line], somebody()).await.unwrap();
            return match &posted[0] {
                Published::Stored(_) => Verdict::Wins,
                Published::Duplicate(_) => Verdict::Repeats,
                Published::Refused(refused) => Verdict::Refused(refused.reason),
                other @ (Published::Live | Published::Ignored) => panic!("{other:?}"),
            };
        };
        socket.listen().await;
        session.take_from(socket.id, line).await.unwrap();
        // Whatever is asked next is done after it.
        session.post(Vec::new(), somebody()).await.unwrap();
        let heard = socket.heard.len();
        socket.listen().await;
        let news = socket.heard.split_off(heard);
        let log = self.log().await;
        if log.len() > before {
            self.sockets[by].heard.extend(news);
            return Verdict::Wins;
        }
        let Some(told) = news.first() else {
            return Verdict::Repeats;
        };
        if let Some(refused) = AnswerRefused::read(&frame(told)) {
            return Verdict::Refused(refused.reason);
        }
        assert!(log.iter().any(|one| one.text == *told), "told once more");
        Verdict::Repeats
    }
}

impl Socket {
    async fn listen(&mut self) {
        let end = Line::known(r#"{"type":"end"}"#).unwrap();
        self.outgoing
            .push(&crate::outgoing::Item::live(end, Origin::Relay));
        loop {
            let batch = self.outgoing.next().await.unwrap();
            for item in batch.items() {
                let text = item.wire().unwrap();
                let text = text.trim_end();
                if text == r#"{"type":"end"}"# {
                    return;
                }
                self.heard.push(text.into());
            }
        }
    }
}

fn somebody() -> Arc<Identity> {
    let mut identity = Identity::owner();
    identity.role = Role::Approve;
    Arc::new(identity)
}

fn frame(text: &ByteString) -> Frame {
    Frame::classify(text.clone()).unwrap()
}

async fn compare(steps: Vec<Step>) {
    let mut real = Real::new().await;
    let mut model = Model::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Register { instance } => {
                let session = real.relay.session(&real.record.id).await.unwrap();
                let name = instance.map(|name| ByteString::from(name.to_string()));
                let epoch = session.register(name).await.unwrap();
                model.register(*instance);
                assert_eq!(epoch, Epoch(model.epoch), "step {at}");
            }
            Step::Ask { request, uuid } => {
                let text = format!(
                    r#"{{"type":"control_request","uuid":"ask-{uuid}","request_id":"r{request}","request":{{"subtype":"can_use_tool"}}}}"#
                );
                let said = real.upload(model.epoch, &text).await;
                assert_eq!(said.is_ok(), model.hears_worker(), "step {at}");
                if said.is_ok() {
                    model.ask(*request, *uuid);
                }
            }
            Step::Cancel { request } => {
                let text = format!(
                    r#"{{"type":"control_cancel_request","uuid":"cancel-{at}","request_id":"r{request}"}}"#
                );
                let said = real.upload(model.epoch, &text).await;
                assert_eq!(said.is_ok(), model.hears_worker(), "step {at}");
                if said.is_ok() {
                    model.withdraw(&BTreeSet::from([*request]));
                }
            }
            Step::Answer { by, request, uuid } => {
                let verdict = real.answer(*by, *request, *uuid).await;
                let expected = model.answer(*request, *uuid);
                assert_eq!(verdict, expected, "step {at}: {step:?}");
            }
            Step::Subscribe { viewer } => real.sockets[*viewer] = real.subscribe().await,
            Step::Wait { seconds } => {
                sleep(Duration::from_secs(*seconds)).await;
                model.wait();
            }
            Step::Restart => {
                real.relay.kill();
                real.relay = Relay::new(real.store.clone(), RelayOptions::default());
                real.subscribe_all().await;
                model.until = (model.epoch > 0).then(|| Instant::now() + LEASE);
            }
        }
        // A command is done when the next one is answered.
        let session = real.relay.session(&real.record.id).await.unwrap();
        session.post(Vec::new(), somebody()).await.unwrap();
        let log = real.log().await;
        assert_eq!(open_in(&log), model.open, "step {at}: {step:?}");
    }
    let log = real.log().await;
    // Settlements, and what is taken back.
    let told: Vec<_> = log
        .iter()
        .filter(|one| one.origin == Origin::Relay)
        .collect();
    for socket in &mut real.sockets {
        socket.listen().await;
        let is_one = |text: &&ByteString| told.iter().any(|one| one.text == **text);
        let heard: Vec<_> = socket.heard.iter().filter(is_one).collect();
        let expected = told.iter().filter(|one| one.sequence > socket.since);
        let expected: Vec<_> = expected.map(|one| &one.text).collect();
        assert_eq!(heard, expected, "what everybody is told");
    }
}

/// Which requests are open at the end of a log, in which no request has two answers, and each answer
/// is what its settlement says. An agent that was not heard of is told once that nobody answers.
fn open_in(log: &[StoredFrame]) -> BTreeSet<u8> {
    let number = |id: &str| id.trim_start_matches('r').parse::<u8>().unwrap();
    let (mut open, mut lost) = (BTreeSet::new(), BTreeSet::new());
    let mut frames = log.iter().peekable();
    while let Some(stored) = frames.next() {
        let said = frame(&stored.text);
        match (stored.origin, said.kind()) {
            (Origin::Agent, FrameKind::ControlRequest { request_id, .. }) => {
                open.insert(number(request_id.as_str()));
                lost.remove(&number(request_id.as_str()));
            }
            (_, FrameKind::ControlCancelRequest { request_id }) => {
                let was_open = open.remove(&number(request_id.as_str()));
                assert!(was_open || stored.origin == Origin::Agent);
                if stored.text.contains(r#""reason":"worker_lost""#) {
                    lost.insert(number(request_id.as_str()));
                }
            }
            (Origin::Viewer, FrameKind::ControlResponse { request_id })
                if stored.text.contains(r#""subtype":"error""#) =>
            {
                assert!(lost.remove(&number(request_id.as_str())), "told twice");
            }
            (Origin::Viewer, FrameKind::ControlResponse { request_id }) => {
                assert!(open.remove(&number(request_id.as_str())), "a second answer");
                let next = frames.next().expect("a settlement");
                assert_eq!(next.origin, Origin::Relay);
                let settlement = Settlement::read(&frame(&next.text)).unwrap();
                assert_eq!(settlement.request_id, *request_id);
                assert_eq!(settlement.answer_id.as_deref(), Some(&*stored.uuid));
                let behavior = format!("{:?}", settlement.behavior).to_lowercase();
                assert!(stored.text.contains(&format!(r#""behavior":"{behavior}""#)));
            }
            (origin, kind) => panic!("{origin:?} {kind:?}"),
        }
    }
    open
}

proptest! {
    #[test]
    fn a_prompt_has_one_answer_and_everybody_knows_whose(steps in prop::collection::vec(step(), 1..80)) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(compare(steps));
    }
}
