//! Whether the agent is at work, as far as its messages tell.

use attache_protocol::frame::{Frame, message::System};

/// Follows the turns of a conversation.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(crate) now: Doing,
    pub(crate) last_turn: LastTurn,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Doing {
    #[default]
    Idle,
    Working,
}

/// How the last finished turn ended.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LastTurn {
    #[default]
    Unknown,
    Succeeded,
    Failed,
}

impl Activity {
    pub(crate) fn message(&mut self, frame: &Frame) {
        match frame.type_name() {
            "user" | "assistant" | "stream_event" | "tool_progress" => self.now = Doing::Working,
            "result" => {
                self.now = Doing::Idle;
                self.last_turn = match frame.as_result() {
                    Some(result) if result.is_error => LastTurn::Failed,
                    Some(_) => LastTurn::Succeeded,
                    None => LastTurn::Unknown,
                };
            }
            "system" => {
                if let Some(System::SessionStateChanged(changed)) = frame.as_system()
                    && &*changed.state == "idle"
                {
                    self.now = Doing::Idle;
                }
            }
            _ => {}
        }
    }

    /// One of our own messages was taken.
    pub(crate) fn sent(&mut self) {
        self.now = Doing::Working;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_ends_the_work() {
        let mut activity = Activity::default();
        activity.message(&Frame::classify("{\"type\":\"assistant\"}".into()).unwrap());
        assert_eq!(activity.now, Doing::Working);
        let result = r#"{"type":"result","subtype":"success","is_error":true}"#;
        activity.message(&Frame::classify(result.into()).unwrap());
        assert_eq!(activity.now, Doing::Idle);
        assert_eq!(activity.last_turn, LastTurn::Failed);
    }
}
