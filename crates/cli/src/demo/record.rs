//! What happened on both sides of the script, held against the relay's log.

use std::{collections::BTreeMap, fmt};

use attache_protocol::{
    SessionId,
    frame::{Frame, FrameKind, RequestId},
    viewer::{Event, RequestOutcome, SendState, SettledBy, Status},
};
use attache_relay::{
    Store,
    store::{After, Origin, StoredFrame},
};

use super::direction::Report;
use crate::{
    exit::{Exit, Failure},
    prompts::OpenPrompts,
};

/// Everything that was seen, said and heard.
#[derive(Debug, Default)]
pub(super) struct Record {
    status: Option<Status>,
    prompts: OpenPrompts,
    /// The stored messages that reached the viewer, by `uuid`, in order.
    seen: Vec<String>,
    /// Turns that ended.
    pub(super) turns: usize,
    /// Pieces of text.
    pub(super) words: usize,
    pub(super) interrupts: usize,
    /// How often each prompt was settled by our answer.
    settled: BTreeMap<RequestId, usize>,
    accepted: BTreeMap<String, usize>,
    /// Trouble that the script has no room for.
    trouble: Vec<String>,
    drops: usize,
    /// The agent's stored messages by its own account, in order.
    told: Vec<String>,
    /// The viewer's messages, in order.
    pub(super) said: Vec<String>,
    /// The viewer's answers, in order.
    pub(super) answered: Vec<RequestId>,
    /// The viewer's messages as the agent heard them.
    messages_heard: Vec<String>,
    answers_heard: Vec<RequestId>,
    interrupts_heard: usize,
    pub(super) spoken: usize,
}

impl Record {
    pub(super) fn event(&mut self, event: &Event) {
        self.prompts.event(event);
        match event {
            Event::Status(status) => {
                let was_live = self.is_live();
                self.status = Some(status.clone());
                self.drops += usize::from(was_live && matches!(status, Status::Waiting { .. }));
            }
            Event::Message(message) => self.message(&message.frame),
            Event::Send { id, state } => match state {
                SendState::Queued
                | SendState::InFlight
                | SendState::Unknown
                | SendState::Delivered
                | SendState::Processing
                | SendState::Processed => {}
                SendState::Accepted => *self.accepted.entry(id.to_string()).or_default() += 1,
                SendState::Rejected(why) => self.trouble(format!("message {id} rejected: {why}")),
            },
            Event::PermissionSettled { request_id, by, .. } => match by {
                SettledBy::Us => *self.settled.entry(request_id.clone()).or_default() += 1,
                SettledBy::AnotherViewer { .. } => {
                    self.trouble(format!("prompt {request_id} was settled by somebody else"));
                }
            },
            Event::PermissionWithdrawn { request_id } => {
                self.trouble(format!("prompt {request_id} was withdrawn"));
            }
            Event::Request { outcome, .. } => match outcome {
                RequestOutcome::Succeeded(_) => self.interrupts += 1,
                RequestOutcome::Failed(_)
                | RequestOutcome::Unanswered
                | RequestOutcome::Expired
                | RequestOutcome::Closed => {
                    self.trouble(format!("the interrupt ended as {outcome:?}"));
                }
            },
            Event::Gap { cause, .. } => self.trouble(format!("a gap: {cause:?}")),
            Event::Malformed(malformed) => self.trouble(malformed.error.to_string()),
            _ => {}
        }
    }

    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Message(uuid) => self.messages_heard.push(uuid),
            Report::Answer(request_id) => match RequestId::new(request_id) {
                Some(request_id) => self.answers_heard.push(request_id),
                None => self.trouble("the agent heard an answer to nothing".to_owned()),
            },
            Report::Interrupt => self.interrupts_heard += 1,
            Report::Said(uuid) => self.told.push(uuid),
            Report::Spoke => self.spoken += 1,
        }
    }

    /// Whether the agent has said its greeting.
    pub(super) fn has_begun(&self) -> bool {
        self.spoken > 0
    }

    pub(super) fn is_live(&self) -> bool {
        self.status == Some(Status::Live)
    }

    /// The prompt that waits for an answer.
    pub(super) fn open_prompt(&self) -> Option<RequestId> {
        let open = self.prompts.current()?;
        Some(open.request.request_id().clone())
    }

    /// Whether everything that was said and answered has come to its end.
    pub(super) fn is_settled(&self) -> bool {
        self.said.iter().all(|id| self.accepted.contains_key(id))
            && self.answered.iter().all(|id| self.settled.contains_key(id))
    }

    fn message(&mut self, frame: &Frame) {
        match frame.type_name() {
            "stream_event" => self.words += 1,
            "result" => self.turns += 1,
            _ => {}
        }
        if frame.is_stored() {
            let uuid = frame.uuid().map(ToString::to_string);
            self.seen.push(uuid.unwrap_or_default());
        }
    }

    fn trouble(&mut self, what: String) {
        self.trouble.push(what);
    }
}

/// What the script has proved.
#[derive(Debug)]
pub(super) struct Summary {
    messages: usize,
    said: usize,
    prompts: usize,
    drops: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ok: {} messages arrived exactly once and in order, {} messages reached the agent exactly once, \
             {} prompts were answered once, 1 interrupt, {} crash survived",
            self.messages, self.said, self.prompts, self.drops
        )
    }
}

/// Holds `record` against the log of `session`.
pub(super) async fn verify(
    record: &Record,
    store: &dyn Store,
    session: &SessionId,
) -> Result<Summary, Failure> {
    let page = store
        .frames(session, After::Sequence(0), None, usize::MAX)
        .await
        .map_err(|error| wrong(&format!("the log can't be read: {error}")))?;
    let log = Log::of(&page.frames);
    if let Some(trouble) = record.trouble.first() {
        return Err(wrong(trouble));
    }
    expect(
        "what the log holds of the agent",
        &log.messages,
        &record.told,
    )?;
    expect("what the viewer saw", &record.seen, &log.shown)?;
    expect("what the agent heard", &record.messages_heard, &record.said)?;
    expect("what the log holds of the viewer", &log.said, &record.said)?;
    expect(
        "the prompts that were answered",
        &record.answered,
        &log.prompts,
    )?;
    expect("the answers in the log", &log.answers, &log.prompts)?;
    expect(
        "the answers that the agent heard",
        &record.answers_heard,
        &log.prompts,
    )?;
    let once = record.accepted.values().chain(record.settled.values());
    if once.clone().any(|&count| count != 1)
        || record.accepted.len() != record.said.len()
        || record.settled.len() != log.prompts.len()
    {
        return Err(wrong(
            "a message or an answer was not confirmed exactly once",
        ));
    }
    if (record.interrupts, record.interrupts_heard) != (1, 1) {
        return Err(wrong("the interrupt did not reach the agent exactly once"));
    }
    if record.drops != 1 {
        return Err(wrong("the crash was not noticed as one drop"));
    }
    Ok(Summary {
        messages: log.messages.len(),
        said: record.said.len(),
        prompts: log.prompts.len(),
        drops: record.drops,
    })
}

/// The relay's log, taken apart.
#[derive(Debug, Default)]
struct Log {
    /// What viewers are shown: the agent's messages, and the relay's between them.
    shown: Vec<String>,
    messages: Vec<String>,
    said: Vec<String>,
    prompts: Vec<RequestId>,
    answers: Vec<RequestId>,
}

impl Log {
    fn of(stored: &[StoredFrame]) -> Self {
        let mut log = Self::default();
        for stored in stored {
            let Ok(frame) = Frame::classify(stored.text.clone()) else {
                continue;
            };
            let uuid = stored.uuid.to_string();
            match (stored.origin, frame.kind()) {
                (Origin::Agent, FrameKind::Message { .. }) => {
                    log.shown.push(uuid.clone());
                    log.messages.push(uuid);
                }
                (Origin::Relay, FrameKind::Message { .. }) => log.shown.push(uuid),
                (Origin::Viewer, FrameKind::Message { .. }) => log.said.push(uuid),
                (Origin::Agent, FrameKind::ControlRequest { request_id, .. }) => {
                    log.prompts.push(request_id.clone());
                }
                (Origin::Viewer, FrameKind::ControlResponse { request_id }) => {
                    log.answers.push(request_id.clone());
                }
                _ => {}
            }
        }
        log
    }
}

fn expect<T: PartialEq>(what: &str, found: &[T], expected: &[T]) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(wrong(&format!(
        "{what} is not what was said: {} instead of {}, or in another order",
        found.len(),
        expected.len()
    )))
}

fn wrong(what: &str) -> Failure {
    Failure::new(
        Exit::Failure,
        format!("the script did not go as it should: {what}; run it again, and report it"),
    )
}
