//! A worker's trial.

use std::time::{Duration, Instant};

use attache_protocol::{
    policy::Outcome,
    worker::{Delivery, WorkerCloseCause, WorkerEvent, WorkerStatus},
};

use super::{
    adapter::{Adapter, Next, OpenWorker},
    canary::Watch,
    config::worker_config,
    everyday,
    proxy::{ChaosProxy, Reach},
    server::SessionServer,
    trial::{CLOSE_LIMIT, Closing, Trial},
    viewer::NAMELESS,
};

/// Longer than any trial takes.
const LIMIT: Duration = Duration::from_secs(10);

/// How often something happens.
const BEAT: Duration = Duration::from_millis(5);

/// What happens at least before a storm is closed in.
const STORM_BEATS: usize = 2;

/// Runs a worker's trial. What could not be judged, if there was anything.
pub(super) fn run(adapter: &dyn Adapter, trial: &Trial) -> Result<Option<String>, String> {
    let server = SessionServer::start().map_err(|error| error.to_string())?;
    let proxy = trial
        .proxy(server.address())
        .map_err(|error| error.to_string())?;
    let mut place = proxy.place();
    server.name_for_workers(&place.base_url);
    if trial.is_nameless {
        NAMELESS.clone_into(&mut place.base_url);
    }
    let mut config = worker_config();
    if trial.is_answered() {
        config.patience.http = LIMIT / 2;
    }
    if trial.closing == Closing::Unhealed {
        everyday::worker(&mut config);
    }
    let story = Story {
        worker: adapter.open_worker(config, place)?,
        server: &server,
        proxy: &proxy,
        record: Record::default(),
        uploads: Vec::new(),
        beats: 0,
        is_epilogue: false,
    };
    story.tell(trial)
}

struct Story<'a> {
    worker: Box<dyn OpenWorker>,
    server: &'a SessionServer,
    proxy: &'a ChaosProxy,
    record: Record,
    /// The uuids of the agent's frames that were taken.
    uploads: Vec<String>,
    beats: usize,
    is_epilogue: bool,
}

/// What came out.
#[derive(Default)]
struct Record {
    status: Option<WorkerStatus>,
    is_registered: bool,
    inbound: Vec<String>,
    /// The uuids of the frames that the server did not take.
    rejected: Vec<String>,
    /// Why its stream was down.
    causes: Vec<Outcome>,
    closed: Vec<WorkerCloseCause>,
    after_closed: usize,
    malformed: usize,
}

impl Story<'_> {
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
        let cause = self.worker.close();
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
        if !self.is_epilogue {
            self.is_epilogue = self.proxy.is_fine() && self.beats > 12;
            self.server.tell();
            if self.beats.is_multiple_of(3) || self.is_epilogue {
                self.upload();
            }
        }
        let until = Instant::now() + BEAT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.worker.next_event(left) {
                Next::Event(event) => self.take(event),
                Next::Nothing | Next::Over => return,
            }
        }
    }

    fn upload(&mut self) {
        let uuid = format!("own-{}", self.uploads.len() + 1);
        let frame = format!(r#"{{"type":"assistant","uuid":"{uuid}","message":{{}}}}"#);
        if self.worker.upload(frame.into()) {
            self.uploads.push(uuid);
        }
    }

    fn take(&mut self, event: WorkerEvent) {
        if let WorkerEvent::Inbound(inbound) = &event {
            let event = inbound.event_id.clone();
            self.worker.acknowledge(event, Delivery::Processed);
        }
        self.record.take(event);
    }

    fn is_time_to_close(&self, trial: &Trial) -> bool {
        match trial.closing {
            Closing::WhenLive => self.is_told(trial),
            Closing::InTheStorm => self.proxy.is_fine() && self.beats > STORM_BEATS,
            // Something was said just now.
            Closing::Unhealed => self.is_epilogue,
        }
    }

    /// Everything has happened, and everything is known.
    fn is_told(&self, trial: &Trial) -> bool {
        // What the server refuses is not reported once more.
        let is_reported =
            trial.refuses_calls() || self.server.processed() >= self.server.told().len();
        self.is_epilogue
            && self.record.status == Some(WorkerStatus::Running)
            && self.record.inbound.len() >= self.server.told().len()
            && self.server.uploads().len() + self.record.rejected.len() >= self.uploads.len()
            && is_reported
    }

    fn state(&self) -> String {
        let record = &self.record;
        format!(
            "{:?}; {} of {} events delivered, {} done with; {} of {} uploads arrived; faults to come: {:?}",
            record.status,
            record.inbound.len(),
            self.server.told().len(),
            self.server.processed(),
            self.server.uploads().len(),
            self.uploads.len(),
            self.proxy.pending(),
        )
    }

    fn drain(&mut self) -> Result<(), String> {
        let watch = Watch::start();
        loop {
            match self.worker.next_event(BEAT) {
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
            let judged = fail(format!("closed without need: {cause:?}"));
            if !is_of_delay(cause) {
                return judged;
            }
            watch.judge(judged)?;
        }
        if let Some(unheard) = trial.unheard(&record.causes, watch.has_kept_up()) {
            return fail(format!("{unheard} was not told, but {:?}", record.causes));
        }
        if record.malformed > 0 {
            return fail(format!("{} events were spoilt", record.malformed));
        }
        if !self.server.told().starts_with(&record.inbound) {
            return fail(format!("delivered {:?}", record.inbound));
        }
        if !record.rejected.is_empty() && !trial.refuses_calls() {
            return fail(format!("uploads were rejected: {:?}", record.rejected));
        }
        // What was refused may have arrived all the same, when an answer before that was lost.
        let is_accepted = |uuid: &String| !record.rejected.contains(uuid);
        let uploads = self.server.uploads();
        let accepted = self.uploads.iter().filter(|uuid| is_accepted(uuid));
        let arrived = uploads.iter().filter(|uuid| is_accepted(uuid));
        let mut rest = self.uploads.iter();
        let is_in_order = uploads.iter().all(|uuid| rest.any(|own| own == uuid));
        if !is_in_order || !accepted.zip(arrived).all(|(own, uuid)| own == uuid) {
            let rejected = &record.rejected;
            return fail(format!(
                "uploaded {uploads:?}, and {rejected:?} were rejected"
            ));
        }
        let was_live = was_asked && trial.closing == Closing::WhenLive;
        // The budget of that is a time.
        watch.judge(if was_live && !self.server.is_archived() {
            fail("the session was not archived".to_owned())
        } else {
            Ok(())
        })?;
        if everyday::lets_archive(trial) && record.is_registered && !self.server.is_archived() {
            return watch.judge(fail("a session was left behind".to_owned()));
        }
        Ok(())
    }
}

impl Record {
    fn take(&mut self, event: WorkerEvent) {
        if !self.closed.is_empty() {
            self.after_closed += 1;
        }
        match event {
            WorkerEvent::Registered(_) => self.is_registered = true,
            WorkerEvent::Status(status) => {
                if let WorkerStatus::Deaf { cause } = status {
                    self.causes.push(cause);
                }
                self.status = Some(status);
            }
            WorkerEvent::Inbound(inbound) => {
                let uuid = inbound.frame.uuid().map(ToString::to_string);
                self.inbound.push(uuid.unwrap_or_default());
            }
            WorkerEvent::UploadRejected { uuid, .. } => self.rejected.push(uuid.to_string()),
            WorkerEvent::Malformed(_) => self.malformed += 1,
            WorkerEvent::Closed(cause) => self.closed.push(cause),
            _ => {}
        }
    }
}

/// Whether delays alone can be the reason: nothing answers where nothing runs, and a question for
/// credentials that was given up may arrive behind the next one and fence that off.
fn is_of_delay(cause: WorkerCloseCause) -> bool {
    matches!(
        cause,
        WorkerCloseCause::StartFailed { .. } | WorkerCloseCause::Superseded
    )
}

/// Whether the faults are reason enough to close.
fn explains(trial: &Trial, cause: WorkerCloseCause) -> bool {
    let struck = |statuses: &[u16]| {
        let mut faults = trial.faults.iter().filter_map(|fault| fault.status());
        faults.any(|status| statuses.contains(&status))
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the causes are an open set, and these are the ones that can be explained"
    )]
    match cause {
        WorkerCloseCause::StartFailed { .. } => {
            trial.is_nameless || trial.reach == Reach::Everything
        }
        WorkerCloseCause::SessionNotFound => struck(&[404]),
        WorkerCloseCause::Rejected { status } => struck(&[status]),
        WorkerCloseCause::Unauthorized => trial.refuses_calls() && struck(&[401, 403]),
        // A session that exists must not be created once more.
        WorkerCloseCause::Unreadable => trial.spoils_calls(),
        _ => false,
    }
}
