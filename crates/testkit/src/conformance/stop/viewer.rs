//! A viewer whose server is stopped.

use std::time::{Duration, Instant};

use attache_protocol::viewer::{Content, Event, MessageId, SendState, Status, Transport};

use super::process::Process;
use crate::conformance::{
    adapter::{Adapter, Next, OpenViewer, Place},
    config::viewer_config,
    server::session,
    trial::CLOSE_LIMIT,
};

/// Longer than anything takes that is waited for.
const LIMIT: Duration = Duration::from_secs(10);

struct Story {
    viewer: Box<dyn OpenViewer>,
    server: Process,
    status: Option<Status>,
    /// How often it waited for its next attempt.
    waited: usize,
    messages: Vec<String>,
    sent: Vec<MessageId>,
    accepted: Vec<MessageId>,
}

pub(super) fn tell(adapter: &dyn Adapter, transport: Transport) -> Result<String, String> {
    let server = Process::start()?;
    let place = Place::new(server.base_url.clone());
    let mut story = Story {
        viewer: adapter.open_viewer(viewer_config(session(), transport), place)?,
        server,
        status: None,
        waited: 0,
        messages: Vec::new(),
        sent: Vec::new(),
        accepted: Vec::new(),
    };
    story.talk("before the server is stopped")?;

    story.server.stop()?;
    let stopped = Instant::now();
    story.send();
    story.wait_until("it notices twice", |story| story.waited >= 2)?;
    let noticed = stopped.elapsed();
    story.server.go_on()?;
    let went_on = Instant::now();
    story.talk("after the server went on")?;
    let live = went_on.elapsed();

    story.server.stop()?;
    story.send();
    let closing = Instant::now();
    let cause = story.viewer.close();
    let closed = closing.elapsed();
    if cause.is_none() || closed > CLOSE_LIMIT {
        return Err(format!("closing took {closed:?} and gave {cause:?}"));
    }
    Ok(format!(
        "noticed twice after {noticed:.1?}, everything there {live:.1?} after it went on; closed in {closed:.1?} while stopped"
    ))
}

impl Story {
    /// Both sides say something, and everything arrives once and in order.
    fn talk(&mut self, when: &str) -> Result<(), String> {
        self.wait_until(&format!("it is live {when}"), |story| {
            story.status == Some(Status::Live)
        })?;
        self.send();
        for _ in 0..3 {
            self.server.ask("say")?;
        }
        self.wait_until(&format!("everything is accepted {when}"), |story| {
            story.accepted.len() >= story.sent.len()
        })?;
        let mut expected = self.server.ask("messages")?;
        for sent in &self.sent {
            let arrived = expected.iter().filter(|uuid| *uuid == sent.as_str());
            if arrived.count() != 1 {
                return Err(format!("{sent} is not once in {expected:?}"));
            }
        }
        expected.retain(|uuid| self.sent.iter().all(|sent| sent.as_str() != uuid));
        let count = expected.len();
        self.wait_until(&format!("{count} messages are delivered {when}"), |story| {
            story.messages.len() >= count
        })?;
        if self.messages != expected || self.accepted != self.sent {
            let Self {
                messages,
                sent,
                accepted,
                ..
            } = self;
            return Err(format!(
                "delivered {messages:?} of {expected:?}, accepted {accepted:?} of {sent:?}"
            ));
        }
        Ok(())
    }

    fn send(&mut self) {
        self.sent.extend(self.viewer.send(Content::text("hello")));
    }

    fn wait_until(&mut self, what: &str, is_done: impl Fn(&Self) -> bool) -> Result<(), String> {
        let until = Instant::now() + LIMIT;
        while !is_done(self) {
            let left = until.saturating_duration_since(Instant::now());
            match self.viewer.next_event(left) {
                Next::Event(event) => self.take(event)?,
                Next::Nothing | Next::Over => {
                    return Err(format!(
                        "never came: {what}; {:?}, {} messages, {} of {} sent accepted",
                        self.status,
                        self.messages.len(),
                        self.accepted.len(),
                        self.sent.len()
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
    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Status(status) => {
                self.waited += usize::from(matches!(status, Status::Waiting { .. }));
                self.status = Some(status);
            }
            Event::Message(message) => {
                let uuid = message.frame.uuid().map(ToString::to_string);
                self.messages.push(uuid.unwrap_or_default());
            }
            Event::Send {
                id,
                state: SendState::Accepted,
            } => self.accepted.push(id),
            Event::Gap { cause, .. } => return Err(format!("a gap: {cause:?}")),
            Event::Closed(cause) => return Err(format!("closed without need: {cause:?}")),
            _ => {}
        }
        Ok(())
    }
}
