//! What happens to a frame: whether it is stored, and who gets it.

use std::{sync::atomic::Ordering, time::SystemTime};

use attache_protocol::{
    ByteString,
    frame::{FrameKind, RawJson, RequestId, control},
};

use super::{
    Published, ViewerId,
    actor::Session,
    conversation::{answered, asked, is_control},
};
use crate::{
    RelayError,
    line::Line,
    outgoing::Item,
    store::{Appended, NewFrame, Origin, SessionChange, SessionStatus},
};

impl Session {
    /// Stores what is to be stored, then hands everything to the viewers (but not `sender`) and the
    /// agent.
    pub(super) async fn take_in(
        &mut self,
        origin: Origin,
        sender: Option<ViewerId>,
        lines: Vec<Line>,
    ) -> Result<Vec<Published>, RelayError> {
        let mut admitted = Vec::with_capacity(lines.len());
        let mut answers = Vec::new();
        for line in &lines {
            let admit = match origin {
                Origin::Agent | Origin::Relay => Admission::by_kind(line),
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
        let at = SystemTime::now();
        let outcome = self.append(origin, new_frames, at).await?;

        let mut outcome = outcome.into_iter();
        let mut result = Vec::with_capacity(lines.len());
        for (line, admitted) in lines.iter().zip(&admitted) {
            result.push(match admitted {
                Admission::Store => {
                    let uuid = line.frame().uuid().cloned().unwrap_or_default();
                    if let Some(Appended::Stored(sequence)) = outcome.next() {
                        self.last_sequence = sequence;
                        if origin == Origin::Viewer {
                            self.stored_for_worker(sequence, &uuid);
                        }
                        self.conversation.observe(origin, line);
                        let item = Item::stored(line, sequence, origin, at);
                        let concerned = origin != Origin::Viewer || concerns_viewers(line);
                        self.fan_out(&item, concerned, sender);
                        Published::Stored(uuid)
                    } else {
                        Published::Duplicate(uuid)
                    }
                }
                Admission::Live => match line.frame().uuid() {
                    Some(uuid) if !self.live_uuids.is_new(uuid) => {
                        Published::Duplicate(uuid.clone())
                    }
                    Some(_) | None => {
                        self.fan_out(&Item::live(line, origin), true, sender);
                        Published::Live
                    }
                },
                Admission::Answer(text) => {
                    self.tell(sender, text);
                    Published::Ignored
                }
                Admission::Drop => Published::Ignored,
            });
        }
        if origin == Origin::Viewer
            && let Some(mailbox) = self.seat.mailbox()
        {
            mailbox.arrived.notify_one();
        }
        self.save_status().await;
        Ok(result)
    }

    async fn append(
        &self,
        origin: Origin,
        frames: Vec<NewFrame>,
        at: SystemTime,
    ) -> Result<Vec<Appended>, RelayError> {
        if frames.is_empty() {
            return Ok(Vec::new());
        }
        let waiting = if origin == Origin::Viewer {
            frames.len()
        } else {
            0
        };
        // Counted first: the agent may read a frame as soon as it is in the store.
        self.backlog.fetch_add(waiting, Ordering::Relaxed);
        let outcome = self.store.append(&self.id, frames, at).await;
        let kept = outcome
            .iter()
            .flatten()
            .filter(|one| **one != Appended::Duplicate)
            .count();
        self.backlog
            .fetch_sub(waiting.saturating_sub(kept), Ordering::Relaxed);
        Ok(outcome?)
    }

    /// What to do with a viewer's frame. `answers` holds the requests that this batch has answered
    /// so far.
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
            return Ok(Admission::Store);
        }
        let attached = self.seat.is_taken();
        if !attached && let Some((request_id, subtype)) = asked(frame) {
            match subtype {
                "initialize" => return Ok(Admission::Answer(self.initialize_answer(request_id))),
                // Kept, it would stop something that it was never meant for.
                "interrupt" => {
                    let answer =
                        control::error(request_id, "no agent is attached: nothing to interrupt");
                    return Ok(Admission::Answer(answer));
                }
                _ => {}
            }
        }
        let limit = if attached {
            self.options.agent_backlog
        } else {
            self.options.detached_backlog
        };
        let waiting = self.backlog();
        if is_control(frame) && waiting >= limit {
            return Err(RelayError::AgentBehind(waiting));
        }
        Ok(Admission::by_kind(line))
    }

    /// The least a viewer needs to go on when there is no agent to ask.
    fn initialize_answer(&self, request_id: &RequestId) -> ByteString {
        let least = control::LEAST_INTRODUCTION;
        let mut answer = String::from(least.strip_suffix('}').unwrap_or(least));
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

    /// Hands an item to every viewer that it concerns. Whoever follows the log gets all that is stored,
    /// so that nobody has to read it again for the sake of one number.
    fn fan_out(&mut self, item: &Item, concerned: bool, sender: Option<ViewerId>) {
        self.viewers.retain(|viewer| {
            let wanted = concerned && Some(viewer.id) != sender;
            let followed = viewer.outgoing.follows_log() && item.is_stored();
            !(wanted || followed) || viewer.outgoing.push(item)
        });
    }

    /// The relay's own words to one viewer, or to all.
    pub(super) fn tell(&self, viewer: Option<ViewerId>, text: &str) {
        let Ok(line) = Line::known(text) else { return };
        let item = Item::live(&line, Origin::Relay);
        for one in &self.viewers {
            if viewer.is_none_or(|viewer| viewer == one.id) {
                one.outgoing.push(&item);
            }
        }
    }

    /// The stored status is for lists only; a session that starts derives its own. So trouble here
    /// can wait.
    pub(super) async fn save_status(&mut self) {
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
}

/// Whether the other viewers are to see what a viewer sent. What it asks of the agent is not for them:
/// they would take it for the agent's own question and answer it.
fn concerns_viewers(line: &Line) -> bool {
    match line.frame().kind() {
        FrameKind::Message { .. } | FrameKind::ControlResponse { .. } => true,
        FrameKind::ControlRequest { .. }
        | FrameKind::ControlCancelRequest { .. }
        | FrameKind::UnknownControl { .. }
        | FrameKind::KeepAlive
        | FrameKind::Auth => false,
    }
}

/// What to do with a frame.
#[derive(PartialEq, Eq)]
enum Admission {
    Store,
    Live,
    /// The relay answers it itself.
    Answer(ByteString),
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
                if line.is_stored() {
                    Self::Store
                } else {
                    Self::Live
                }
            }
        }
    }
}
