//! Who may say what: the agent, whoever posts, whoever has a socket.

use attache_protocol::frame::{FrameKind, control};

use super::{
    Epoch, Published, ViewerId,
    actor::Session,
    admission::needed_role,
    conversation::{answered, asked},
    intake::Speaker,
    notices::Refusal,
};
use crate::{Identity, RelayError, Role, line::Line, outgoing::Ending};

impl Session {
    pub(super) async fn publish(
        &mut self,
        by: Epoch,
        lines: Vec<Line>,
    ) -> Result<Vec<Published>, RelayError> {
        self.check_writable()?;
        if by != self.epoch {
            return Err(RelayError::Superseded);
        }
        // A batch that comes again asks nothing new.
        let is_new = |line: &&Line| {
            asked(line.frame()).is_some_and(|(id, _)| !self.conversation.is_open(id))
        };
        let asks = lines.iter().filter(is_new).count();
        let open = self.conversation.open_requests().len();
        if asks > 0 && open + asks > self.options.open_requests {
            return Err(RelayError::TooManyOpenRequests(open));
        }
        self.take_in(Speaker::Agent, lines).await
    }

    pub(super) async fn post(
        &mut self,
        lines: Vec<Line>,
        by: &Identity,
    ) -> Result<Vec<Published>, RelayError> {
        let role = by.role;
        let needed = lines.iter().filter_map(|line| needed_role(line.frame()));
        if let Some(needed) = needed.max().filter(|needed| role < *needed) {
            return Err(RelayError::Forbidden { role, needed });
        }
        self.check_writable()?;
        let waiting = self.backlog();
        let stored = lines.iter().filter(|line| line.is_stored()).count();
        if waiting > 0 && waiting + stored > self.options.agent_backlog {
            return Err(RelayError::AgentBehind(waiting));
        }
        let speaker = Speaker::Viewer { by, socket: None };
        self.take_in(speaker, lines).await
    }

    pub(super) async fn take_from(&mut self, viewer: ViewerId, line: Line) {
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
        let Some(one) = self.viewers.iter().find(|one| one.id == viewer) else {
            return;
        };
        let by = one.by.clone();
        if let Some(needed) = needed_role(line.frame()).filter(|needed| by.role < *needed) {
            self.forbid(viewer, &line, by.role, needed);
            return;
        }
        let speaker = Speaker::Viewer {
            by: &by,
            socket: Some(viewer),
        };
        let result = match self.check_writable() {
            Ok(()) => self.take_in(speaker, vec![line.clone()]).await,
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
            (None, RelayError::Store(_) | RelayError::NoRandomness) => {
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

    /// Tells a viewer that it may not say this, if there is a way to.
    fn forbid(&mut self, viewer: ViewerId, line: &Line, role: Role, needed: Role) {
        self.metrics.refused("frame");
        let frame = line.frame();
        if let Some((request_id, _)) = asked(frame) {
            let error = RelayError::Forbidden { role, needed };
            let answer = control::error(request_id, &error.to_string());
            self.tell(Some(viewer), &answer);
        } else if let Some(request_id) = answered(frame) {
            let refused = Refusal::Forbidden(role).of(request_id, line);
            self.tell(Some(viewer), &refused.to_frame());
        } else {
            tracing::debug!(session = %self.id, %role, "a viewer may not say this; it is dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use attache_protocol::frame::relay::{AnswerRefused, RefusedBecause, Settlement};

    use super::*;
    use crate::{
        MemoryStore, Relay, RelayOptions,
        outgoing::Outgoing,
        session::SessionHandle,
        store::{After, Store},
    };

    const PROMPT: &str = r#"{"type":"control_request","uuid":"ask","request_id":"p1","request":{"subtype":"can_use_tool"}}"#;
    const ANSWER: &str = r#"{"type":"control_response","uuid":"x","response":{"subtype":"success","request_id":"p1","response":{"behavior":"deny"}}}"#;
    const INITIALIZE: &str =
        r#"{"type":"control_request","request_id":"i1","request":{"subtype":"initialize"}}"#;
    const REQUEST: &str =
        r#"{"type":"control_request","request_id":"i2","request":{"subtype":"set_model"}}"#;
    const CANCEL: &str = r#"{"type":"control_cancel_request","request_id":"i2"}"#;
    const MESSAGE: &str = r#"{"type":"user","uuid":"u1"}"#;

    fn ada(role: Role) -> Arc<Identity> {
        let mut identity = Identity::owner();
        identity.name = Some("ada".into());
        identity.role = role;
        Arc::new(identity)
    }

    fn line(text: &str) -> Line {
        Line::accept(text).unwrap()
    }

    struct Socket {
        session: SessionHandle,
        viewer: ViewerId,
        outgoing: Arc<Outgoing>,
    }

    impl Socket {
        async fn open(session: &SessionHandle, role: Role) -> Self {
            let outgoing = Arc::new(Outgoing::for_socket(64, 1 << 20));
            let subscribed = session.subscribe(outgoing.clone(), ada(role)).await;
            Self {
                session: session.clone(),
                viewer: subscribed.unwrap().viewer,
                outgoing,
            }
        }

        /// What it is told, once everything before is done.
        async fn told(&self) -> Vec<String> {
            self.session.post(Vec::new(), ada(Role::Own)).await.unwrap();
            self.outgoing.push(&crate::outgoing::Item::live(
                line(r#"{"type":"mark"}"#),
                crate::store::Origin::Relay,
            ));
            let batch = self.outgoing.next().await.unwrap();
            let told = batch.items().map(|item| item.wire().unwrap());
            told.filter(|text| !text.contains("\"mark\"")).collect()
        }

        async fn say(&self, text: &str) -> Vec<String> {
            let taken = self.session.take_from(self.viewer, line(text)).await;
            taken.unwrap();
            self.told().await
        }
    }

    #[tokio::test]
    async fn on_a_socket_everybody_hears_what_their_role_allows() {
        let store = Arc::new(MemoryStore::new());
        let relay = Relay::new(store.clone(), RelayOptions::default());
        let id = relay.create_session("roles").await.unwrap();
        let agent = relay.attach_agent(&id).await.unwrap();
        agent.publish(PROMPT).await.unwrap();
        let session = relay.session(&id).await.unwrap();

        let viewer = Socket::open(&session, Role::View).await;
        let told = viewer.told().await;
        assert!(told[0].contains(r#""relay":{"role":"view""#), "{told:?}");
        let told = viewer.say(ANSWER).await;
        let refused = AnswerRefused::read(line(&told[0]).frame()).unwrap();
        assert_eq!(refused.reason, RefusedBecause::Forbidden);
        assert_eq!(refused.answer_id.as_deref(), Some("x"));
        let told = viewer.say(INITIALIZE).await;
        assert!(
            told[0].contains("\"success\"") && told[0].contains("pending_permission_requests"),
            "{told:?}"
        );
        let told = viewer.say(REQUEST).await;
        assert!(
            told[0].contains("\"error\"") && told[0].contains("drive"),
            "{told:?}"
        );
        assert!(viewer.say(CANCEL).await.is_empty());

        let approver = Socket::open(&session, Role::Approve).await;
        approver.told().await;
        let told = approver.say(REQUEST).await;
        assert!(told[0].contains("\"error\""), "{told:?}");
        let told = approver.say(ANSWER).await;
        let settled = Settlement::read(line(&told[0]).frame()).unwrap();
        let by = settled.answered_by.unwrap();
        assert_eq!(by.name.as_deref(), Some("ada"));
        assert_eq!(by.role.as_deref(), Some("approve"));

        let driver = Socket::open(&session, Role::Drive).await;
        driver.told().await;
        assert!(driver.say(REQUEST).await.is_empty());
        let log = store
            .frames(&id, After::Sequence(0), None, 10)
            .await
            .unwrap();
        assert_eq!(log.frames.len(), 4, "prompt, answer, settlement, request");
    }

    #[tokio::test]
    async fn a_post_with_one_frame_above_the_role_changes_nothing() {
        let store = Arc::new(MemoryStore::new());
        let relay = Relay::new(store.clone(), RelayOptions::default());
        let id = relay.create_session("roles").await.unwrap();
        let agent = relay.attach_agent(&id).await.unwrap();
        agent.publish(PROMPT).await.unwrap();
        let session = relay.session(&id).await.unwrap();
        for (role, frame, needed) in [
            (Role::View, ANSWER, Some(Role::Approve)),
            (Role::View, MESSAGE, Some(Role::Drive)),
            (Role::View, INITIALIZE, None),
            (Role::Approve, MESSAGE, Some(Role::Drive)),
            (Role::Approve, REQUEST, Some(Role::Drive)),
            (Role::Approve, CANCEL, Some(Role::Drive)),
            (Role::Drive, MESSAGE, None),
            (Role::Drive, CANCEL, None),
        ] {
            let lines = vec![line(r#"{"type":"keep_alive"}"#), line(frame)];
            let posted = session.post(lines, ada(role)).await;
            match (posted, needed) {
                (Ok(_), None) => {}
                (Err(RelayError::Forbidden { role: is, needed }), Some(expected)) => {
                    assert_eq!((is, needed), (role, expected));
                }
                (outcome, _) => panic!("{role} {frame}: {outcome:?}"),
            }
        }
        let posted = session.post(vec![line(ANSWER)], ada(Role::Approve)).await;
        assert_eq!(posted.unwrap(), [Published::Stored("x".into())]);
    }
}
