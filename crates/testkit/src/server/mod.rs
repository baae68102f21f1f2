//! The scripted server: a session's log, its subscribers, and everything that can go wrong with them.

mod desk;
pub(crate) mod log;
mod plan;
pub(crate) mod streams;
mod trouble;

use std::{collections::BTreeMap, time::Duration};

use attache_protocol::{
    ByteString, Bytes,
    frame::{Frame, FrameKind},
    io::{Input, NetworkFailure, Refusal, SocketEnding, SocketId, StreamId, Token},
};
use serde_json::{Value, json};

use log::{Log, Source};

use plan::Plans;

pub(crate) use log::Chronicled;
pub use plan::{HttpPlan, Upgrade};
pub(crate) use streams::COMMENT_EVERY;

/// A control frame that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The frame.
    pub frame: ByteString,
}

/// A socket or a stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LineId {
    Socket(SocketId),
    Stream(StreamId),
}

/// How things stand with one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Up,
    /// Nothing passes and nobody is told.
    Frozen,
}

/// A session on a server, with one subscriber at a time.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each names a habit that a story may change"
)]
#[derive(Clone, Debug)]
pub struct Server {
    session: String,
    log: Log,
    lines: BTreeMap<LineId, Line>,
    open_prompts: BTreeMap<String, ByteString>,
    closed_prompts: BTreeMap<String, &'static str>,
    received: Vec<Received>,
    posted: Vec<String>,
    upgrades: Plans<Upgrade>,
    posts: Plans<HttpPlan>,
    lists: Plans<HttpPlan>,
    accepted_token: Option<Token>,
    outgoing: Vec<(Outgoing, Duration)>,
    /// How often a posted message comes back on the stream. 1.
    pub echoes: usize,
    /// Whether answers to prompts come back on the stream.
    pub echoes_answers: bool,
    /// Whether pings are answered.
    pub answers_pings: bool,
    /// Whether a closing handshake is completed.
    pub answers_close: bool,
    /// Whether the agent answers requests such as `interrupt`.
    pub answers_requests: bool,
    /// Whether open prompts are sent again to whoever subscribes.
    pub repeats_prompts: bool,
    /// The status of a list after an id that is not in it. 410.
    pub unknown_position: u16,
    /// How much later than usual HTTP calls are answered.
    pub http_delay: Duration,
    /// Whether streams bring a comment every 15 s.
    pub comments: bool,
    /// The size of the pieces in which streams arrive, in bytes; 0 for whole events.
    pub stream_chunk: usize,
    /// Whether a stream says that it begins later than was asked for.
    pub tells_truncation: bool,
}

/// What the server hands to the network.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    OverLine(LineId, Input),
    Answer(Input),
    /// The line breaks: what is on its way over it is lost.
    Break(LineId, Input),
    /// The line falls silent: what is on its way over it is lost.
    Freeze(LineId),
}

impl Server {
    pub(crate) fn new(session: String) -> Self {
        Self {
            session,
            log: Log::default(),
            lines: BTreeMap::new(),
            open_prompts: BTreeMap::new(),
            closed_prompts: BTreeMap::new(),
            received: Vec::new(),
            posted: Vec::new(),
            upgrades: Plans::usually(Upgrade::Accept),
            posts: Plans::usually(HttpPlan::Serve),
            lists: Plans::usually(HttpPlan::Serve),
            accepted_token: None,
            outgoing: Vec::new(),
            echoes: 1,
            echoes_answers: true,
            answers_pings: true,
            answers_close: true,
            answers_requests: true,
            repeats_prompts: true,
            unknown_position: 410,
            http_delay: Duration::ZERO,
            comments: true,
            stream_chunk: 0,
            tells_truncation: true,
        }
    }

    // What the agent and other viewers say.

    /// A message of this type under this id: stored, and sent to whoever is subscribed.
    pub fn say(&mut self, type_name: &str, uuid: &str) {
        self.emit(
            &json!({
                "type": type_name,
                "uuid": uuid,
                "message": {"role": type_name, "content": [{"type": "text", "text": uuid}]},
            })
            .to_string(),
        );
    }

    /// Any frame: stored under an id if it is of the stored kind, and sent.
    pub fn emit(&mut self, frame: &str) {
        let frame = self.store(frame);
        self.broadcast(&frame);
    }

    /// A frame of a worker's, which the server has not heard before.
    pub(crate) fn take_from_worker(&mut self, frame: &ByteString) {
        let text = self.store(frame);
        self.broadcast(&text);
        let Ok(frame) = Frame::classify(text) else {
            return;
        };
        match frame.kind() {
            FrameKind::ControlRequest { request_id, .. } => {
                let id = request_id.as_str().to_owned();
                self.open_prompts.insert(id, frame.text().clone());
            }
            FrameKind::ControlCancelRequest { request_id } => {
                let id = request_id.as_str();
                self.open_prompts.remove(id);
                self.closed_prompts.insert(id.to_owned(), "withdrawn");
            }
            FrameKind::ControlResponse { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. }
            | FrameKind::Message { .. } => {}
        }
    }

    /// What is stored behind number `after`: the numbers and the frames.
    pub(crate) fn stored_after(&self, after: u64) -> Vec<(u64, ByteString)> {
        let entries = self.log.after(after);
        entries
            .map(|(number, entry)| (number, entry.text.clone()))
            .collect()
    }

    /// A frame that is stored although nobody is told.
    pub fn store_unseen(&mut self, frame: &str) {
        self.log.store(frame, Source::Worker);
    }

    /// Bytes as they are, to whoever is subscribed. Nothing is stored.
    pub fn blurt(&mut self, text: impl Into<ByteString>) {
        self.broadcast(&text.into());
    }

    /// A binary message to whoever is subscribed.
    pub fn blurt_binary(&mut self, bytes: &'static [u8]) {
        for line in self.live_lines() {
            if let LineId::Socket(id) = line {
                let bytes = Bytes::from_static(bytes);
                self.hand_over(Outgoing::OverLine(line, Input::SocketBinary { id, bytes }));
            }
        }
    }

    /// The agent asks for permission to run `command`.
    pub fn ask(&mut self, request_id: &str, command: &str) {
        let frame = json!({
            "type": "control_request",
            "request_id": request_id,
            "request": {
                "subtype": "can_use_tool",
                "tool_name": "Bash",
                "input": {"command": command},
                "tool_use_id": format!("toolu_{request_id}"),
            },
        })
        .to_string();
        let text = self.store(&frame);
        self.broadcast(&text);
        self.open_prompts.insert(request_id.to_owned(), text);
    }

    /// The agent no longer wants an answer.
    pub fn cancel(&mut self, request_id: &str) {
        self.open_prompts.remove(request_id);
        self.closed_prompts
            .insert(request_id.to_owned(), "withdrawn");
        self.emit(&json!({"type": "control_cancel_request", "request_id": request_id}).to_string());
    }

    /// Another viewer answers a prompt.
    pub fn answer_by_another(&mut self, request_id: &str) {
        self.open_prompts.remove(request_id);
        self.closed_prompts
            .insert(request_id.to_owned(), "answered");
        self.emit(
            &json!({
                "type": "control_response",
                "response": {
                    "subtype": "success",
                    "request_id": request_id,
                    "response": {"behavior": "deny", "message": "no"},
                },
            })
            .to_string(),
        );
    }

    /// The agent answers a request of the viewer's.
    pub fn respond(&mut self, request_id: &str, response: &Value) {
        self.emit(
            &json!({
                "type": "control_response",
                "response": {
                    "subtype": "success", "request_id": request_id, "response": response,
                },
            })
            .to_string(),
        );
    }

    /// Control frames that came in, in order.
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// Control frames of this type that came in.
    pub fn received_of(&self, type_name: &str) -> Vec<Value> {
        self.received
            .iter()
            .filter_map(|received| serde_json::from_str::<Value>(&received.frame).ok())
            .filter(|frame| frame["type"] == type_name)
            .collect()
    }

    /// The `uuid`s of all posted messages, in the order they came, repetitions included.
    pub fn posted(&self) -> &[String] {
        &self.posted
    }

    /// The `uuid`s of everything stored.
    pub fn stored(&self) -> Vec<&str> {
        self.log.ids().collect()
    }

    /// The prompts that are still asked.
    pub fn open_prompts(&self) -> Vec<&str> {
        self.open_prompts.keys().map(String::as_str).collect()
    }

    /// How many sockets and streams are open, silent ones included.
    pub fn open_sockets(&self) -> usize {
        self.lines.len()
    }

    /// Everything that was ever stored, in order.
    pub(crate) fn chronicle(&self) -> &[Chronicled] {
        self.log.chronicle()
    }

    /// How many of the oldest entries are no longer retained.
    pub(crate) fn forgotten(&self) -> usize {
        self.log.forgotten()
    }

    /// A stored frame once more, to whoever is subscribed.
    pub(crate) fn send_again(&mut self, uuid: &str) {
        if let Some((number, text)) = self.log.find(uuid) {
            self.broadcast(&text);
            self.repeat(number);
        }
    }

    /// Every token is good again.
    pub(crate) fn forgive(&mut self) {
        self.accepted_token = None;
    }

    /// Whether a line is silent.
    pub(crate) fn has_frozen(&self) -> bool {
        self.lines.values().any(|line| *line == Line::Frozen)
    }

    /// The lines that are silent break.
    pub(crate) fn lose_frozen(&mut self) {
        let frozen = |(id, line): (&LineId, &Line)| (*line == Line::Frozen).then_some(*id);
        let frozen: Vec<LineId> = self.lines.iter().filter_map(frozen).collect();
        for line in frozen {
            self.lose_line(line, NetworkFailure::Reset);
        }
    }

    /// Whoever was connected is gone.
    pub(crate) fn hang_up(&mut self) {
        self.lines.clear();
        self.outgoing.clear();
    }

    pub(crate) fn take_outgoing(&mut self) -> Vec<(Outgoing, Duration)> {
        std::mem::take(&mut self.outgoing)
    }

    /// Keeps a frame if it is of the stored kind, under an id of its own if it has none.
    /// A stream has it at once.
    fn store(&mut self, frame: &str) -> ByteString {
        self.store_said(frame, Source::Worker)
    }

    fn store_said(&mut self, frame: &str, source: Source) -> ByteString {
        let (text, stored) = self.log.store(frame, source);
        if let Some(number) = stored {
            self.stream_stored(number);
        }
        text
    }

    /// Sends a text over sockets; over streams only if it is not stored, for then they have it already.
    fn broadcast(&mut self, text: &ByteString) {
        for line in self.live_lines() {
            if let LineId::Socket(id) = line {
                let text = text.clone();
                self.hand_over(Outgoing::OverLine(line, Input::SocketText { id, text }));
            }
        }
        let is_stored = Frame::classify(text.clone())
            .ok()
            .and_then(|frame| Some(self.log.holds(frame.uuid()?)));
        if is_stored != Some(true) {
            self.stream_ephemeral(text);
        }
    }

    fn end_lines(&mut self, failure: NetworkFailure) {
        for line in self.live_lines() {
            self.lose_line(line, failure);
        }
    }

    fn lose_line(&mut self, line: LineId, failure: NetworkFailure) {
        self.lines.remove(&line);
        let input = match line {
            LineId::Socket(id) => Input::SocketClosed {
                id,
                ending: SocketEnding::Lost(failure),
            },
            LineId::Stream(id) => Input::StreamClosed {
                id,
                ending: Refusal::Network(failure),
            },
        };
        self.hand_over(Outgoing::Break(line, input));
    }

    fn live_lines(&self) -> Vec<LineId> {
        self.lines
            .iter()
            .filter(|(_, line)| **line == Line::Up)
            .map(|(id, _)| *id)
            .collect()
    }

    fn hand_over(&mut self, outgoing: Outgoing) {
        self.outgoing.push((outgoing, Duration::ZERO));
    }
}
