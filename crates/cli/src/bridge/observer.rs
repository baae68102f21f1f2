//! What the agent is at, told from the frames that pass by.

use attache_protocol::{
    ByteString,
    frame::{
        Frame, FrameKind, RawJson, RequestId,
        control::{self, ControlResponse},
        message::System,
        permission::PermissionRequest,
    },
    worker::AgentState,
};
use serde_json::{Value, json};

use crate::render::one_line;

/// How many open requests are followed, in each direction.
const OPEN: usize = 256;
/// What is said about a tool use, in characters.
const BRIEF: usize = 300;

/// Follows the conversation of one agent.
#[derive(Debug, Default)]
pub(super) struct Observer {
    turn: Turn,
    /// The agent's requests that nobody has answered.
    open: Vec<Open>,
    /// Viewers' requests that the agent has not answered.
    asked: Vec<RequestId>,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Turn {
    /// None was ever begun, or the last one went well.
    #[default]
    Over,
    /// The last one ended, and the agent has said that it failed.
    Failed,
    /// One goes on.
    Running,
}

#[derive(Debug)]
struct Open {
    request_id: RequestId,
    /// What a person is asked, if it is a permission prompt.
    prompt: Option<Prompt>,
}

#[derive(Debug)]
struct Prompt {
    frame: ByteString,
    details: RawJson,
}

impl Observer {
    /// The agent has said this.
    pub(super) fn said(&mut self, frame: &Frame) {
        match frame.kind() {
            FrameKind::ControlRequest { request_id, .. } => self.asks(request_id, frame),
            FrameKind::ControlCancelRequest { request_id } => self.settled(request_id),
            FrameKind::ControlResponse { request_id } => {
                self.asked.retain(|asked| asked != request_id);
            }
            FrameKind::Message { type_name } => match &**type_name {
                "result" => {
                    let failed = frame.as_result().is_none_or(|result| result.is_error);
                    self.turn = if failed { Turn::Failed } else { Turn::Over };
                }
                "user" | "assistant" | "stream_event" | "tool_progress" => {
                    self.turn = Turn::Running;
                }
                "system" => self.says_its_state(frame),
                _ => {}
            },
            FrameKind::KeepAlive | FrameKind::Auth | FrameKind::UnknownControl { .. } => {}
        }
    }

    /// Some agents say themselves what they are at; one that greets is not at work.
    fn says_its_state(&mut self, frame: &Frame) {
        let Some(System::SessionStateChanged(changed)) = frame.as_system() else {
            return;
        };
        match (&*changed.state, self.turn) {
            ("idle", Turn::Running) => self.turn = Turn::Over,
            ("running", Turn::Over | Turn::Failed) => self.turn = Turn::Running,
            _ => {}
        }
    }

    /// The agent has been told this.
    pub(super) fn told(&mut self, frame: &Frame) {
        match frame.kind() {
            FrameKind::ControlResponse { request_id } => self.settled(request_id),
            FrameKind::ControlRequest { request_id, .. } => {
                if self.asked.len() < OPEN && !self.asked.contains(request_id) {
                    self.asked.push(request_id.clone());
                }
            }
            FrameKind::ControlCancelRequest { request_id } => {
                self.asked.retain(|asked| asked != request_id);
            }
            FrameKind::Message { type_name } if &**type_name == "user" => {
                self.turn = Turn::Running;
            }
            FrameKind::Message { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. } => {}
        }
    }

    pub(super) fn turn(&self) -> Turn {
        self.turn
    }

    /// What the server should know.
    pub(super) fn state(&self) -> AgentState {
        match (self.prompts().next(), self.turn) {
            (Some(prompt), _) => AgentState::RequiresAction(prompt.details.clone()),
            (None, Turn::Running) => AgentState::Running,
            (None, Turn::Over | Turn::Failed) => AgentState::Idle,
        }
    }

    /// Answers a viewer's `initialize` with what the agent said to ours, and the prompts that are open.
    pub(super) fn introduction(
        &self,
        request_id: &RequestId,
        answer: Option<&RawJson>,
    ) -> ByteString {
        let object = |text: &str| serde_json::from_str(text).ok().filter(Value::is_object);
        let mut answer = answer
            .and_then(|answer| object(answer.as_str()))
            .or_else(|| object(control::LEAST_INTRODUCTION))
            .unwrap_or_default();
        let prompts: Vec<Value> = self
            .prompts()
            .filter_map(|prompt| serde_json::from_str(&prompt.frame).ok())
            .collect();
        if let (Value::Object(fields), false) = (&mut answer, prompts.is_empty()) {
            fields.insert("pending_permission_requests".to_owned(), prompts.into());
        }
        match RawJson::parse(answer.to_string()) {
            Ok(answer) => control::success(request_id, &answer),
            Err(_) => control::error(request_id, "The agent's introduction can't be read"),
        }
    }

    /// Withdraws what the agent asked, and answers what it was asked: it is gone.
    pub(super) fn clear_away(&mut self) -> Vec<ByteString> {
        let withdrawn = self.open.drain(..).map(|open| {
            let id = open.request_id.as_str();
            json!({"type": "control_cancel_request", "request_id": id})
                .to_string()
                .into()
        });
        let refused = self
            .asked
            .drain(..)
            .map(|asked| control::error(&asked, "The agent is gone"));
        let frames = withdrawn.chain(refused).collect();
        self.turn = Turn::Over;
        frames
    }

    fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        self.open.iter().filter_map(|open| open.prompt.as_ref())
    }

    fn asks(&mut self, request_id: &RequestId, frame: &Frame) {
        if self.open.len() < OPEN && !self.open.iter().any(|open| open.request_id == *request_id) {
            self.open.push(Open {
                request_id: request_id.clone(),
                prompt: prompt(frame),
            });
        }
    }

    fn settled(&mut self, request_id: &RequestId) {
        self.open.retain(|open| open.request_id != *request_id);
    }
}

/// What `frame` asks a person, if it does.
fn prompt(frame: &Frame) -> Option<Prompt> {
    let request = PermissionRequest::parse(frame).ok()?;
    let texts = request.texts();
    let description = [&texts.description, &texts.title, &texts.display_name]
        .into_iter()
        .find_map(Option::as_deref)
        .unwrap_or_else(|| request.tool_name());
    let mut details = json!({
        "tool_name": one_line(request.tool_name(), BRIEF),
        "action_description": one_line(description, BRIEF),
        "request_id": request.request_id().as_str(),
    });
    if let (Some(id), Some(fields)) = (request.tool_use_id(), details.as_object_mut()) {
        fields.insert("tool_use_id".to_owned(), id.into());
    }
    Some(Prompt {
        frame: frame.text().clone(),
        details: RawJson::parse(details.to_string()).ok()?,
    })
}

/// The answer in `frame`, if it answers `request_id`.
pub(super) fn answer_to(request_id: &RequestId, frame: &Frame) -> Option<ControlResponse> {
    match frame.kind() {
        FrameKind::ControlResponse {
            request_id: answered,
        } if answered == request_id => ControlResponse::parse(frame).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"},"tool_use_id":"t1","description":"List \u001b[31mfiles"}}"#;
    const ALLOWED: &str = r#"{"type":"control_response","response":{"subtype":"success","request_id":"r1","response":{"behavior":"allow"}}}"#;
    const CANCEL: &str = r#"{"type":"control_cancel_request","request_id":"r1"}"#;
    const USER: &str = r#"{"type":"user","message":{"role":"user","content":"hi"}}"#;
    const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false}"#;
    const FAILURE: &str = r#"{"type":"result","subtype":"error_during_execution","is_error":true}"#;

    fn frame(text: &str) -> Frame {
        Frame::classify(text.into()).unwrap()
    }

    fn at_work() -> Observer {
        let mut observer = Observer::default();
        observer.said(&frame(r#"{"type":"system","subtype":"init"}"#));
        assert_eq!(observer.state(), AgentState::Idle);
        observer.told(&frame(USER));
        assert_eq!(observer.state(), AgentState::Running);
        observer
    }

    #[test]
    fn a_turn_lasts_from_the_first_message_to_its_result() {
        let mut observer = at_work();
        observer.said(&frame(RESULT));
        assert_eq!(observer.state(), AgentState::Idle);
        observer.said(&frame(r#"{"type":"assistant","message":{}}"#));
        assert_eq!(observer.state(), AgentState::Running);
        observer.said(&frame(FAILURE));
        assert_eq!(
            (observer.state(), observer.turn()),
            (AgentState::Idle, Turn::Failed)
        );
    }

    #[test]
    fn an_agent_that_greets_and_says_that_it_is_idle_is_idle() {
        let mut observer = Observer::default();
        observer.said(&frame(r#"{"type":"assistant","message":{}}"#));
        assert_eq!(observer.state(), AgentState::Running);
        observer.said(&frame(
            r#"{"type":"system","subtype":"session_state_changed","state":"idle"}"#,
        ));
        assert_eq!(observer.state(), AgentState::Idle);
    }

    #[test]
    fn a_prompt_needs_a_person_until_it_is_answered_or_withdrawn() {
        let mut observer = at_work();
        observer.said(&frame(PROMPT));
        let AgentState::RequiresAction(details) = observer.state() else {
            panic!("a person is asked");
        };
        let details: Value = serde_json::from_str(details.as_str()).unwrap();
        let expected = json!({
            "tool_name": "Bash", "action_description": "List files",
            "tool_use_id": "t1", "request_id": "r1",
        });
        assert_eq!(details, expected);
        observer.told(&frame(ALLOWED));
        assert_eq!(observer.state(), AgentState::Running);

        observer.said(&frame(PROMPT));
        // The same words from the other side mean something else.
        observer.said(&frame(ALLOWED));
        observer.told(&frame(CANCEL));
        assert!(matches!(observer.state(), AgentState::RequiresAction(_)));
        observer.said(&frame(CANCEL));
        assert_eq!(observer.state(), AgentState::Running);
    }

    #[test]
    fn nothing_stays_open_when_the_agent_is_gone() {
        let mut observer = at_work();
        observer.said(&frame(PROMPT));
        observer.told(&frame(
            r#"{"type":"control_request","request_id":"v1","request":{"subtype":"interrupt"}}"#,
        ));
        let frames = observer.clear_away();
        assert_eq!(frames.len(), 2);
        assert_eq!(
            *frame(&frames[0]).kind(),
            FrameKind::ControlCancelRequest {
                request_id: RequestId::new("r1").unwrap()
            }
        );
        assert!(frames[1].contains("\"v1\"") && frames[1].contains("\"error\""));
        assert_eq!(observer.state(), AgentState::Idle);
        assert!(observer.clear_away().is_empty());
    }

    #[test]
    fn a_viewer_is_introduced_with_the_prompts_that_are_open() {
        let mut observer = at_work();
        observer.said(&frame(PROMPT));
        let id = RequestId::new("v1").unwrap();
        let answer = RawJson::parse(r#"{"commands":[{"name":"x"}]}"#).unwrap();
        let response = frame(&observer.introduction(&id, Some(&answer)));
        let response = answer_to(&id, &response).unwrap();
        assert_eq!(response.pending_permission_requests.len(), 1);
        let least = observer.introduction(&id, None);
        assert!(least.contains("available_output_styles"));
    }
}
