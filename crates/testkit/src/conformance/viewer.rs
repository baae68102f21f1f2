//! A viewer's trial.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use attache_protocol::{
    policy::{CloseCause, Limit, Outcome},
    viewer::{
        Allow, Content, Decision, Event, GapCause, MessageId, SendState, Standing, Status,
        Transport, ViewerConfig,
    },
};

use super::{
    adapter::{Adapter, Next, OpenViewer, Place},
    canary::Watch,
    config::viewer_config,
    everyday,
    fault::Fault,
    proxy::{ChaosProxy, Reach},
    server::SessionServer,
    trial::{CLOSE_LIMIT, Closing, Trial},
};

/// Longer than any trial takes.
const LIMIT: Duration = Duration::from_secs(10);

/// How often something happens.
const BEAT: Duration = Duration::from_millis(5);

/// How often something more is said behind a gap.
const GAP_BEATS: usize = 20;

/// The one prompt.
const PROMPT: &str = "r1";

/// A host name that is no name: a label has 63 characters at most, so nobody is even asked.
pub(super) const NAMELESS: &str =
    "http://nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn.invalid:9";

/// What happens at least before a storm is closed in.
const STORM_BEATS: usize = 2;

/// Runs a viewer's trial. What could not be judged, if there was anything.
pub(super) fn run(
    adapter: &dyn Adapter,
    trial: &Trial,
    transport: Transport,
) -> Result<Option<String>, String> {
    let server = SessionServer::start().map_err(|error| error.to_string())?;
    let proxy = trial
        .proxy(server.address())
        .map_err(|error| error.to_string())?;
    let mut config = viewer_config(server.session(), transport);
    let mut place = proxy.place();
    if trial.is_nameless {
        NAMELESS.clone_into(&mut place.base_url);
    }
    if trial.is_nameless && trial.closing == Closing::WhenLive {
        config.profile.drops.limit = Limit::Retries(2);
    }
    if trial.is_answered() {
        config.liveness.connect_deadline = LIMIT / 2;
        config.patience.http = LIMIT / 2;
    }
    if trial.closing == Closing::Unhealed {
        everyday::viewer(&mut config);
    }
    let story = Story::begin(adapter, config, place, &server, &proxy)?;
    story.tell(trial)
}

struct Story<'a> {
    viewer: Box<dyn OpenViewer>,
    server: &'a SessionServer,
    proxy: &'a ChaosProxy,
    record: Record,
    interrupts: usize,
    beats: usize,
    epilogue: Option<usize>,
}

/// What came out.
#[derive(Default)]
struct Record {
    status: Option<Status>,
    messages: Vec<String>,
    sent: Vec<MessageId>,
    ends: BTreeMap<MessageId, Vec<SendState>>,
    gaps: Vec<GapCause>,
    requests_over: usize,
    prompts_over: usize,
    decided: usize,
    /// Why it waited.
    causes: Vec<Outcome>,
    closed: Vec<CloseCause>,
    after_closed: usize,
    malformed: usize,
}

impl<'a> Story<'a> {
    fn begin(
        adapter: &dyn Adapter,
        config: ViewerConfig,
        place: Place,
        server: &'a SessionServer,
        proxy: &'a ChaosProxy,
    ) -> Result<Self, String> {
        // Some of it was said before.
        for _ in 0..3 {
            server.say();
        }
        Ok(Self {
            viewer: adapter.open_viewer(config, place)?,
            server,
            proxy,
            record: Record::default(),
            interrupts: 0,
            beats: 0,
            epilogue: None,
        })
    }

    fn tell(mut self, trial: &Trial) -> Result<Option<String>, String> {
        let watch = Watch::start();
        while self.record.closed.is_empty() && !self.is_time_to_close(trial) {
            if watch.elapsed() >= LIMIT {
                return Err(format!("never came to an end: {}", self.state()));
            }
            self.beat();
        }
        let was_asked = self.record.closed.is_empty();
        let closing = Watch::start();
        let cause = self.viewer.close();
        let took = closing.elapsed();
        self.drain()?;
        if took > CLOSE_LIMIT {
            return Err(format!("closing took {took:?}"));
        }
        if cause.is_none() {
            return Err("closed without a cause".to_owned());
        }
        self.judge(trial, was_asked, &watch)?;
        Ok(watch.excused())
    }

    /// Something happens, and what comes of it is taken in.
    fn beat(&mut self) {
        self.beats += 1;
        if self.epilogue.is_none() {
            self.server.say();
            if self.proxy.is_fine() && self.beats > 12 {
                self.send();
                for _ in 0..3 {
                    self.server.say();
                }
                self.epilogue = Some(self.beats);
            }
        }
        if self.has_only_a_gap() {
            self.server.say();
        }
        match self.beats {
            1 | 8 | 9 => self.send(),
            4 => self.server.ask(PROMPT),
            11 => self.interrupts += usize::from(self.viewer.interrupt().is_some()),
            _ => {}
        }
        let until = Instant::now() + BEAT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.viewer.next_event(left) {
                Next::Event(event) => self.take(event),
                Next::Nothing | Next::Over => return,
            }
        }
    }

    /// What was said last is in a gap, so that nothing shows that it is live.
    fn has_only_a_gap(&self) -> bool {
        let waits = self.epilogue.map(|epilogue| self.beats - epilogue);
        waits.is_some_and(|waits| waits > 0 && waits.is_multiple_of(GAP_BEATS))
            && self.record.status == Some(Status::Live)
            && !self.record.gaps.is_empty()
    }

    fn send(&mut self) {
        let sent = self.viewer.send(Content::text("hello"));
        self.record.sent.extend(sent);
    }

    fn take(&mut self, event: Event) {
        if let Event::PermissionRequested(prompt) = &event {
            let decision = Decision::Allow(Allow {
                standing: Standing::EvenIfUnverified,
                ..Allow::default()
            });
            let request = prompt.request_id().clone();
            self.record.decided += usize::from(self.viewer.decide(request, decision));
        }
        self.record.take(event);
    }

    fn is_time_to_close(&self, trial: &Trial) -> bool {
        match trial.closing {
            Closing::WhenLive => self.is_told(),
            Closing::InTheStorm => self.proxy.is_fine() && self.beats > STORM_BEATS,
            // Something was said just now.
            Closing::Unhealed => self.epilogue.is_some(),
        }
    }

    /// Everything has happened, and everything is known.
    fn is_told(&self) -> bool {
        self.epilogue.is_some()
            && self.record.status == Some(Status::Live)
            && self.record.prompts_over > 0
            && self.record.requests_over == self.interrupts
            && self.record.sent.iter().all(|id| self.record.has_end(id))
            && self.expected().last() == self.record.messages.last()
    }

    /// What a viewer is to be told: what is stored, but for its own messages.
    fn expected(&self) -> Vec<String> {
        let mut messages = self.server.messages();
        messages.retain(|uuid| self.record.sent.iter().all(|sent| sent.as_str() != uuid));
        messages
    }

    fn state(&self) -> String {
        let record = &self.record;
        let unended = record.sent.iter().filter(|id| !record.has_end(id)).count();
        format!(
            "{:?}; {} of {} messages delivered; {unended} of {} sends open; {} prompts and {} of {} requests over; faults to come: {:?}",
            record.status,
            record.messages.len(),
            self.expected().len(),
            record.sent.len(),
            record.prompts_over,
            record.requests_over,
            self.interrupts,
            self.proxy.pending(),
        )
    }

    fn drain(&mut self) -> Result<(), String> {
        let watch = Watch::start();
        loop {
            match self.viewer.next_event(BEAT) {
                Next::Event(event) => self.take(event),
                Next::Over => return Ok(()),
                Next::Nothing if watch.elapsed() >= CLOSE_LIMIT => {
                    return Err("the events have no end after closing".to_owned());
                }
                Next::Nothing => {}
            }
        }
    }

    fn judge(&self, trial: &Trial, was_asked: bool, watch: &Watch) -> Result<(), String> {
        let record = &self.record;
        let fail = |what: String| Err(format!("{what} ({})", self.state()));
        let [cause] = record.closed[..] else {
            return fail(format!("closed {} times", record.closed.len()));
        };
        if record.after_closed > 0 {
            return fail(format!("{} events after the end", record.after_closed));
        }
        if !was_asked && !explains(trial, cause) {
            return fail(format!("closed without need: {cause:?}"));
        }
        if let Some(unheard) = trial.unheard(&record.causes, watch.has_kept_up()) {
            return fail(format!("{unheard} was not told, but {:?}", record.causes));
        }
        self.judge_messages(trial, watch)?;
        self.judge_sends()?;
        if record.requests_over != self.interrupts {
            return fail("a request has not one end".to_owned());
        }
        if record.prompts_over > 1 {
            return fail(format!("a prompt has {} ends", record.prompts_over));
        }
        let answers = self.server.answers(PROMPT);
        let was_live = was_asked && trial.closing == Closing::WhenLive;
        if was_live && answers != 1 {
            return fail(format!("{answers} answers arrived to one prompt"));
        }
        Ok(())
    }

    fn judge_messages(&self, trial: &Trial, watch: &Watch) -> Result<(), String> {
        let record = &self.record;
        let expected = self.expected();
        let is_explained = |(place, gap): (usize, &GapCause)| match gap {
            GapCause::Unreadable => trial.spoils_calls(),
            GapCause::NoHistory | GapCause::NotRetained | GapCause::Refused { .. } => {
                trial.refuses_calls()
            }
            // Whoever did not get the past, and heard nothing since, has nothing to go on from.
            GapCause::NoPosition => place > 0,
            // Nothing answers in time where nothing runs.
            GapCause::Unreachable => !watch.has_kept_up(),
        };
        if !record.gaps.iter().enumerate().all(is_explained) {
            return Err(format!("gaps: {:?}", record.gaps));
        }
        if record.malformed > 0 {
            return Err(format!("{} frames were spoilt", record.malformed));
        }
        let is_in_order = if record.gaps.is_empty() {
            expected.starts_with(&record.messages)
        } else {
            let mut rest = expected.iter();
            record
                .messages
                .iter()
                .all(|message| rest.any(|expected| expected == message))
        };
        if is_in_order {
            Ok(())
        } else {
            Err(format!("delivered {:?} of {expected:?}", record.messages))
        }
    }

    fn judge_sends(&self) -> Result<(), String> {
        let record = &self.record;
        let stored = self.server.messages();
        let mut accepted = Vec::new();
        for id in &record.sent {
            match record.ends.get(id).map(Vec::as_slice) {
                Some([SendState::Accepted]) => accepted.push(id.as_str()),
                Some([SendState::Rejected(_)]) => {}
                other => return Err(format!("a message has the ends {other:?}")),
            }
        }
        let mut arrived = stored.iter().map(String::as_str);
        if accepted.iter().all(|id| arrived.any(|uuid| uuid == *id)) {
            Ok(())
        } else {
            Err("messages did not arrive in order, or not at all".to_owned())
        }
    }
}

impl Record {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the events are an open set, and these are the ones that are counted"
    )]
    fn take(&mut self, event: Event) {
        if !self.closed.is_empty() {
            self.after_closed += 1;
        }
        match event {
            Event::Status(status) => {
                if let Status::Waiting { cause, .. } = status {
                    self.causes.push(cause);
                }
                self.status = Some(status);
            }
            Event::Message(message) => {
                let uuid = message.frame.uuid().map(ToString::to_string);
                self.messages.push(uuid.unwrap_or_default());
            }
            Event::Send { id, state } => match state {
                SendState::Accepted | SendState::Rejected(_) => {
                    self.ends.entry(id).or_default().push(state);
                }
                SendState::Queued
                | SendState::InFlight
                | SendState::Unknown
                | SendState::Delivered
                | SendState::Processing
                | SendState::Processed => {}
            },
            Event::Gap { cause, .. } => self.gaps.push(cause),
            Event::Request { .. } => self.requests_over += 1,
            Event::PermissionSettled { .. } | Event::PermissionWithdrawn { .. } => {
                self.prompts_over += 1;
            }
            Event::Malformed(_) => self.malformed += 1,
            Event::Closed(cause) => self.closed.push(cause),
            _ => {}
        }
    }

    fn has_end(&self, id: &MessageId) -> bool {
        self.ends.contains_key(id)
    }
}

/// Whether the faults are reason enough to close.
fn explains(trial: &Trial, cause: CloseCause) -> bool {
    let struck = |statuses: &[u16]| {
        let faults = trial.faults.iter().filter_map(|fault| fault.status());
        let links = faults.filter(|status| statuses.contains(status)).count();
        match trial.reach {
            Reach::Link => links,
            Reach::LinkAndCall => 2 * links,
            Reach::Lasting | Reach::Everything => links.saturating_mul(usize::MAX),
        }
    };
    let closed = || {
        let is_closed = |fault: &&Fault| **fault == Fault::OpenThenClose;
        trial.faults.iter().filter(is_closed).count()
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the causes are an open set, and these are the ones that can be explained"
    )]
    match cause {
        // One refused credential is worth another one, and that is all.
        CloseCause::Unauthorized => struck(&[401, 403]) > 1,
        // Three times it may be about to come back; a close code may say the same.
        CloseCause::SessionNotFound => struck(&[404]) + closed() > 3,
        CloseCause::Exhausted { .. } => trial.is_nameless,
        _ => false,
    }
}
