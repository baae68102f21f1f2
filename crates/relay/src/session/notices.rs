//! What the relay says of its own accord.

use std::collections::BTreeMap;

use attache_protocol::{
    ByteString,
    frame::{
        Frame, RequestId, control,
        relay::{AnswerRefused, AnsweredBy, Behavior, Hello, RefusedBecause, Settlement},
    },
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::settled::Deserter;
use crate::{Identity, RelayError, Role, id, line::Line};

/// The first frame of a subscription.
pub(super) fn hello(role: Role) -> ByteString {
    Hello::confirming(role.as_str()).to_frame().into()
}

/// Tells whose answer a prompt was settled with.
pub(super) fn settlement(
    request_id: &RequestId,
    answer: &Line,
    by: &Identity,
) -> Result<Line, RelayError> {
    let settlement = Settlement {
        request_id: request_id.clone(),
        behavior: behavior(answer.frame()),
        answer_id: answer.frame().uuid().map(ToString::to_string),
        answered_by: Some(signature(by)),
    };
    let uuid = id::uuid().map_err(|_| RelayError::NoRandomness)?;
    Ok(Line::known(&settlement.to_frame(&uuid))?)
}

/// Why a request is taken back in the name of its agent.
#[derive(Clone)]
pub(super) enum Withdrawal {
    /// Another agent has its place.
    Replaced,
    /// It was not heard of for too long.
    Lost(Deserter),
}

const LOST: &str = "worker_lost";

impl Withdrawal {
    /// Takes `request_id` back.
    pub(super) fn of(&self, request_id: &RequestId) -> Result<Line, RelayError> {
        let uuid = id::uuid().map_err(|_| RelayError::NoRandomness)?;
        let (kind, request_id) = ("control_cancel_request", request_id.as_str());
        let text = match self {
            Self::Replaced => json!({
                "type": kind, "request_id": request_id, "reason": "worker_replaced", "uuid": uuid,
            }),
            Self::Lost(Deserter(instance)) => json!({
                "type": kind, "request_id": request_id, "reason": LOST,
                "worker_instance": instance.as_deref(), "uuid": uuid,
            }),
        };
        Ok(Line::known(&text.to_string())?)
    }
}

/// Who was not heard of, if that is why `frame` takes a request back.
pub(super) fn deserter(frame: &Frame) -> Option<Deserter> {
    #[derive(Deserialize)]
    struct Cancel {
        reason: String,
        worker_instance: Option<String>,
    }
    let cancel: Cancel = serde_json::from_str(frame.as_str()).ok()?;
    (cancel.reason == LOST).then(|| Deserter(cancel.worker_instance.map(ByteString::from)))
}

/// Tells an agent that has come back that nobody will answer `request_id`.
pub(super) fn nobody_answers(request_id: &RequestId) -> Result<Line, RelayError> {
    let why = "nobody was asked: the agent's computer could not be reached for too long";
    Ok(Line::accept(&control::error(request_id, why))?)
}

/// Whether only the relay may say what `frame` says.
pub(super) fn is_the_relays(frame: &Frame) -> bool {
    match frame.type_name() {
        "answer_refused" | "delivery_update" => true,
        "system" => says_settled(frame.as_str()),
        _ => false,
    }
}

/// How `by` signs an answer.
pub(super) fn signature(by: &Identity) -> AnsweredBy {
    AnsweredBy {
        name: by.name.as_deref().map(str::to_owned),
        role: Some(by.role.as_str().to_owned()),
    }
}

/// Why `answer` does not count.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another one came first.
    Answered(Option<AnsweredBy>),
    Withdrawn,
    Unknown,
    Forbidden(Role),
}

impl Refusal {
    pub(super) fn of(self, request_id: &RequestId, answer: &Line) -> AnswerRefused {
        let name = match &self {
            Self::Answered(Some(by)) => by.name.as_deref(),
            Self::Answered(None) | Self::Withdrawn | Self::Unknown | Self::Forbidden(_) => None,
        };
        let message = match &self {
            Self::Answered(_) => format!(
                "{} has answered this already; there is nothing left to answer",
                name.unwrap_or("somebody else")
            ),
            Self::Withdrawn => {
                "the agent no longer asks this; there is nothing left to answer".to_owned()
            }
            Self::Unknown => {
                "the agent does not ask this, or it did too long ago; answer what is open now"
                    .to_owned()
            }
            Self::Forbidden(role) => RelayError::Forbidden {
                role: *role,
                needed: Role::Approve,
            }
            .to_string(),
        };
        AnswerRefused {
            request_id: request_id.clone(),
            answer_id: answer.stated_uuid().map(ToString::to_string),
            reason: match &self {
                Self::Answered(_) => RefusedBecause::Answered,
                Self::Withdrawn => RefusedBecause::Withdrawn,
                Self::Unknown => RefusedBecause::Unknown,
                Self::Forbidden(_) => RefusedBecause::Forbidden,
            },
            answered_by: match self {
                Self::Answered(by) => by,
                Self::Withdrawn | Self::Unknown | Self::Forbidden(_) => None,
            },
            message,
        }
    }
}

/// What an answer says, read as agents read it: of a field that stands there twice, the last counts.
fn behavior(answer: &Frame) -> Behavior {
    let field = |json: &str, name: &str| -> Option<String> {
        let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
        Some(fields.remove(name)?.get().to_owned())
    };
    let text = |json: Option<String>| -> Option<String> { serde_json::from_str(&json?).ok() };
    let said = || {
        let response = field(answer.as_str(), "response")?;
        if text(field(&response, "subtype"))? != "success" {
            return None;
        }
        text(field(&field(&response, "response")?, "behavior"))
    };
    match said().as_deref() {
        Some("allow") => Behavior::Allow,
        Some("deny") => Behavior::Deny,
        Some(_) | None => Behavior::Error,
    }
}

fn says_settled(frame: &str) -> bool {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(default)]
        subtype: Option<String>,
    }
    match serde_json::from_str::<Kind>(frame) {
        Ok(kind) => kind.subtype.as_deref() == Some("permission_settled"),
        // A `subtype` that stands there twice, or is no text: not worth the risk.
        Err(_) => frame.contains("permission_settled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settlement_says_what_the_agent_will_read() {
        let behavior = |response: &str| {
            let text = format!(
                r#"{{"type":"control_response","response":{{"request_id":"r",{response}}}}}"#
            );
            behavior(Line::accept(&text).unwrap().frame())
        };
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for (response, expected) in [
            (
                r#""subtype":"success","response":{"behavior":"allow"}"#,
                Behavior::Allow,
            ),
            (
                r#""subtype":"success","response":{"behavior":"deny"}"#,
                Behavior::Deny,
            ),
            (
                r#""subtype":"error","error":"no terminal"}"#.trim_end_matches('}'),
                Behavior::Error,
            ),
            (
                r#""subtype":"error","response":{"behavior":"allow"}"#,
                Behavior::Error,
            ),
            (
                r#""subtype":"success","response":{"behavior":"perhaps"}"#,
                Behavior::Error,
            ),
            (
                r#""subtype":"success","response":{"behavior":true}"#,
                Behavior::Error,
            ),
            (r#""subtype":"success""#, Behavior::Error),
            (
                r#""subtype":"success","response":{"behavior":"deny","behavior":"allow"}"#,
                Behavior::Allow,
            ),
            (
                r#""subtype":"success","response":{"behavior":"allow"},"response":{"behavior":"deny"}"#,
                Behavior::Deny,
            ),
            (
                &format!(
                    r#""subtype":"success","response":{{"updatedInput":{deep},"behavior":"\u0061llow"}}"#
                ),
                Behavior::Allow,
            ),
        ] {
            assert_eq!(behavior(response), expected, "{response}");
        }
    }

    #[test]
    fn nobody_else_speaks_for_the_relay() {
        let is_the_relays = |text: &str| is_the_relays(Line::accept(text).unwrap().frame());
        for text in [
            r#"{"type":"system","subtype":"permission_settled"}"#,
            r#"{"type":"system","subtype":"permission\u005fsettled"}"#,
            r#"{"type":"system","subtype":"x","subtype":"permission_settled"}"#,
            r#"{"type":"answer_refused"}"#,
            r#"{"type":"delivery_update"}"#,
        ] {
            assert!(is_the_relays(text), "{text}");
        }
        for text in [
            r#"{"type":"system","subtype":"init"}"#,
            r#"{"type":"system"}"#,
            r#"{"type":"user","subtype":"permission_settled"}"#,
        ] {
            assert!(!is_the_relays(text), "{text}");
        }
    }
}
