//! A worker whose server is stopped.

use std::time::{Duration, Instant};

use attache_protocol::worker::{Delivery, WorkerEvent, WorkerStatus};

use super::process::Process;
use crate::conformance::{
    adapter::{Adapter, Next, OpenWorker, Place},
    config::worker_config,
    trial::CLOSE_LIMIT,
};

/// Longer than anything takes that is waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// How often uploads are looked for while nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(10);

struct Story {
    worker: Box<dyn OpenWorker>,
    server: Process,
    status: Option<WorkerStatus>,
    /// How often its stream was down.
    deaf: usize,
    inbound: Vec<String>,
    uploads: Vec<String>,
}

pub(super) fn tell(adapter: &dyn Adapter) -> Result<String, String> {
    let server = Process::start()?;
    let place = Place::new(server.base_url.clone());
    let mut story = Story {
        worker: adapter.open_worker(worker_config(), place)?,
        server,
        status: None,
        deaf: 0,
        inbound: Vec::new(),
        uploads: Vec::new(),
    };
    story.talk("before the server is stopped")?;

    story.server.stop()?;
    let stopped = Instant::now();
    story.upload();
    story.wait_until("it notices", |story| story.deaf > 0)?;
    let noticed = stopped.elapsed();
    story.server.go_on()?;
    let went_on = Instant::now();
    story.talk("after the server went on")?;
    let running = went_on.elapsed();

    story.server.stop()?;
    story.upload();
    let closing = Instant::now();
    let cause = story.worker.close();
    let closed = closing.elapsed();
    if cause.is_none() || closed > CLOSE_LIMIT {
        return Err(format!("closing took {closed:?} and gave {cause:?}"));
    }
    Ok(format!(
        "noticed after {noticed:.1?}, everything there {running:.1?} after it went on; closed in {closed:.1?} while stopped"
    ))
}

impl Story {
    /// Both sides say something, and everything arrives once and in order.
    fn talk(&mut self, when: &str) -> Result<(), String> {
        self.wait_until(&format!("it is running {when}"), |story| {
            story.status == Some(WorkerStatus::Running)
        })?;
        self.upload();
        for _ in 0..3 {
            self.server.ask("tell")?;
        }
        let told = self.server.ask("told")?;
        self.wait_until(
            &format!("{} events are delivered {when}", told.len()),
            |story| story.inbound.len() >= told.len(),
        )?;
        if self.inbound != told {
            return Err(format!("delivered {:?} of {told:?}", self.inbound));
        }
        let until = Instant::now() + LIMIT;
        loop {
            let uploads = self.server.ask("uploads")?;
            if uploads == self.uploads {
                return Ok(());
            }
            if !self.uploads.starts_with(&uploads) || Instant::now() >= until {
                return Err(format!("uploaded {uploads:?} of {:?} {when}", self.uploads));
            }
            if let Next::Event(event) = self.worker.next_event(LOOK_EVERY) {
                self.take(event)?;
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

    fn wait_until(&mut self, what: &str, is_done: impl Fn(&Self) -> bool) -> Result<(), String> {
        let until = Instant::now() + LIMIT;
        while !is_done(self) {
            let left = until.saturating_duration_since(Instant::now());
            match self.worker.next_event(left) {
                Next::Event(event) => self.take(event)?,
                Next::Nothing | Next::Over => {
                    return Err(format!(
                        "never came: {what}; {:?}, {} events",
                        self.status,
                        self.inbound.len()
                    ));
                }
            }
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the events are an open set, and these are the ones that are counted"
    )]
    fn take(&mut self, event: WorkerEvent) -> Result<(), String> {
        match event {
            WorkerEvent::Status(status) => {
                self.deaf += usize::from(matches!(status, WorkerStatus::Deaf { .. }));
                self.status = Some(status);
            }
            WorkerEvent::Inbound(inbound) => {
                let event = inbound.event_id.clone();
                self.worker.acknowledge(event, Delivery::Processed);
                let uuid = inbound.frame.uuid().map(ToString::to_string);
                self.inbound.push(uuid.unwrap_or_default());
            }
            WorkerEvent::UploadRejected { uuid, .. } => {
                return Err(format!("the upload {uuid} was rejected"));
            }
            WorkerEvent::Closed(cause) => return Err(format!("closed without need: {cause:?}")),
            _ => {}
        }
        Ok(())
    }
}
