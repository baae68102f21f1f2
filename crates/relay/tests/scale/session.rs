//! One session of the crowd: its agent, those who read it, and perhaps one who does not.

use core::{fmt::Write as _, time::Duration};
use std::time::Instant;

use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    crowd::{Got, TOKEN, Viewer},
    door::{Client, Door},
};

pub(crate) const ROUNDS: usize = 20;
/// How many frames a round brings: a few, or enough in all that no buffer holds them.
const FRAMES: usize = 2;
const FRAMES_TO_STALL: usize = 50;
const PADDING_BYTES: usize = 200;

pub(crate) struct Session {
    path: String,
    agent: Client,
    token: String,
    epoch: u64,
    readers: Vec<JoinHandle<()>>,
    /// Which frame a reader has come to, or at which it was cut off.
    reached: mpsc::UnboundedReceiver<Result<usize, usize>>,
    stalled: Option<Viewer>,
    said: usize,
    worst: Duration,
}

impl Session {
    /// Starts a session with viewers on sockets and on streams by turns. If it `stalls`, the first one
    /// reads nothing.
    pub(crate) async fn start(
        door: &Door,
        viewers: usize,
        first_is_socket: bool,
        stalls: bool,
    ) -> Self {
        let mut agent = door.client().await;
        let created = agent
            .post("/v1/code/sessions", TOKEN, "{}".to_owned())
            .await;
        let id = created["session"]["id"].as_str().unwrap().to_owned();
        let bridge = format!("/v1/code/sessions/{id}/bridge");
        let registered = agent.post(&bridge, TOKEN, "{}".to_owned()).await;

        let (tell, reached) = mpsc::unbounded_channel();
        let (mut readers, mut stalled) = (Vec::new(), None);
        for number in 0..viewers {
            let viewer = if number.is_multiple_of(2) == first_is_socket {
                Viewer::socket(door, &id).await
            } else {
                Viewer::stream(door, &id).await
            };
            if stalls && number == 0 {
                stalled = Some(viewer);
            } else {
                readers.push(tokio::spawn(read(viewer, tell.clone())));
            }
        }
        Self {
            path: format!("/v1/code/sessions/{id}/worker/events"),
            agent,
            token: registered["worker_jwt"].as_str().unwrap().to_owned(),
            epoch: registered["worker_epoch"].as_u64().unwrap(),
            readers,
            reached,
            stalled,
            said: 0,
            worst: Duration::ZERO,
        }
    }

    pub(crate) fn stalls(&self) -> bool {
        self.stalled.is_some()
    }

    /// Says something in every round, and goes on when everybody who reads has it. Returns how many
    /// frames and bytes that were.
    pub(crate) async fn speak(&mut self) -> (usize, usize) {
        let frames = if self.stalls() {
            FRAMES_TO_STALL
        } else {
            FRAMES
        };
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            bytes += self.round(frames).await;
            self.worst = self.worst.max(started.elapsed());
        }
        (frames * ROUNDS, bytes)
    }

    pub(crate) async fn round(&mut self, frames: usize) -> usize {
        let mut body = format!("{{\"worker_epoch\":{},\"events\":[", self.epoch);
        let padding = "x".repeat(PADDING_BYTES);
        for frame in 0..frames {
            self.said += 1;
            let comma = if frame == 0 { "" } else { "," };
            let _ = write!(
                body,
                "{comma}{{\"payload\":{{\"type\":\"assistant\",\"uuid\":\"a-{0}\",\"number\":{0},\"padding\":\"{padding}\"}}}}",
                self.said
            );
        }
        body.push_str("]}");
        let bytes = body.len();
        self.agent.post(&self.path, &self.token, body).await;
        let mut there = 0;
        while there < self.readers.len() {
            let reached = self.reached.recv().await.unwrap();
            if reached.expect("whoever reads is not cut off") == self.said {
                there += 1;
            }
        }
        bytes
    }

    /// Has whoever read nothing read at last, and says how long the slowest delivery took.
    pub(crate) async fn end(mut self, in_memory: bool) -> Duration {
        if let Some(mut late) = self.stalled.take() {
            let mut expected = 1;
            let end = loop {
                if expected > self.said {
                    break Ok(());
                }
                match late.next().await {
                    Got::Frame(frame) => {
                        assert_eq!(number(&frame), expected);
                        expected += 1;
                    }
                    Got::End(code) => break Err(code),
                }
            };
            match late {
                // The socket is closed as too slow, the stream misses nothing.
                Viewer::Socket(_) if in_memory => assert_eq!(end, Err(Some(1013))),
                Viewer::Socket(_) => {}
                Viewer::Stream { .. } => assert_eq!(end, Ok(())),
            }
        }
        for reader in self.readers {
            reader.abort();
        }
        self.worst
    }
}

/// Reads all there is, in order and without a hole.
async fn read(mut viewer: Viewer, tell: mpsc::UnboundedSender<Result<usize, usize>>) {
    let mut expected = 1;
    while let Got::Frame(frame) = viewer.next().await {
        assert_eq!(number(&frame), expected);
        let _ = tell.send(Ok(expected));
        expected += 1;
    }
    let _ = tell.send(Err(expected));
}

fn number(frame: &str) -> usize {
    let (_, rest) = frame.split_once("\"number\":").unwrap();
    rest.split_once(',').unwrap().0.parse().unwrap()
}
