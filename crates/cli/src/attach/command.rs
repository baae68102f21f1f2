//! One command a line, as programs type them.

use attache_protocol::{
    frame::{MalformedJson, RawJson, RequestId, control::Fields},
    viewer::{AfterDeny, Allow, Content, Decision, Deny, InvalidContent, Standing},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// What a line of stdin asks for in `--json` mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Send(Content),
    Decide {
        request_id: RequestId,
        decision: Decision,
    },
    Request {
        subtype: String,
        fields: Fields,
    },
    Interrupt,
    Reconnect,
    Close,
}

/// Why a line is no command. Says what is expected and repeats nothing of the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("not a JSON object with a string in `command`: {0}")]
    Json(String),
    #[error(
        "unknown command; the commands are send, decide, request, interrupt, reconnect and close"
    )]
    Unknown,
    #[error("`{command}` needs `{field}`")]
    Missing {
        command: &'static str,
        field: &'static str,
    },
    #[error("`behavior` is \"allow\" or \"deny\"")]
    Behavior,
    #[error("`request_id` is a string of 1 to 1024 bytes")]
    RequestId,
    #[error(transparent)]
    Content(#[from] InvalidContent),
    #[error(transparent)]
    Field(#[from] MalformedJson),
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    command: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(borrow, default)]
    behavior: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "updatedInput")]
    updated_input: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "updatedPermissions")]
    updated_permissions: Option<&'a RawValue>,
    #[serde(default)]
    even_if_unverified: bool,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    interrupt: bool,
}

impl Command {
    /// Reads one line.
    ///
    /// # Errors
    /// [`CommandError`] says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, CommandError> {
        // A request's own fields may have any shape, whatever the other commands make of their names.
        if !text.trim_start().starts_with('{') {
            return Err(CommandError::Json("no object".to_owned()));
        }
        let name = serde_json::from_str::<Name<'_>>(text).map_err(json)?;
        if name.command == "request" {
            return request(text);
        }
        let line: Line<'_> = serde_json::from_str(text).map_err(json)?;
        match &*line.command {
            "send" => {
                let content = line.content.ok_or(CommandError::Missing {
                    command: "send",
                    field: "content",
                })?;
                Ok(Self::Send(Content::from_json(raw(content)?)?))
            }
            "decide" => decide(line),
            "interrupt" => Ok(Self::Interrupt),
            "reconnect" => Ok(Self::Reconnect),
            "close" => Ok(Self::Close),
            _ => Err(CommandError::Unknown),
        }
    }
}

#[derive(Deserialize)]
struct Name<'a> {
    #[serde(borrow)]
    command: Cow<'a, str>,
}

fn decide(line: Line<'_>) -> Result<Command, CommandError> {
    let missing = |field| CommandError::Missing {
        command: "decide",
        field,
    };
    let request_id = line.request_id.ok_or_else(|| missing("request_id"))?;
    let request_id = RequestId::new(request_id).ok_or(CommandError::RequestId)?;
    let decision = match line.behavior.as_deref() {
        Some("allow") => Decision::Allow(Allow {
            updated_input: line.updated_input.map(raw).transpose()?,
            updated_permissions: line.updated_permissions.map(raw).transpose()?,
            standing: if line.even_if_unverified {
                Standing::EvenIfUnverified
            } else {
                Standing::VerifiedOnly
            },
        }),
        Some("deny") => Decision::Deny(Deny {
            message: line.message.unwrap_or_else(|| "denied".to_owned()),
            then: if line.interrupt {
                AfterDeny::Interrupt
            } else {
                AfterDeny::GoOn
            },
        }),
        Some(_) => return Err(CommandError::Behavior),
        None => return Err(missing("behavior")),
    };
    Ok(Command::Decide {
        request_id,
        decision,
    })
}

/// Everything but `command` and `subtype` is the request's own.
fn request(text: &str) -> Result<Command, CommandError> {
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(json)?;
    fields.remove("command");
    let subtype = fields
        .remove("subtype")
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .ok_or(CommandError::Missing {
            command: "request",
            field: "subtype",
        })?;
    let fields = serde_json::to_string(&fields).map_err(json)?;
    Ok(Command::Request {
        subtype,
        fields: Fields::parse(fields)?,
    })
}

fn raw(value: &RawValue) -> Result<RawJson, MalformedJson> {
    RawJson::parse(value.get().to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "fits `map_err`")]
fn json(error: serde_json::Error) -> CommandError {
    CommandError::Json(format!("line {}, column {}", error.line(), error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_input_are_taken_as_they_are() {
        let text = r#"{"command":"send","content":[{"type":"text","text":"hi",  "n":1.0}]}"#;
        let Ok(Command::Send(content)) = Command::parse(text) else {
            panic!("a send");
        };
        assert_eq!(
            content.as_json().as_str(),
            r#"[{"type":"text","text":"hi",  "n":1.0}]"#
        );

        let text =
            r#"{"command":"decide","request_id":"r1","behavior":"allow","updatedInput":{"a": 1}}"#;
        let Ok(Command::Decide {
            decision: Decision::Allow(allow),
            ..
        }) = Command::parse(text)
        else {
            panic!("an allow");
        };
        assert_eq!(allow.updated_input.unwrap().as_str(), r#"{"a": 1}"#);
        assert_eq!(allow.standing, Standing::VerifiedOnly);
    }

    #[test]
    fn a_request_keeps_any_field_of_its_own() {
        let text = r#"{"command":"request","subtype":"set_model","model":"m","interrupt":"odd"}"#;
        assert_eq!(
            Command::parse(text),
            Ok(Command::Request {
                subtype: "set_model".into(),
                fields: Fields::parse(r#"{"interrupt":"odd","model":"m"}"#).unwrap(),
            })
        );
    }

    #[test]
    fn a_deny_carries_its_words() {
        let text = r#"{"command":"decide","request_id":"r1","behavior":"deny","message":"no","interrupt":true}"#;
        let Ok(Command::Decide { decision, .. }) = Command::parse(text) else {
            panic!("a deny");
        };
        assert_eq!(
            decision,
            Decision::Deny(Deny {
                message: "no".into(),
                then: AfterDeny::Interrupt
            })
        );
    }

    #[test]
    fn what_is_no_command_says_what_is_expected() {
        for (text, expected) in [
            ("nonsense", "not a JSON object"),
            (r#"["interrupt"]"#, "not a JSON object"),
            ("{}", "not a JSON object"),
            (r#"{"command":"dance"}"#, "unknown command"),
            (r#"{"command":"send"}"#, "`send` needs `content`"),
            (r#"{"command":"send","content":7}"#, "string or an array"),
            (
                r#"{"command":"decide","behavior":"allow"}"#,
                "needs `request_id`",
            ),
            (
                r#"{"command":"decide","request_id":"r","behavior":"maybe"}"#,
                "`behavior`",
            ),
            (r#"{"command":"request"}"#, "needs `subtype`"),
        ] {
            let error = Command::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(
            Command::parse(r#"{"command":"interrupt"}"#),
            Ok(Command::Interrupt)
        );
    }
}
