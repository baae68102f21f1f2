//! The scripted server: a session's log, its subscribers, and everything that can go wrong with them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use attache_protocol::{
    ByteString, Bytes,
    frame::{Frame, FrameKind, split},
    io::{
        HttpRequest, HttpRequestId, HttpResponse, Input, NetworkFailure, Refusal, SocketEnding,
        SocketId, SocketRequest, Token,
    },
};
use serde_json::{Value, json};

use crate::{
    http::{Route, answer},
    token::token,
};

/// How an attempt to subscribe ends.
#[derive(Clone, Debug)]
pub enum Upgrade {
    /// The socket opens.
    Accept,
    /// The socket opens and is closed at once with this code.
    AcceptThenClose(u16),
    /// The socket opens and is reset at once.
    AcceptThenReset,
    /// The socket does not open.
    Refuse(Refusal),
    /// There is no answer.
    Never,
}

/// How an HTTP call ends.
#[derive(Clone, Debug)]
pub enum HttpPlan {
    /// As it should.
    Serve,
    /// It is carried out, but the answer is lost.
    LoseAnswer,
    /// It is not carried out; the connection fails.
    Fail(NetworkFailure),
    /// It is refused.
    Status(u16, Option<Duration>),
    /// It is answered with this body.
    Garbage(&'static str),
    /// It is not carried out, and there is no answer.
    Never,
}

/// What came in over a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Over which one.
    pub socket: SocketId,
    /// What: one frame.
    pub frame: ByteString,
}

/// How things stand with one socket.
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
    log: Vec<(String, ByteString)>,
    forgotten: BTreeSet<String>,
    minted: u64,
    lines: BTreeMap<SocketId, Line>,
    open_prompts: BTreeMap<String, ByteString>,
    received: Vec<Received>,
    posted: Vec<String>,
    upgrades: VecDeque<Upgrade>,
    usual_upgrade: Upgrade,
    posts: VecDeque<HttpPlan>,
    usual_post: HttpPlan,
    lists: VecDeque<HttpPlan>,
    usual_list: HttpPlan,
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
    /// How much later than usual HTTP calls are answered.
    pub http_delay: Duration,
}

/// What the server hands to the network.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    OverSocket(SocketId, Input),
    Answer(Input),
    /// The socket breaks: what is on its way over it is lost.
    Break(SocketId, Input),
    /// The socket falls silent: what is on its way over it is lost.
    Freeze(SocketId),
}

impl Server {
    pub(crate) fn new(session: String) -> Self {
        Self {
            session,
            log: Vec::new(),
            forgotten: BTreeSet::new(),
            minted: 0,
            lines: BTreeMap::new(),
            open_prompts: BTreeMap::new(),
            received: Vec::new(),
            posted: Vec::new(),
            upgrades: VecDeque::new(),
            usual_upgrade: Upgrade::Accept,
            posts: VecDeque::new(),
            usual_post: HttpPlan::Serve,
            lists: VecDeque::new(),
            usual_list: HttpPlan::Serve,
            accepted_token: None,
            outgoing: Vec::new(),
            echoes: 1,
            echoes_answers: true,
            answers_pings: true,
            answers_close: true,
            answers_requests: true,
            repeats_prompts: true,
            http_delay: Duration::ZERO,
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

    /// A frame that is stored although nobody is told.
    pub fn store_unseen(&mut self, frame: &str) {
        self.store(frame);
    }

    /// Bytes as they are, to whoever is subscribed. Nothing is stored.
    pub fn blurt(&mut self, text: impl Into<ByteString>) {
        self.broadcast(&text.into());
    }

    /// A binary message to whoever is subscribed.
    pub fn blurt_binary(&mut self, bytes: &'static [u8]) {
        for id in self.live_lines() {
            let bytes = Bytes::from_static(bytes);
            self.hand_over(Outgoing::OverSocket(id, Input::SocketBinary { id, bytes }));
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
        self.open_prompts
            .insert(request_id.to_owned(), frame.clone().into());
        self.emit(&frame);
    }

    /// The agent no longer wants an answer.
    pub fn cancel(&mut self, request_id: &str) {
        self.open_prompts.remove(request_id);
        self.emit(&json!({"type": "control_cancel_request", "request_id": request_id}).to_string());
    }

    /// Another viewer answers a prompt.
    pub fn answer_by_another(&mut self, request_id: &str) {
        self.open_prompts.remove(request_id);
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

    /// Everything stored so far is no longer retained.
    pub fn forget_everything(&mut self) {
        self.forgotten
            .extend(self.log.drain(..).map(|(uuid, _)| uuid));
    }

    // What happens to the link.

    /// The open socket is reset.
    pub fn reset(&mut self) {
        self.end_lines(&SocketEnding::Lost(NetworkFailure::Reset));
    }

    /// The open socket ends for this reason, without a close frame.
    pub fn lose(&mut self, failure: NetworkFailure) {
        self.end_lines(&SocketEnding::Lost(failure));
    }

    /// The server closes the socket.
    pub fn close(&mut self, code: u16, reason: &'static str) {
        let ending = SocketEnding::CloseFrame {
            code,
            reason: reason.into(),
        };
        for id in self.live_lines() {
            self.lines.remove(&id);
            let ending = ending.clone();
            self.hand_over(Outgoing::OverSocket(id, Input::SocketClosed { id, ending }));
        }
    }

    /// The open socket goes silent in both directions, and nobody is told.
    pub fn freeze(&mut self) {
        for id in self.live_lines() {
            self.lines.insert(id, Line::Frozen);
            self.hand_over(Outgoing::Freeze(id));
        }
    }

    /// Nobody can reach the server any more; open sockets are reset.
    pub fn go_down(&mut self) {
        self.reset();
        self.every_upgrade(Upgrade::Refuse(Refusal::Network(NetworkFailure::Refused)));
        self.every_post(HttpPlan::Fail(NetworkFailure::Refused));
        self.every_list(HttpPlan::Fail(NetworkFailure::Refused));
    }

    /// Everything works again.
    pub fn come_up(&mut self) {
        self.every_upgrade(Upgrade::Accept);
        self.every_post(HttpPlan::Serve);
        self.every_list(HttpPlan::Serve);
    }

    /// Plans how the next unplanned attempt to subscribe ends.
    pub fn next_upgrade(&mut self, plan: Upgrade) {
        self.upgrades.push_back(plan);
    }

    /// Sets how every unplanned attempt ends.
    pub fn every_upgrade(&mut self, plan: Upgrade) {
        self.usual_upgrade = plan;
    }

    /// Plans how the next unplanned post ends.
    pub fn next_post(&mut self, plan: HttpPlan) {
        self.posts.push_back(plan);
    }

    /// Sets how every unplanned post ends.
    pub fn every_post(&mut self, plan: HttpPlan) {
        self.usual_post = plan;
    }

    /// Plans how the next unplanned page of history ends.
    pub fn next_list(&mut self, plan: HttpPlan) {
        self.lists.push_back(plan);
    }

    /// Sets how every unplanned page ends.
    pub fn every_list(&mut self, plan: HttpPlan) {
        self.usual_list = plan;
    }

    /// From now on only the token of this name is good.
    pub fn accept_only(&mut self, name: &str) {
        self.accepted_token = Some(token(name));
    }

    // What it has seen.

    /// Frames that came over sockets, in order.
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// Frames of this type that came over sockets.
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
        self.log.iter().map(|(uuid, _)| uuid.as_str()).collect()
    }

    /// How many sockets are open, silent ones included.
    pub fn open_sockets(&self) -> usize {
        self.lines.len()
    }

    // What the viewer does.

    pub(crate) fn upgrade(&mut self, id: SocketId, request: &SocketRequest) {
        let plan = self
            .upgrades
            .pop_front()
            .unwrap_or_else(|| self.usual_upgrade.clone());
        let bearer_is_bad = request
            .bearer
            .as_ref()
            .is_some_and(|bearer| self.refuses(bearer));
        let plan = match plan {
            Upgrade::Accept if bearer_is_bad => Upgrade::AcceptThenClose(4003),
            other @ (Upgrade::Accept
            | Upgrade::AcceptThenClose(_)
            | Upgrade::AcceptThenReset
            | Upgrade::Refuse(_)
            | Upgrade::Never) => other,
        };
        match plan {
            Upgrade::Accept => {
                self.accept(id);
                if self.repeats_prompts {
                    for text in self.open_prompts.values().cloned().collect::<Vec<_>>() {
                        let input = Input::SocketText { id, text };
                        self.hand_over(Outgoing::OverSocket(id, input));
                    }
                }
            }
            Upgrade::AcceptThenClose(code) => {
                self.accept(id);
                self.close(code, "");
            }
            Upgrade::AcceptThenReset => {
                self.accept(id);
                self.lines.remove(&id);
                let ending = SocketEnding::Lost(NetworkFailure::Reset);
                self.hand_over(Outgoing::OverSocket(id, Input::SocketClosed { id, ending }));
            }
            Upgrade::Refuse(refusal) => {
                self.hand_over(Outgoing::Answer(Input::SocketRefused { id, refusal }));
            }
            Upgrade::Never => {}
        }
    }

    pub(crate) fn abort(&mut self, id: SocketId) {
        self.lines.remove(&id);
    }

    pub(crate) fn take_text(&mut self, id: SocketId, text: &ByteString) {
        if self.lines.get(&id) != Some(&Line::Up) {
            return;
        }
        for frame in split(text) {
            self.received.push(Received {
                socket: id,
                frame: frame.clone(),
            });
            let Ok(frame) = Frame::classify(frame) else {
                continue;
            };
            match frame.kind() {
                FrameKind::ControlResponse { request_id } => {
                    self.open_prompts.remove(request_id.as_str());
                    let text = self.store(frame.as_str());
                    if self.echoes_answers {
                        self.broadcast(&text);
                    }
                }
                FrameKind::ControlRequest { request_id, .. } if self.answers_requests => {
                    let request_id = request_id.as_str().to_owned();
                    self.respond(&request_id, &json!({}));
                }
                FrameKind::ControlRequest { .. }
                | FrameKind::ControlCancelRequest { .. }
                | FrameKind::KeepAlive
                | FrameKind::Auth
                | FrameKind::UnknownControl { .. }
                | FrameKind::Message { .. } => {}
            }
        }
    }

    pub(crate) fn take_ping(&mut self, id: SocketId, payload: u64) {
        if self.answers_pings && self.lines.get(&id) == Some(&Line::Up) {
            let payload = Some(payload);
            self.hand_over(Outgoing::OverSocket(id, Input::SocketPong { id, payload }));
        }
    }

    pub(crate) fn take_close(&mut self, id: SocketId, code: u16) {
        if self.answers_close && self.lines.get(&id) == Some(&Line::Up) {
            self.lines.remove(&id);
            let ending = SocketEnding::CloseFrame {
                code,
                reason: "".into(),
            };
            self.hand_over(Outgoing::OverSocket(id, Input::SocketClosed { id, ending }));
        }
    }

    pub(crate) fn take_http(&mut self, id: HttpRequestId, request: &HttpRequest) {
        let route = Route::of(request, &self.session);
        let plan = match route {
            Route::Post => self
                .posts
                .pop_front()
                .unwrap_or_else(|| self.usual_post.clone()),
            Route::List { .. } => self
                .lists
                .pop_front()
                .unwrap_or_else(|| self.usual_list.clone()),
            Route::Unknown => HttpPlan::Status(404, None),
        };
        let respond = |response| Input::HttpAnswered { id, response };
        let input = match plan {
            HttpPlan::Serve if self.refuses(&request.bearer) => {
                respond(answer(401, None, String::new()))
            }
            HttpPlan::Serve => respond(self.serve(&route, request)),
            HttpPlan::LoseAnswer => {
                self.serve(&route, request);
                Input::HttpFailed {
                    id,
                    failure: NetworkFailure::Ended,
                }
            }
            HttpPlan::Fail(failure) => Input::HttpFailed { id, failure },
            HttpPlan::Status(status, retry_after) => {
                respond(answer(status, retry_after, String::new()))
            }
            HttpPlan::Garbage(body) => respond(answer(200, None, body.to_owned())),
            HttpPlan::Never => return,
        };
        self.outgoing
            .push((Outgoing::Answer(input), self.http_delay));
    }

    pub(crate) fn take_outgoing(&mut self) -> Vec<(Outgoing, Duration)> {
        std::mem::take(&mut self.outgoing)
    }

    fn refuses(&self, bearer: &Token) -> bool {
        self.accepted_token
            .as_ref()
            .is_some_and(|accepted| accepted != bearer)
    }

    fn accept(&mut self, id: SocketId) {
        self.lines.insert(id, Line::Up);
        self.hand_over(Outgoing::Answer(Input::SocketOpened { id }));
    }

    fn serve(&mut self, route: &Route, request: &HttpRequest) -> HttpResponse {
        match route {
            Route::Post => self.serve_post(request),
            Route::List { after, limit } => self.serve_list(after.as_deref(), *limit),
            Route::Unknown => answer(404, None, String::new()),
        }
    }

    fn serve_post(&mut self, request: &HttpRequest) -> HttpResponse {
        let body = request.body.clone().unwrap_or_default();
        let Ok(Value::Object(body)) = serde_json::from_slice(&body) else {
            return answer(400, None, String::new());
        };
        for event in body
            .get("events")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let uuid = event["uuid"].as_str().unwrap_or_default().to_owned();
            self.posted.push(uuid.clone());
            if self.log.iter().any(|(stored, _)| *stored == uuid) {
                continue;
            }
            let text = self.store(&event.to_string());
            for _ in 0..self.echoes {
                self.broadcast(&text);
            }
        }
        answer(200, None, "{}".to_owned())
    }

    fn serve_list(&self, after: Option<&str>, limit: usize) -> HttpResponse {
        let from = match after {
            None => 0,
            Some(after) => match self.log.iter().position(|(uuid, _)| uuid == after) {
                Some(position) => position + 1,
                None => return answer(410, None, String::new()),
            },
        };
        let rest = self.log.get(from..).unwrap_or_default();
        let page = rest.get(..limit.min(rest.len())).unwrap_or_default();
        let frames: Vec<&str> = page.iter().map(|(_, frame)| &**frame).collect();
        let id = |entry: Option<&(String, ByteString)>| {
            entry.map_or(Value::Null, |(uuid, _)| uuid.clone().into())
        };
        answer(
            200,
            None,
            format!(
                r#"{{"data":[{}],"has_more":{},"first_id":{},"last_id":{}}}"#,
                frames.join(","),
                rest.len() > page.len(),
                id(page.first()),
                id(page.last()),
            ),
        )
    }

    /// Keeps a frame if it is of the stored kind, under an id of its own if it has none.
    fn store(&mut self, frame: &str) -> ByteString {
        let Ok(parsed) = Frame::classify(frame.into()) else {
            return frame.into();
        };
        if !parsed.is_stored() {
            return frame.into();
        }
        let (uuid, text) = if let Some(uuid) = parsed.uuid() {
            (uuid.to_string(), parsed.text().clone())
        } else {
            self.minted += 1;
            let uuid = format!("minted-{}", self.minted);
            let rest = frame.trim_start().get(1..).unwrap_or_default();
            (uuid.clone(), format!(r#"{{"uuid":"{uuid}",{rest}"#).into())
        };
        self.log.push((uuid, text.clone()));
        text
    }

    fn broadcast(&mut self, text: &ByteString) {
        for id in self.live_lines() {
            let text = text.clone();
            self.hand_over(Outgoing::OverSocket(id, Input::SocketText { id, text }));
        }
    }

    fn end_lines(&mut self, ending: &SocketEnding) {
        for id in self.live_lines() {
            self.lines.remove(&id);
            let ending = ending.clone();
            self.hand_over(Outgoing::Break(id, Input::SocketClosed { id, ending }));
        }
    }

    fn live_lines(&self) -> Vec<SocketId> {
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
