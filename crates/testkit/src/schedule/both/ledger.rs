//! What viewer and agent owe each other: who said what, and what of it has come.

use std::collections::{BTreeMap, BTreeSet};

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameKind},
    worker::Inbound,
};
use serde_json::Value;

use crate::{Server, World, schedule::worker::Down, transcript::Entry};

/// What was said between the two.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// The messages of the agent that the server keeps, in its order.
    kept: Vec<String>,
    from_worker: BTreeSet<String>,
    /// How much of the viewer's half has been looked at.
    stored_up_to: u64,
    received: usize,
    /// How many lines of the viewer's transcript have been looked at.
    lines: usize,
    /// The messages the viewer sent, in order, those the server keeps, and those the agent got.
    sent: Vec<String>,
    posted: Vec<String>,
    got: Vec<String>,
    prompts: BTreeMap<String, Prompt>,
    requests: BTreeSet<String>,
}

/// A prompt of the agent's.
#[derive(Clone, Debug, Default)]
struct Prompt {
    command: String,
    showing: Showing,
    is_withdrawn: bool,
    /// What the person decided, as it should come.
    decided: Option<&'static str>,
    /// The answer is on its way to the agent, or there.
    is_forwarded: bool,
    answers: u32,
}

/// How far a prompt has come on its way to the person.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
enum Showing {
    #[default]
    OnItsWay,
    WithTheServer,
    Shown,
}

impl Ledger {
    // What the schedule does.

    pub(super) fn ask(&mut self, id: String, command: String) {
        let prompt = Prompt {
            command,
            ..Prompt::default()
        };
        self.prompts.insert(id, prompt);
    }

    pub(super) fn withdraw(&mut self, id: &str) {
        if let Some(prompt) = self.prompts.get_mut(id) {
            prompt.is_withdrawn = true;
        }
    }

    pub(super) fn decided(&mut self, id: &str, behavior: &'static str) {
        if let Some(prompt) = self.prompts.get_mut(id) {
            prompt.decided = Some(behavior);
        }
    }

    pub(super) fn sent_by_viewer(&mut self, id: &str) {
        self.sent.push(id.to_owned());
    }

    /// The prompts that are asked, and not withdrawn by the agent.
    pub(super) fn standing(&self) -> Vec<String> {
        let stands = |prompt: &Prompt| !prompt.is_withdrawn && !prompt.is_forwarded;
        let prompts = self.prompts.iter();
        prompts
            .filter(|(_, prompt)| stands(prompt))
            .map(|(id, _)| id.clone())
            .collect()
    }

    // What happens.

    /// The server hears a frame of the agent's.
    pub(super) fn heard(&mut self, text: &ByteString) {
        let Ok(frame) = Frame::classify(text.clone()) else {
            return;
        };
        if let Some(uuid) = frame.uuid()
            && frame.is_stored()
        {
            self.from_worker.insert(uuid.to_string());
        }
        match frame.kind() {
            FrameKind::Message { .. } if frame.is_stored() => {
                self.kept.extend(frame.uuid().map(ToString::to_string));
            }
            FrameKind::ControlRequest { request_id, .. } => {
                if let Some(prompt) = self.prompts.get_mut(request_id.as_str()) {
                    prompt.showing = Showing::WithTheServer;
                }
            }
            FrameKind::Message { .. }
            | FrameKind::ControlResponse { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. } => {}
        }
    }

    /// What the viewer said that is for the agent: the first answer to each prompt, each request once, every message.
    pub(super) fn said_by_viewer(
        &mut self,
        server: &Server,
    ) -> Result<Vec<(ByteString, Down)>, String> {
        let mut said = Vec::new();
        for received in server.received().iter().skip(self.received) {
            self.received += 1;
            let Ok(frame) = Frame::classify(received.frame.clone()) else {
                return Err("the viewer says what is no frame".to_owned());
            };
            match frame.kind() {
                FrameKind::ControlResponse { request_id } => {
                    let Some(prompt) = self.prompts.get_mut(request_id.as_str()) else {
                        return Err(format!("{request_id} is answered, and nobody asked"));
                    };
                    prompt.check_answer(&received.frame)?;
                    if !prompt.is_forwarded && !prompt.is_withdrawn {
                        prompt.is_forwarded = true;
                        said.push((received.frame.clone(), Down::ForAgent));
                    }
                }
                FrameKind::ControlRequest { request_id, .. } => {
                    let id = request_id.as_str().to_owned();
                    if !self.requests.insert(id.clone()) {
                        return Err(format!("the request {id} is made twice"));
                    }
                    let subtype = if received.frame.contains("\"initialize\"") {
                        "initialize"
                    } else {
                        "other"
                    };
                    said.push((received.frame.clone(), Down::Request { id, subtype }));
                }
                FrameKind::ControlCancelRequest { .. }
                | FrameKind::KeepAlive
                | FrameKind::Auth
                | FrameKind::UnknownControl { .. }
                | FrameKind::Message { .. } => {}
            }
        }
        for (number, text) in server.stored_after(self.stored_up_to) {
            self.stored_up_to = number;
            let Ok(frame) = Frame::classify(text.clone()) else {
                continue;
            };
            let uuid = frame.uuid().map(ToString::to_string).unwrap_or_default();
            let is_message = matches!(frame.kind(), FrameKind::Message { .. });
            if is_message && !self.from_worker.contains(&uuid) {
                self.posted.push(uuid);
                said.push((text, Down::ForAgent));
            }
        }
        Ok(said)
    }

    /// What the viewer shows.
    pub(super) fn shown(&mut self, world: &World) -> Result<(), String> {
        use attache_protocol::viewer::Event;
        let new = world.transcript.since(self.lines);
        self.lines = world.transcript.len();
        for (_, entry) in new {
            let Entry::Event(event) = entry else {
                continue;
            };
            if let Event::PermissionRequested(asked) = event {
                let id = asked.request_id().as_str();
                let Some(prompt) = self.prompts.get_mut(id) else {
                    return Err(format!("{id} is shown, and nobody asked"));
                };
                prompt.showing = Showing::Shown;
                if !asked.frame().as_str().contains(&prompt.command) {
                    return Err(format!("{id} is shown as something else"));
                }
            }
            if let Event::Gap { cause, .. } = event {
                return Err(format!(
                    "a gap, though the server has everything: {cause:?}"
                ));
            }
        }
        Ok(())
    }

    /// The agent gets something.
    pub(super) fn got(&mut self, inbound: &Inbound) -> Result<(), String> {
        match inbound.frame.kind() {
            FrameKind::Message { .. } => {
                let uuid = inbound.frame.uuid();
                self.got.extend(uuid.map(ToString::to_string));
            }
            FrameKind::ControlResponse { request_id } => {
                let Some(prompt) = self.prompts.get_mut(request_id.as_str()) else {
                    return Err(format!("{request_id} has an answer, and nobody asked"));
                };
                prompt.answers += 1;
                if prompt.answers > 1 {
                    return Err(format!("{request_id} is answered twice"));
                }
            }
            FrameKind::ControlRequest { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. } => {}
        }
        Ok(())
    }

    // When everything is well.

    /// What has not come yet, if anything.
    pub(super) fn open(&self, world: &World) -> Option<String> {
        let messages = world.messages();
        let shown: Vec<&str> = messages
            .into_iter()
            .filter(|uuid| self.from_worker.contains(*uuid))
            .collect();
        if let Some(what) = differ("the viewer shows", &shown, &self.kept) {
            return Some(what);
        }
        if let Some(what) = differ("the server keeps", &self.posted, &self.sent) {
            return Some(what);
        }
        if let Some(what) = differ("the agent got", &self.got, &self.sent) {
            return Some(what);
        }
        let lacks = |prompt: &Prompt| {
            let is_unseen = prompt.showing != Showing::Shown && !prompt.is_withdrawn;
            let is_due = prompt.decided.is_some() && !prompt.is_withdrawn;
            is_unseen || (is_due && prompt.answers == 0)
        };
        let mut prompts = self.prompts.iter();
        prompts
            .find(|(_, prompt)| lacks(prompt))
            .map(|(id, prompt)| format!("the prompt {id} stands at {prompt:?}"))
    }

    // How much there was.

    pub(super) fn delivered(&self) -> usize {
        self.kept.len() + self.got.len()
    }

    pub(super) fn sent(&self) -> usize {
        self.kept.len() + self.sent.len()
    }

    pub(super) fn asked(&self) -> usize {
        self.prompts.len()
    }
}

impl Prompt {
    /// An answer says what was decided, about what was shown.
    fn check_answer(&self, text: &str) -> Result<(), String> {
        let answer: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let field = |path: &str| answer.pointer(path).and_then(Value::as_str);
        let behavior = field("/response/response/behavior");
        if behavior != self.decided {
            return Err(format!(
                "the answer is {behavior:?}, and it was {:?}",
                self.decided
            ));
        }
        let command = field("/response/response/updatedInput/command");
        if behavior == Some("allow") && command != Some(&self.command) {
            return Err(format!(
                "{command:?} is allowed, and {} was asked",
                self.command
            ));
        }
        Ok(())
    }
}

fn differ<A: AsRef<str>, B: AsRef<str>>(what: &str, are: &[A], should: &[B]) -> Option<String> {
    let mut pairs = are.iter().map(A::as_ref).zip(should.iter().map(B::as_ref));
    if let Some((is, should)) = pairs.find(|(is, should)| is != should) {
        return Some(format!("{what} {is} where {should} belongs"));
    }
    let (are, should) = (are.len(), should.len());
    (are != should).then(|| format!("{what} {are} messages of {should}"))
}
