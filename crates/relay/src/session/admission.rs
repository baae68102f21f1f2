//! What to do with a frame before it is taken in.

use attache_protocol::{
    ByteString,
    frame::{Frame, FrameKind, RawJson, RequestId, control, relay::AnswerRefused},
};

use super::{
    actor::Session,
    conversation::{RequestKind, answered, asked, is_control},
    notices::{self, Refusal},
    settled::Settled,
};
use crate::{
    Identity, RelayError, Role,
    line::Line,
    store::{After, NewFrame, Origin, StoreError},
};

/// What to do with a frame.
pub(super) enum Admission {
    Store,
    /// It is stored, and right behind it what is told of it.
    Settle(Box<Line>),
    Live,
    /// It counted before. The sender is told so once more.
    Repeat(Option<Box<Line>>),
    Refuse(Box<AnswerRefused>),
    /// The relay answers it itself.
    Answer(ByteString),
    Drop,
}

impl Admission {
    fn stores(&self) -> bool {
        match self {
            Self::Store | Self::Settle(_) => true,
            Self::Live | Self::Repeat(_) | Self::Refuse(_) | Self::Answer(_) | Self::Drop => false,
        }
    }

    pub(super) fn by_kind(line: &Line) -> Self {
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

/// Frames that are taken in together, and what to do with each.
#[derive(Default)]
pub(super) struct Batch(pub(super) Vec<(Line, Admission)>);

impl Batch {
    pub(super) fn new_frames(&self, origin: Origin) -> Vec<NewFrame> {
        let mut frames = Vec::new();
        let mut add = |line: &Line, origin| {
            frames.push(NewFrame {
                uuid: line.uuid(),
                text: line.frame().text().clone(),
                origin,
            });
        };
        for (line, admission) in &self.0 {
            match admission {
                Admission::Store => add(line, origin),
                Admission::Settle(settlement) => {
                    add(line, origin);
                    add(settlement, Origin::Relay);
                }
                Admission::Live
                | Admission::Repeat(_)
                | Admission::Refuse(_)
                | Admission::Answer(_)
                | Admission::Drop => {}
            }
        }
        frames
    }

    /// Those that go into the log.
    fn stored(&self) -> impl Iterator<Item = &Line> {
        let stored = |(_, admission): &&(Line, Admission)| admission.stores();
        self.0.iter().filter(stored).map(|(line, _)| line)
    }

    fn stores(&self, uuid: &str) -> bool {
        self.stored()
            .any(|line| line.frame().uuid().is_some_and(|one| one == uuid))
    }

    /// The answer that counts, if one of these answers `request_id`.
    fn answer_to(&self, request_id: &RequestId) -> Option<&Line> {
        self.stored()
            .find(|line| answered(line.frame()) == Some(request_id))
    }
}

impl Session {
    /// What to do with a viewer's frame behind those of `batch`.
    pub(super) async fn admission_of_viewer(
        &self,
        line: &Line,
        by: &Identity,
        batch: &Batch,
    ) -> Result<Admission, RelayError> {
        let frame = line.frame();
        if let Some(request_id) = answered(frame) {
            return self.admission_of_answer(request_id, line, by, batch).await;
        }
        let attached = self.seat.is_taken();
        if let Some((request_id, subtype)) = asked(frame) {
            match subtype {
                "initialize" if !attached || by.role < Role::Drive => {
                    return Ok(Admission::Answer(self.initialize_answer(request_id)));
                }
                // Kept, it would stop something that it was never meant for.
                "interrupt" if !attached => {
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

    /// What to do with an answer: the first one counts.
    async fn admission_of_answer(
        &self,
        request_id: &RequestId,
        line: &Line,
        by: &Identity,
        batch: &Batch,
    ) -> Result<Admission, RelayError> {
        let uuid = line.frame().uuid();
        let refuse = |why: Refusal| Ok(Admission::Refuse(Box::new(why.of(request_id, line))));
        if let Some(before) = batch.answer_to(request_id) {
            if before.frame().uuid() == uuid {
                return Ok(Admission::Repeat(None));
            }
            return refuse(Refusal::Answered(Some(notices::signature(by))));
        }
        let Some(kind) = self.conversation.awaited(request_id) else {
            return match self.conversation.settled(request_id) {
                Some(Settled::Answered(winner)) if Some(&winner.answer_id) == uuid => {
                    Ok(Admission::Repeat(winner.settlement.clone().map(Box::new)))
                }
                Some(Settled::Answered(winner)) => refuse(Refusal::Answered(winner.by.clone())),
                Some(Settled::Withdrawn | Settled::Lost(_)) => refuse(Refusal::Withdrawn),
                None => refuse(Refusal::Unknown),
            };
        };
        // What the log holds is not stored again, so it can't settle anything either.
        if let Some(uuid) = uuid
            && (batch.stores(uuid) || self.is_in_log(uuid).await?)
        {
            return Ok(Admission::Repeat(None));
        }
        Ok(match kind {
            RequestKind::Prompt => {
                Admission::Settle(Box::new(notices::settlement(request_id, line, by)?))
            }
            RequestKind::Other => Admission::Store,
        })
    }

    async fn is_in_log(&self, uuid: &str) -> Result<bool, StoreError> {
        match self
            .store
            .frames(&self.id, After::Uuid(uuid), None, 1)
            .await
        {
            Ok(_) | Err(StoreError::NotKept { .. }) => Ok(true),
            Err(StoreError::UnknownCursor) => Ok(false),
            Err(error) => Err(error),
        }
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
}

/// What a viewer has to be to say `frame`; `None` when everybody may.
pub(super) fn needed_role(frame: &Frame) -> Option<Role> {
    match frame.kind() {
        FrameKind::ControlResponse { .. } => Some(Role::Approve),
        FrameKind::ControlRequest { subtype, .. } if &**subtype == "initialize" => None,
        FrameKind::ControlRequest { .. }
        | FrameKind::ControlCancelRequest { .. }
        | FrameKind::UnknownControl { .. }
        | FrameKind::Message { .. } => Some(Role::Drive),
        FrameKind::KeepAlive | FrameKind::Auth => None,
    }
}
