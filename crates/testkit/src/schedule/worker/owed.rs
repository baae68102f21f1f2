//! What a worker owes the application and the server: a model small enough to be obviously right.

mod up;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use attache_protocol::{
    time::Timestamp,
    worker::{AgentState, Delivery, Inbound, WorkerConfig},
};

use super::server::{Server, event_id, number_of};

/// What was handed in on either side, and how far it has come.
#[derive(Clone, Debug)]
pub(in crate::schedule) struct Owed {
    frames: Vec<Frame>,
    /// The number of the last frame the server heard first.
    heard_up_to: Option<usize>,
    /// What the server refused alone, and what the application was told of that.
    refused_frames: BTreeSet<String>,
    rejected: BTreeSet<String>,
    /// Which request each answer is for, by the answer's id.
    answers: BTreeMap<String, String>,
    /// News that the server did not want.
    refused_news: BTreeSet<u64>,
    is_state_refused: bool,
    down: BTreeMap<u64, Down>,
    /// The number of the last event the application got.
    delivered_up_to: u64,
    acknowledged: BTreeMap<u64, (Delivery, usize)>,
    requests: BTreeMap<String, Request>,
    /// What the agent is at.
    pub(super) state: AgentState,
    garbage_sent: u64,
    garbage_told: u64,
    initialize: Duration,
    request: Duration,
}

/// A frame of the agent's.
#[derive(Clone, Debug)]
struct Frame {
    uuid: String,
    promise: Promise,
    is_heard: bool,
    /// It was in a call whose fate nobody knows.
    may_be_lost: bool,
}

/// What is promised for a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Promise {
    /// It is heard.
    Kept,
    /// It is heard, unless a call with it got lost.
    LiveOnly,
    /// It may be heard or not: an answer that somebody may be waiting for.
    MayBe,
    /// It is a repetition.
    Never,
}

/// What a viewer sent.
#[derive(Clone, Debug)]
pub(in crate::schedule) enum Down {
    /// Something the agent must get.
    ForAgent,
    /// A request under this id: for the agent, or answered in its place.
    Request { id: String, subtype: &'static str },
    /// The request under this id is withdrawn.
    Cancel { id: String },
    /// Nothing the agent needs.
    Noise,
    /// No frame at all.
    Broken,
}

#[derive(Clone, Debug)]
struct Request {
    asked: u64,
    answers: u64,
    is_withdrawn: bool,
    /// It was answered, and the server did not want that.
    is_refused: bool,
    /// When it must have been answered, once it has come.
    due: Option<Timestamp>,
}

impl Owed {
    pub(super) fn new(config: &WorkerConfig) -> Self {
        Self {
            frames: Vec::new(),
            heard_up_to: None,
            refused_frames: BTreeSet::new(),
            rejected: BTreeSet::new(),
            answers: BTreeMap::new(),
            refused_news: BTreeSet::new(),
            is_state_refused: false,
            down: BTreeMap::new(),
            delivered_up_to: 0,
            acknowledged: BTreeMap::new(),
            requests: BTreeMap::new(),
            state: AgentState::Idle,
            garbage_sent: 0,
            garbage_told: 0,
            initialize: config.patience.initialize,
            request: config.patience.request,
        }
    }

    // Down; what goes up is in `up`.

    /// A viewer said this under `number`.
    pub(super) fn said(&mut self, number: u64, down: Down) {
        if let Down::Request { id, .. } = &down {
            let request = self.requests.entry(id.clone()).or_insert(Request {
                asked: 0,
                answers: 0,
                is_withdrawn: false,
                is_refused: false,
                due: None,
            });
            request.asked += 1;
        }
        self.down.insert(number, down);
    }

    /// Something on the stream that is no event.
    pub(super) fn garbage(&mut self) {
        self.garbage_sent += 1;
    }

    pub(super) fn malformed(&mut self) -> Result<(), String> {
        self.garbage_told += 1;
        let broken = |down: &&Down| matches!(down, Down::Broken);
        let sent = self.garbage_sent + self.down.values().filter(broken).count() as u64;
        if self.garbage_told > sent {
            return Err("more was reported malformed than was sent".to_owned());
        }
        Ok(())
    }

    /// The application got an event.
    pub(super) fn delivered(&mut self, inbound: &Inbound, now: Timestamp) -> Result<u64, String> {
        let number = number_of(inbound.event_id.as_str()).ok_or("an event nobody sent")?;
        if number <= self.delivered_up_to {
            return Err(format!(
                "event {number} was delivered after {}",
                self.delivered_up_to
            ));
        }
        self.pass_over(number, now)?;
        match self.down.get(&number).cloned() {
            None => return Err(format!("event {number}, which nobody sent")),
            Some(Down::ForAgent) => {}
            Some(Down::Request { id, subtype }) => self.asked(&id, subtype, now),
            Some(Down::Cancel { id }) => {
                if let Some(request) = self.requests.get_mut(&id) {
                    request.is_withdrawn = true;
                }
            }
            Some(Down::Noise | Down::Broken) => {
                return Err(format!("event {number} is not for the agent"));
            }
        }
        self.delivered_up_to = number;
        Ok(number)
    }

    /// What lies between the last event and `end` was not delivered, and need not have been.
    fn pass_over(&mut self, end: u64, now: Timestamp) -> Result<(), String> {
        let passed: Vec<_> = self
            .down
            .range(self.delivered_up_to + 1..end)
            .map(|(number, down)| (*number, down.clone()))
            .collect();
        for (number, down) in passed {
            match down {
                Down::ForAgent | Down::Cancel { .. } => {
                    return Err(format!("event {number} was never delivered"));
                }
                // Too many were open: it has its answer.
                Down::Request { id, subtype } => self.asked(&id, subtype, now),
                Down::Noise | Down::Broken => {}
            }
        }
        Ok(())
    }

    /// A request has come, and must be answered in time from here on.
    fn asked(&mut self, id: &str, subtype: &str, now: Timestamp) {
        let patience = match subtype {
            "initialize" => self.initialize,
            _ => self.request,
        };
        if let Some(request) = self.requests.get_mut(id) {
            request.due = request.due.or(now.checked_add(patience));
        }
    }

    /// The agent says how far it is with an event.
    pub(super) fn acknowledged(&mut self, number: u64, delivery: Delivery) {
        let behind = self.frames.len();
        let known = self
            .acknowledged
            .entry(number)
            .or_insert((delivery, behind));
        known.0 = known.0.max(delivery);
        known.1 = known.1.min(behind);
    }

    /// The server is told how far an event is.
    pub(super) fn told(&self, event: &str, delivery: Delivery) -> Result<(), String> {
        let Some(number) = number_of(event).filter(|number| self.down.contains_key(number)) else {
            return Err(format!(
                "the server is told of event {event}, which nobody sent"
            ));
        };
        if delivery == Delivery::Received {
            return Ok(());
        }
        let Some((said, behind)) = self.acknowledged.get(&number) else {
            return Err(format!(
                "event {number} is {delivery:?}, and the agent has not said so"
            ));
        };
        if delivery > *said {
            return Err(format!(
                "event {number} is {delivery:?}, and the agent said {said:?}"
            ));
        }
        let open = self
            .frames
            .iter()
            .take(*behind)
            .position(|frame| frame.promise == Promise::Kept && self.is_owed(frame));
        match open {
            Some(frame) => Err(format!(
                "event {number} is {delivery:?} before the server has frame {frame}"
            )),
            None => Ok(()),
        }
    }

    // When everything is well.

    /// What is still owed when everything works, if anything.
    pub(super) fn open(&self, server: &Server, now: Timestamp) -> Option<String> {
        if let Some(number) = self.frames.iter().position(|frame| self.is_owed(frame)) {
            return Some(format!("frame {number} is not with the server"));
        }
        for (number, down) in self.down.range(self.delivered_up_to + 1..) {
            match down {
                Down::ForAgent | Down::Cancel { .. } => {
                    return Some(format!("event {number} is not delivered"));
                }
                // Passed over, because too many were open, it has its answer.
                Down::Request { id, .. } => {
                    if self
                        .requests
                        .get(id)
                        .is_none_or(|request| request.answers == 0 && !request.is_refused)
                    {
                        return Some(format!("event {number} is not delivered"));
                    }
                }
                Down::Noise | Down::Broken => {}
            }
        }
        for number in self
            .down
            .range(..=self.delivered_up_to)
            .map(|(number, _)| number)
        {
            if self.refused_news.contains(number) {
                continue;
            }
            let told = server.news.get(&event_id(*number)).copied();
            let said = self.acknowledged.get(number).map(|(said, _)| *said);
            if told < Some(said.unwrap_or(Delivery::Received)) {
                return Some(format!(
                    "event {number} is {said:?}, and the server knows {told:?}"
                ));
            }
        }
        if !self.is_state_refused && server.state != Some(as_reported(&self.state)) {
            return Some("the server does not know what the agent is at".to_owned());
        }
        let is_late = |request: &Request| {
            let due = request
                .due
                .and_then(|due| due.checked_add(Duration::from_secs(1)));
            !request.is_withdrawn
                && !request.is_refused
                && request.answers == 0
                && due.is_some_and(|due| due < now)
        };
        self.requests
            .iter()
            .find(|(_, request)| is_late(request))
            .map(|(id, _)| format!("request {id} has no answer"))
    }

    // What the schedule may choose from.

    /// The id of a frame that was surely queued.
    pub(super) fn uuid_of(&self, number: usize) -> Option<String> {
        let frame = self.frames.get(number)?;
        matches!(frame.promise, Promise::Kept | Promise::LiveOnly).then(|| frame.uuid.clone())
    }

    /// Whether an event up to this number has not been delivered and should have been.
    pub(super) fn lacks(&self, number: u64) -> bool {
        let first = self.delivered_up_to.saturating_add(1);
        let is_for_agent = |down: &Down| matches!(down, Down::ForAgent | Down::Cancel { .. });
        first <= number
            && self
                .down
                .range(first..=number)
                .any(|(_, down)| is_for_agent(down))
    }

    pub(super) fn delivered_up_to(&self) -> u64 {
        self.delivered_up_to
    }

    pub(in crate::schedule) fn request_ids(&self) -> Vec<String> {
        let is_open = |request: &Request| request.due.is_some() && request.answers < request.asked;
        self.requests
            .iter()
            .filter(|(_, request)| is_open(request))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

/// A state as a report spells it.
pub(super) fn as_reported(state: &AgentState) -> (String, Option<String>) {
    match state {
        AgentState::Idle => ("idle".to_owned(), None),
        AgentState::Running => ("running".to_owned(), None),
        AgentState::RequiresAction(details) => (
            "requires_action".to_owned(),
            Some(details.as_str().to_owned()),
        ),
    }
}
