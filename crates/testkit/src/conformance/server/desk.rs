//! The session, as the server knows it: who said what, who listens, who works.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc::{Receiver, Sender, channel},
};

use attache_protocol::frame::{Frame, FrameKind};
use serde_json::{Value, json};

use super::http::Response;
use crate::server::{
    log::{Log, Source},
    streams::{client_event, ephemeral_event},
};

/// The session of viewers, and the one of workers.
pub(super) const SESSION: &str = "conformance";

/// Everything the server knows.
#[derive(Debug, Default)]
pub(super) struct Desk {
    log: Log,
    sockets: Vec<Sender<String>>,
    streams: Vec<Sender<String>>,
    said: u64,
    open_prompts: BTreeMap<String, String>,
    /// The answers that counted, by prompt.
    pub(super) answers: BTreeMap<String, usize>,
    pub(super) worker: WorkerDesk,
}

/// What a worker's end of the session looks like.
#[derive(Debug, Default)]
pub(super) struct WorkerDesk {
    epoch: u64,
    /// What people said to the agent.
    inbound: Vec<String>,
    streams: Vec<Sender<String>>,
    uploaded: BTreeSet<String>,
    /// The uuids of the agent's frames, in the order in which they came first.
    pub(super) uploads: Vec<String>,
    /// The ids of the events that the agent is done with.
    pub(super) processed: BTreeSet<String>,
    pub(super) is_archived: bool,
}

impl Desk {
    /// The agent says something. Its uuid.
    pub(super) fn say(&mut self) -> String {
        self.said += 1;
        let uuid = format!("said-{}", self.said);
        let frame = json!({"type": "assistant", "uuid": uuid, "message": {"role": "assistant"}});
        self.publish(&frame.to_string(), Source::Worker);
        uuid
    }

    /// The agent asks for permission.
    pub(super) fn ask(&mut self, request_id: &str) {
        let frame = json!({
            "type": "control_request", "request_id": request_id, "uuid": format!("asked-{request_id}"),
            "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "ls"}, "tool_use_id": "t1"},
        });
        let frame = frame.to_string();
        self.open_prompts
            .insert(request_id.to_owned(), frame.clone());
        self.publish(&frame, Source::Worker);
    }

    /// The uuids of the stored messages, in order.
    pub(super) fn messages(&self) -> Vec<String> {
        let entries = self.log.after(0).filter(|(_, entry)| {
            Frame::classify(entry.text.clone())
                .is_ok_and(|frame| matches!(frame.kind(), FrameKind::Message { .. }))
        });
        entries.map(|(_, entry)| entry.uuid.clone()).collect()
    }

    /// What a new socket is told, from now on.
    pub(super) fn subscribe(&mut self) -> Receiver<String> {
        let (sender, receiver) = channel();
        for prompt in self.open_prompts.values() {
            let _ = sender.send(prompt.clone());
        }
        self.sockets.push(sender);
        receiver
    }

    /// What a new stream is told: everything after a number, or from now on. `None` beyond the end.
    pub(super) fn watch(&mut self, after: Option<u64>) -> Option<Receiver<String>> {
        let last = self.log.last_number();
        let after = after.unwrap_or(last);
        if after > last {
            return None;
        }
        let (sender, receiver) = channel();
        let _ = sender.send(":ok\n\n".to_owned());
        for (number, entry) in self.log.after(after) {
            let _ = sender.send(client_event(number, entry));
        }
        for prompt in self.open_prompts.values() {
            let _ = sender.send(ephemeral_event(prompt));
        }
        self.streams.push(sender);
        Some(receiver)
    }

    /// A page of the stored frames.
    pub(super) fn page(&self, after: Option<&str>, limit: usize) -> Response {
        match self.log.page(after, limit) {
            Some(page) => Response {
                status: page.status,
                body: String::from_utf8_lossy(&page.body).into_owned(),
            },
            None => Response::status(410),
        }
    }

    /// The last stored frame.
    pub(super) fn last_event(&self) -> Response {
        let last = self.log.last_number();
        let data: Vec<Value> = self
            .log
            .after(last.saturating_sub(1))
            .map(|(number, entry)| json!({"event_id": entry.uuid, "sequence_num": number}))
            .collect();
        Response::json(&json!({"data": data, "has_more": last > 1, "next_cursor": null}))
    }

    /// Takes what a viewer says, over whatever.
    pub(super) fn take(&mut self, text: &str) -> Value {
        let Ok(frame) = Frame::classify(text.trim_end().into()) else {
            return json!({"id": null, "status": "ignored"});
        };
        let uuid = frame.uuid().map(ToString::to_string);
        if uuid.as_deref().is_some_and(|uuid| self.log.holds(uuid)) {
            return json!({"id": uuid, "status": "duplicate"});
        }
        match frame.kind() {
            FrameKind::ControlResponse { request_id } => {
                if self.open_prompts.remove(request_id.as_str()).is_none() {
                    return json!({"id": uuid, "status": "refused", "reason": "answered", "message": "too late"});
                }
                *self
                    .answers
                    .entry(request_id.as_str().to_owned())
                    .or_default() += 1;
                self.publish(frame.as_str(), Source::Viewer);
            }
            FrameKind::ControlRequest { request_id, .. } => {
                self.publish(frame.as_str(), Source::Viewer);
                let answer = json!({"type": "control_response", "uuid": format!("answer-{request_id}"),
                    "response": {"subtype": "success", "request_id": request_id.as_str(), "response": {}}});
                self.publish(&answer.to_string(), Source::Worker);
            }
            FrameKind::Message { .. } => self.publish(frame.as_str(), Source::Viewer),
            FrameKind::ControlCancelRequest { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. } => {}
        }
        json!({"id": uuid, "status": "stored"})
    }

    /// Stores a frame and tells everybody.
    fn publish(&mut self, frame: &str, source: Source) {
        let (text, number) = self.log.store(frame, source);
        self.sockets
            .retain(|socket| socket.send(text.to_string()).is_ok());
        let Some(number) = number else {
            return;
        };
        let stored = self.log.after(number - 1).next();
        if let Some(event) = stored.map(|(number, entry)| client_event(number, entry)) {
            self.streams
                .retain(|stream| stream.send(event.clone()).is_ok());
        }
    }
}

impl WorkerDesk {
    /// A person says something to the agent. Its uuid.
    pub(super) fn say(&mut self) -> String {
        let number = self.inbound.len() + 1;
        let uuid = format!("told-{number}");
        self.inbound.push(uuid.clone());
        let event = inbound_event(number, &uuid);
        self.streams
            .retain(|stream| stream.send(event.clone()).is_ok());
        uuid
    }

    /// What people said to the agent: uuids, in order.
    pub(super) fn inbound(&self) -> &[String] {
        &self.inbound
    }

    pub(super) fn register() -> Response {
        Response::json(&json!({"session": {"id": format!("cse_{SESSION}")}}))
    }

    /// New credentials, which fence off the old ones.
    pub(super) fn bridge(&mut self, base_url: &str) -> Response {
        self.epoch += 1;
        let epoch = self.epoch;
        Response::json(&json!({
            "worker_jwt": format!("jwt-{epoch}"), "api_base_url": base_url,
            "expires_in": 3600, "worker_epoch": epoch,
        }))
    }

    /// Why a worker with this token is not heard, if it is not.
    pub(super) fn fence(&self, bearer: &str) -> Option<Response> {
        let own = format!("jwt-{}", self.epoch);
        if bearer == own {
            None
        } else if bearer.starts_with("jwt-") {
            Some(Response::status(409))
        } else {
            Some(Response::status(401))
        }
    }

    /// What the worker is told after a number.
    pub(super) fn listen(&mut self, after: usize) -> Receiver<String> {
        let (sender, receiver) = channel();
        let _ = sender.send(":ok\n\n".to_owned());
        for (place, uuid) in self.inbound.iter().enumerate().skip(after) {
            let _ = sender.send(inbound_event(place + 1, uuid));
        }
        self.streams.push(sender);
        receiver
    }

    pub(super) fn upload(&mut self, body: &Value) -> Response {
        for event in array(body, "events") {
            let uuid = event.pointer("/payload/uuid").and_then(Value::as_str);
            let Some(uuid) = uuid else {
                continue;
            };
            if self.uploaded.insert(uuid.to_owned()) {
                self.uploads.push(uuid.to_owned());
            }
        }
        Response::status(200)
    }

    pub(super) fn deliver(&mut self, body: &Value) -> Response {
        for update in array(body, "updates") {
            if update["status"] == "processed" {
                let event = update["event_id"].as_str();
                self.processed.extend(event.map(str::to_owned));
            }
        }
        Response::status(200)
    }
}

fn inbound_event(number: usize, uuid: &str) -> String {
    let event = json!({
        "event_id": format!("e{number}"), "sequence_num": number, "event_type": "user",
        "payload": {"type": "user", "uuid": uuid, "message": {"role": "user", "content": "hello"}},
    });
    format!("event: client_event\nid: {number}\ndata: {event}\n\n")
}

pub(super) fn array<'a>(body: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    body.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
