//! What comes for the agent, one frame at a time, and what the worker says besides.

use std::{
    future::pending,
    io::{self, Write},
};

use attache_protocol::{
    SessionId,
    worker::{Inbound, WorkerEvent, WorkerStatus},
};
use attache_tokio::{WorkerEvents, WorkerSession};

use super::note;

/// The frames for the agent. The first one stays until it is [`taken`](Self::taken), so that it is not
/// lost with an agent that dies in the middle of it.
pub(super) struct Inbox {
    worker: WorkerSession,
    events: WorkerEvents,
    first: Option<Inbound>,
    audience: Audience,
    announced: bool,
    link: Link,
}

/// Who is told of the session and of its connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The person who started the bridge, and programs that read its stdout.
    Terminal,
    /// Nobody: the bridge is a part of something that tells all of this itself.
    Nobody,
}

/// The connection, as a person was told last.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Link {
    New,
    Up,
    Down,
}

impl Inbox {
    pub(super) fn new(worker: WorkerSession, events: WorkerEvents, audience: Audience) -> Self {
        Self {
            worker,
            events,
            first: None,
            audience,
            announced: false,
            link: Link::New,
        }
    }

    /// The first frame that is not taken. Waits for ever when none will come. Cancel safe.
    pub(super) async fn first(&mut self) -> &Inbound {
        while self.first.is_none() {
            match self.events.next().await {
                Some(event) => self.event(event),
                None => pending().await,
            }
        }
        match &self.first {
            Some(inbound) => inbound,
            None => pending().await,
        }
    }

    /// The agent has the first frame.
    pub(super) fn taken(&mut self) {
        self.first = None;
    }

    fn event(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Inbound(inbound) => self.first = Some(inbound),
            WorkerEvent::Registered(session) if self.audience == Audience::Terminal => {
                self.announce(&session);
            }
            WorkerEvent::Status(status) if self.audience == Audience::Terminal => {
                self.status(status);
            }
            WorkerEvent::Malformed(malformed) => note(&format!(
                "the server sent something that is no frame ({}); it was dropped",
                malformed.error
            )),
            WorkerEvent::UploadRejected { uuid, status } => note(&format!(
                "the server refused the agent's frame {uuid} with status {status}; it was dropped"
            )),
            _ => {}
        }
    }

    fn status(&mut self, status: WorkerStatus) {
        match (status, self.link) {
            (WorkerStatus::Running, Link::New) => {
                if let Some(session) = self.worker.session() {
                    self.announce(&session);
                    note(&format!("connected; attach with: attache attach {session}"));
                }
                self.link = Link::Up;
            }
            (WorkerStatus::Running, Link::Down) => {
                note("connected again");
                self.link = Link::Up;
            }
            (WorkerStatus::Deaf { cause }, Link::Up) => {
                note(&format!(
                    "the connection was lost: {cause}; connecting again"
                ));
                self.link = Link::Down;
            }
            _ => {}
        }
    }

    /// Names the session on stdout, once.
    fn announce(&mut self, session: &SessionId) {
        if self.announced {
            return;
        }
        self.announced = true;
        let mut out = io::stdout().lock();
        // A reader that has gone does not end the agent.
        let _ = writeln!(out, "session {session}").and_then(|()| out.flush());
    }
}
