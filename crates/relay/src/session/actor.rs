//! The session's task.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use attache_protocol::{
    SessionId,
    frame::{FrameKind, RawJson, RequestId, control},
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    AttachmentId, Command, Mailbox, Published, ViewerId,
    conversation::{Conversation, answered, asked},
};
use crate::{
    RelayError, RelayOptions,
    line::Line,
    outgoing::{Ending, Outgoing},
    store::{After, Appended, NewFrame, Origin, SessionChange, SessionStatus, Store, StoreError},
};

/// How many stored frames are read at once when a session starts.
const REPLAY_PAGE: usize = 1000;

pub(super) async fn run(
    id: SessionId,
    store: Arc<dyn Store>,
    options: Arc<RelayOptions>,
    killed: CancellationToken,
    mut inbox: mpsc::Receiver<Command>,
) {
    let mut session = match Session::load(id.clone(), store, options, killed).await {
        Ok(session) => session,
        Err(error) => {
            tracing::error!(session = %id, %error, "the session can't be read from the store");
            return;
        }
    };
    while let Some(command) = inbox.recv().await {
        session.handle(command).await;
    }
}

struct Session {
    id: SessionId,
    store: Arc<dyn Store>,
    options: Arc<RelayOptions>,
    killed: CancellationToken,
    conversation: Conversation,
    status: SessionStatus,
    viewers: Vec<Viewer>,
    viewers_so_far: u64,
    agent: Weak<Mailbox>,
    attachments_so_far: u64,
    /// How many frames wait for the agent.
    backlog: Arc<AtomicUsize>,
}

struct Viewer {
    id: ViewerId,
    outgoing: Arc<Outgoing>,
}

impl Session {
    /// Derives everything from the log, so that a restarted relay goes on where the last one was.
    async fn load(
        id: SessionId,
        store: Arc<dyn Store>,
        options: Arc<RelayOptions>,
        killed: CancellationToken,
    ) -> Result<Self, StoreError> {
        let record = store
            .session(&id)
            .await?
            .ok_or(StoreError::UnknownSession)?;
        let agent_cursor = store.agent_cursor(&id).await?;
        let mut conversation = Conversation::default();
        let mut backlog = 0;
        let mut read = 0;
        loop {
            let page = store
                .frames(&id, After::Sequence(read), None, REPLAY_PAGE)
                .await?;
            for frame in &page.items {
                read = frame.sequence;
                backlog += usize::from(frame.origin == Origin::Viewer && read > agent_cursor);
                match Line::known(&frame.text) {
                    Ok(line) => conversation.observe(frame.origin, &line),
                    Err(error) => {
                        tracing::warn!(%id, sequence = read, %error, "a stored frame is no frame");
                    }
                }
            }
            if !page.has_more || page.items.is_empty() {
                break;
            }
        }
        let mut session = Self {
            id,
            store,
            options,
            killed,
            conversation,
            status: record.status,
            viewers: Vec::new(),
            viewers_so_far: 0,
            agent: Weak::new(),
            attachments_so_far: 0,
            backlog: Arc::new(AtomicUsize::new(backlog)),
        };
        session.save_status().await;
        Ok(session)
    }

    async fn handle(&mut self, command: Command) {
        // A caller that no longer waits is no reason to stop halfway.
        match command {
            Command::Publish { by, line, reply } => drop(reply.send(self.publish(by, line).await)),
            Command::Post { lines, reply } => drop(reply.send(self.post(lines).await)),
            Command::FromViewer { viewer, line } => self.take_from(viewer, line).await,
            Command::Subscribe { outgoing, reply } => drop(reply.send(self.subscribe(outgoing))),
            Command::Attach { reply } => drop(reply.send(self.attach())),
            Command::Archive { reply } => drop(reply.send(self.archive().await)),
        }
    }

    async fn publish(&mut self, by: AttachmentId, line: Line) -> Result<Published, RelayError> {
        self.check_writable()?;
        if by != AttachmentId(self.attachments_so_far) {
            return Err(RelayError::Superseded);
        }
        let open = self.conversation.open_requests();
        if asked(line.frame()).is_some() && open >= self.options.open_requests {
            return Err(RelayError::TooManyOpenRequests(open));
        }
        let outcome = self.take_in(Origin::Agent, None, vec![line]).await?;
        Ok(outcome.into_iter().next().unwrap_or(Published::Ignored))
    }

    async fn post(&mut self, lines: Vec<Line>) -> Result<Vec<Published>, RelayError> {
        self.check_writable()?;
        let waiting = self.backlog();
        let stored = lines.iter().filter(|line| line.frame().is_stored()).count();
        if waiting > 0 && waiting + stored > self.options.agent_backlog {
            return Err(RelayError::AgentBehind(waiting));
        }
        self.take_in(Origin::Viewer, None, lines).await
    }

    async fn take_from(&mut self, viewer: ViewerId, line: Line) {
        match line.frame().kind() {
            FrameKind::Auth | FrameKind::KeepAlive => return,
            FrameKind::Message { type_name } => {
                tracing::debug!(session = %self.id, %type_name, "a viewer's socket is for control frames; this one is ignored");
                return;
            }
            FrameKind::ControlRequest { .. }
            | FrameKind::ControlResponse { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::UnknownControl { .. } => {}
        }
        let result = match self.check_writable() {
            Ok(()) => {
                self.take_in(Origin::Viewer, Some(viewer), vec![line.clone()])
                    .await
            }
            Err(error) => Err(error),
        };
        let Err(error) = result else { return };
        match (asked(line.frame()), &error) {
            (Some((request_id, _)), _) => {
                self.tell(
                    Some(viewer),
                    &control::error(request_id, &error.to_string()),
                );
            }
            (None, RelayError::Store(_)) => {
                // The viewer must not take its answer for delivered.
                tracing::error!(session = %self.id, %error, "a viewer's frame was not stored");
                self.viewers
                    .iter()
                    .filter(|one| one.id == viewer)
                    .for_each(|one| one.outgoing.end(Ending::Failed));
            }
            (None, error) => {
                tracing::debug!(session = %self.id, %error, "a viewer's frame is dropped");
            }
        }
    }

    fn subscribe(&mut self, outgoing: Arc<Outgoing>) -> ViewerId {
        self.viewers_so_far += 1;
        let id = ViewerId(self.viewers_so_far);
        if self.status != SessionStatus::Archived {
            for prompt in self.conversation.prompts() {
                outgoing.push_first(prompt.wire());
            }
        }
        self.viewers
            .retain(|viewer| Arc::strong_count(&viewer.outgoing) > 1);
        self.viewers.push(Viewer { id, outgoing });
        id
    }

    fn attach(&mut self) -> Result<(AttachmentId, Arc<Mailbox>), RelayError> {
        self.check_writable()?;
        if let Some(previous) = self.agent.upgrade() {
            previous.superseded.cancel();
        }
        self.attachments_so_far += 1;
        let mailbox = Arc::new(Mailbox {
            arrived: Notify::new(),
            superseded: CancellationToken::new(),
            ended: self.killed.child_token(),
            backlog: self.backlog.clone(),
        });
        self.agent = Arc::downgrade(&mailbox);
        Ok((AttachmentId(self.attachments_so_far), mailbox))
    }

    async fn archive(&mut self) -> Result<(), RelayError> {
        self.check_writable()?;
        let change = SessionChange::Status(SessionStatus::Archived);
        self.store
            .update(&self.id, change, SystemTime::now())
            .await?;
        self.status = SessionStatus::Archived;
        for viewer in self.viewers.drain(..) {
            viewer.outgoing.end(Ending::SessionEnded);
        }
        if let Some(agent) = self.agent.upgrade() {
            agent.ended.cancel();
        }
        Ok(())
    }

    /// Stores what is to be stored, then hands everything to the viewers (but not `sender`) and the agent.
    async fn take_in(
        &mut self,
        origin: Origin,
        sender: Option<ViewerId>,
        lines: Vec<Line>,
    ) -> Result<Vec<Published>, RelayError> {
        let mut admitted = Vec::with_capacity(lines.len());
        let mut answers = Vec::new();
        for line in &lines {
            let admit = match origin {
                Origin::Agent => Admission::by_kind(line),
                Origin::Viewer => self.admission_of_viewer(line, &mut answers)?,
            };
            admitted.push(admit);
        }
        let new_frames = lines.iter().zip(&admitted).filter_map(|(line, admitted)| {
            let uuid = line
                .frame()
                .uuid()
                .filter(|_| *admitted == Admission::Store)?;
            let text = line.frame().text().clone();
            Some(NewFrame {
                uuid: uuid.clone(),
                text,
                origin,
            })
        });
        let new_frames: Vec<_> = new_frames.collect();
        let outcome = if new_frames.is_empty() {
            Vec::new()
        } else {
            self.store
                .append(&self.id, new_frames, SystemTime::now())
                .await?
        };

        let mut outcome = outcome.into_iter();
        let mut result = Vec::with_capacity(lines.len());
        let mut for_agent = 0;
        for (line, admitted) in lines.iter().zip(&admitted) {
            result.push(match admitted {
                Admission::Store => {
                    let uuid = line.frame().uuid().cloned().unwrap_or_default();
                    if outcome.next() == Some(Appended::Duplicate) {
                        Published::Duplicate(uuid)
                    } else {
                        self.conversation.observe(origin, line);
                        self.fan_out(line, sender);
                        for_agent += usize::from(origin == Origin::Viewer);
                        Published::Stored(uuid)
                    }
                }
                Admission::Live => {
                    self.fan_out(line, sender);
                    Published::Live
                }
                Admission::Answer(text) => {
                    self.tell(sender, text);
                    Published::Ignored
                }
                Admission::Drop => Published::Ignored,
            });
        }
        if for_agent > 0 {
            self.backlog.fetch_add(for_agent, Ordering::Relaxed);
            if let Some(agent) = self.agent.upgrade() {
                agent.arrived.notify_one();
            }
        }
        self.save_status().await;
        Ok(result)
    }

    /// What to do with a viewer's frame. `answers` holds the requests that this batch has answered so far.
    fn admission_of_viewer(
        &self,
        line: &Line,
        answers: &mut Vec<RequestId>,
    ) -> Result<Admission, RelayError> {
        let frame = line.frame();
        if let Some(request_id) = answered(frame) {
            let first = self.conversation.is_open(request_id) && !answers.contains(request_id);
            if !first {
                tracing::debug!(session = %self.id, "nobody waits for this answer any more; it is dropped");
                return Ok(Admission::Drop);
            }
            answers.push(request_id.clone());
        }
        if let Some((request_id, subtype)) = asked(frame) {
            let attached = self.agent.strong_count() > 0;
            let limit = match (attached, subtype) {
                (false, "initialize") => {
                    let answer = self.initialize_answer(request_id);
                    return Ok(Admission::Answer(answer));
                }
                (false, "interrupt") => {
                    // Kept, it would stop something that it was never meant for.
                    let answer =
                        control::error(request_id, "no agent is attached: nothing to interrupt");
                    return Ok(Admission::Answer(answer));
                }
                (false, _) => self.options.detached_backlog,
                (true, _) => self.options.agent_backlog,
            };
            let waiting = self.backlog();
            if waiting >= limit {
                return Err(RelayError::AgentBehind(waiting));
            }
        }
        Ok(Admission::by_kind(line))
    }

    /// The least a viewer needs to go on when there is no agent to ask.
    fn initialize_answer(&self, request_id: &RequestId) -> attache_protocol::ByteString {
        let mut answer = String::from(
            r#"{"commands":[],"output_style":"normal","available_output_styles":["normal"],"models":[],"account":{}"#,
        );
        let prompts: Vec<_> = self
            .conversation
            .prompts()
            .map(|line| line.frame().as_str())
            .collect();
        if !prompts.is_empty() {
            answer.push_str(r#","pending_permission_requests":["#);
            answer.push_str(&prompts.join(","));
            answer.push(']');
        }
        answer.push('}');
        match RawJson::parse(answer) {
            Ok(answer) => control::success(request_id, &answer),
            Err(_) => control::error(request_id, "no agent is attached"),
        }
    }

    fn fan_out(&mut self, line: &Line, sender: Option<ViewerId>) {
        self.viewers
            .retain(|viewer| Some(viewer.id) == sender || viewer.outgoing.push(line.wire()));
    }

    /// The relay's own words to one viewer, or to all.
    fn tell(&self, viewer: Option<ViewerId>, text: &str) {
        let Ok(line) = Line::known(text) else { return };
        for one in &self.viewers {
            if viewer.is_none_or(|viewer| viewer == one.id) {
                one.outgoing.push(line.wire());
            }
        }
    }

    /// The stored status is for lists only; a session that starts derives its own. So trouble here can wait.
    async fn save_status(&mut self) {
        let status = self.conversation.status();
        if status == self.status || self.status == SessionStatus::Archived {
            return;
        }
        self.status = status;
        let change = SessionChange::Status(status);
        if let Err(error) = self.store.update(&self.id, change, SystemTime::now()).await {
            tracing::warn!(session = %self.id, %error, "the session's status is not stored");
        }
    }

    fn check_writable(&self) -> Result<(), RelayError> {
        if self.status == SessionStatus::Archived {
            return Err(RelayError::Archived);
        }
        Ok(())
    }

    fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }
}

/// What to do with a frame.
#[derive(PartialEq, Eq)]
enum Admission {
    Store,
    Live,
    /// The relay answers it itself.
    Answer(attache_protocol::ByteString),
    Drop,
}

impl Admission {
    fn by_kind(line: &Line) -> Self {
        match line.frame().kind() {
            FrameKind::KeepAlive | FrameKind::Auth => Self::Drop,
            FrameKind::ControlRequest { .. }
            | FrameKind::ControlResponse { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::UnknownControl { .. }
            | FrameKind::Message { .. } => {
                if line.frame().is_stored() {
                    Self::Store
                } else {
                    Self::Live
                }
            }
        }
    }
}
