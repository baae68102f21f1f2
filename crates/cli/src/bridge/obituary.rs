//! What viewers are told when the agent is gone.

use attache_protocol::ByteString;
use serde_json::{Value, json};

use super::observer::{Observer, Turn};

/// How the agent went.
#[derive(Debug)]
pub(super) struct Death {
    /// What happened, such as `exited with code 1`.
    pub(super) how: String,
    /// Whether nothing was wrong with that in itself.
    pub(super) in_order: bool,
    /// The last lines of its stderr.
    pub(super) last_words: Vec<String>,
}

/// The frames that tell viewers of `death`: what is withdrawn, and the end of the turn unless the agent
/// has said that itself. `given` says whether the agent was given messages that it has not finished with.
pub(super) fn obituary(observer: &mut Observer, given: bool, death: &Death) -> Vec<ByteString> {
    let turn = observer.turn();
    let mut frames = observer.clear_away();
    let untold = match turn {
        Turn::Running => true,
        Turn::Over => given || !death.in_order,
        Turn::Failed => given,
    };
    if untold {
        frames.push(result(death).to_string().into());
    }
    frames
}

fn result(death: &Death) -> Value {
    let mut errors = vec![format!("the agent {}", death.how)];
    errors.extend(death.last_words.iter().cloned());
    json!({
        "type": "result", "subtype": "error_during_execution", "is_error": true, "errors": errors,
        "duration_ms": 0, "duration_api_ms": 0, "num_turns": 0, "total_cost_usd": 0,
        "usage": {"input_tokens": 0, "output_tokens": 0}, "permission_denials": [],
    })
}

#[cfg(test)]
mod tests {
    use attache_protocol::frame::Frame;

    use super::*;

    fn crash() -> Death {
        Death {
            how: "exited with code 3".to_owned(),
            in_order: false,
            last_words: vec!["no memory".to_owned()],
        }
    }

    fn exit() -> Death {
        Death {
            how: "exited with code 0".to_owned(),
            in_order: true,
            last_words: Vec::new(),
        }
    }

    fn after(said: &[&str]) -> Observer {
        let mut observer = Observer::default();
        for text in said {
            observer.said(&Frame::classify((*text).into()).unwrap());
        }
        observer
    }

    const ASSISTANT: &str = r#"{"type":"assistant","message":{}}"#;
    const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false}"#;
    const FAILURE: &str = r#"{"type":"result","subtype":"success","is_error":true}"#;

    #[test]
    fn a_turn_that_was_cut_off_gets_a_result_that_says_why() {
        let frames = obituary(&mut after(&[ASSISTANT]), true, &crash());
        let frame = Frame::classify(frames[0].clone()).unwrap();
        assert!(frame.as_result().unwrap().is_error);
        assert!(
            frame.as_str().contains("exited with code 3") && frame.as_str().contains("no memory")
        );
        assert_eq!(obituary(&mut after(&[ASSISTANT]), false, &exit()).len(), 1);
    }

    #[test]
    fn what_the_agent_has_said_itself_is_not_repeated() {
        assert!(obituary(&mut after(&[RESULT]), false, &exit()).is_empty());
        assert!(obituary(&mut after(&[FAILURE]), false, &crash()).is_empty());
        assert_eq!(obituary(&mut after(&[RESULT]), false, &crash()).len(), 1);
        assert_eq!(obituary(&mut after(&[FAILURE]), true, &crash()).len(), 1);
    }
}
