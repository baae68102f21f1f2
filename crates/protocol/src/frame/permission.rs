//! Permission prompts: the `can_use_tool` request, taken apart as far as a person needs it.

use alloc::{borrow::Cow, string::String, sync::Arc};
use core::fmt;

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Frame, FrameKind, JsonShape, RawJson, RequestId,
    json::{object, shared},
};

/// An agent asks a person whether it may use a tool.
///
/// Texts are the agent's own and may hold terminal escapes: strip them before display. Fields without
/// an accessor here stand in [`frame`](Self::frame), untouched. `Debug` shows the id and the tool, never the content.
#[derive(Clone)]
pub struct PermissionRequest(Arc<Fields>);

struct Fields {
    frame: Frame,
    request: RawJson,
    request_id: RequestId,
    tool_name: ByteString,
    input: RawJson,
    tool_use_id: Option<ByteString>,
    suggestions: Option<RawJson>,
    texts: PromptTexts,
    flags: PromptFlags,
}

/// What the agent says about a prompt, for people to read.
#[derive(Clone, Default)]
pub struct PromptTexts {
    /// A headline.
    pub title: Option<ByteString>,
    /// The tool's name for people.
    pub display_name: Option<ByteString>,
    /// What would happen.
    pub description: Option<ByteString>,
    /// Why a person is asked at all. Known to hold terminal escapes.
    pub decision_reason: Option<ByteString>,
    /// The kind of that reason: an open set.
    pub decision_reason_type: Option<ByteString>,
    /// The path that caused the question.
    pub blocked_path: Option<ByteString>,
    /// Which of several agents asks.
    pub agent_id: Option<ByteString>,
}

/// How the agent wants a prompt to be presented.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptFlags {
    /// The safe answer should be preselected.
    pub default_to_no: bool,
    /// "Allow always" should not be offered.
    pub suppress_always_allow_rule: bool,
    /// A machine should not answer this.
    pub requires_user_interaction: bool,
}

/// A `can_use_tool` request that can't be shown; its asker still waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` of a permission request is {trouble}")]
pub struct MalformedPermission {
    /// The field, from the frame's root.
    pub path: &'static str,
    /// What is wrong with it.
    pub trouble: FieldTrouble,
}

/// What can be wrong with a known field.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldTrouble {
    /// The field has to be there.
    #[error("missing")]
    Missing,
    /// The field holds another kind of value.
    #[error("of an unexpected shape")]
    Shape,
}

impl PermissionRequest {
    /// Takes a `can_use_tool` frame apart.
    ///
    /// Required are a string `tool_name` and an object `input`; every other known field may be absent
    /// or `null`, but not of another shape.
    ///
    /// # Errors
    /// [`MalformedPermission`] names the field.
    pub fn parse(frame: &Frame) -> Result<Self, MalformedPermission> {
        let (request_id, is_permission) = match frame.kind() {
            FrameKind::ControlRequest {
                request_id,
                subtype,
            } => (request_id.detached(), &**subtype == "can_use_tool"),
            FrameKind::ControlResponse { .. }
            | FrameKind::ControlCancelRequest { .. }
            | FrameKind::KeepAlive
            | FrameKind::Auth
            | FrameKind::UnknownControl { .. }
            | FrameKind::Message { .. } => return Err(shape("type")),
        };
        if !is_permission {
            return Err(shape("request.subtype"));
        }
        let outer: Outer<'_> = object(frame.as_str()).map_err(|_| shape("request"))?;
        let fields: Wire<'_> = object(outer.request.get()).map_err(|_| shape("request"))?;
        let text = frame.text();
        let tool_name = string(text, fields.tool_name, "request.tool_name")?
            .ok_or_else(|| missing("request.tool_name"))?;
        let input = fields.input.ok_or_else(|| missing("request.input"))?;
        let input = RawJson::within(text, input);
        if input.shape() != JsonShape::Object {
            return Err(shape("request.input"));
        }
        let suggestions = fields
            .permission_suggestions
            .map(|raw| RawJson::within(text, raw));
        if suggestions
            .as_ref()
            .is_some_and(|list| list.shape() != JsonShape::Array)
        {
            return Err(shape("request.permission_suggestions"));
        }
        Ok(Self(Arc::new(Fields {
            frame: frame.clone(),
            request: RawJson::within(text, outer.request),
            request_id,
            tool_name,
            input,
            tool_use_id: string(text, fields.tool_use_id, "request.tool_use_id")?,
            suggestions,
            texts: PromptTexts {
                title: string(text, fields.title, "request.title")?,
                display_name: string(text, fields.display_name, "request.display_name")?,
                description: string(text, fields.description, "request.description")?,
                decision_reason: string(text, fields.decision_reason, "request.decision_reason")?,
                decision_reason_type: string(
                    text,
                    fields.decision_reason_type,
                    "request.decision_reason_type",
                )?,
                blocked_path: string(text, fields.blocked_path, "request.blocked_path")?,
                agent_id: string(text, fields.agent_id, "request.agent_id")?,
            },
            flags: PromptFlags {
                default_to_no: flag(fields.default_to_no, "request.default_to_no")?,
                suppress_always_allow_rule: flag(
                    fields.suppress_always_allow_rule,
                    "request.suppress_always_allow_rule",
                )?,
                requires_user_interaction: flag(
                    fields.requires_user_interaction,
                    "request.requires_user_interaction",
                )?,
            },
        })))
    }

    /// The whole frame as it came.
    pub fn frame(&self) -> &Frame {
        &self.0.frame
    }

    /// What the answer must name.
    pub fn request_id(&self) -> &RequestId {
        &self.0.request_id
    }

    /// The tool the agent wants to use.
    pub fn tool_name(&self) -> &str {
        &self.0.tool_name
    }

    /// What it wants to use the tool with: a JSON object.
    pub fn input(&self) -> &RawJson {
        &self.0.input
    }

    /// The tool use this belongs to in the message stream.
    pub fn tool_use_id(&self) -> Option<&str> {
        self.0.tool_use_id.as_deref()
    }

    /// Rules that would allow this for longer: a JSON array, to be handed back as
    /// [`updated_permissions`](super::decision::Allow::updated_permissions).
    pub fn suggestions(&self) -> Option<&RawJson> {
        self.0.suggestions.as_ref()
    }

    /// What the agent says about the prompt.
    pub fn texts(&self) -> &PromptTexts {
        &self.0.texts
    }

    /// How the agent wants it presented.
    pub fn flags(&self) -> PromptFlags {
        self.0.flags
    }

    /// Whether `other` asks for the very same thing. The frame's envelope (its `uuid`) may differ.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        self.0.request_id == other.0.request_id && self.0.request.same_value(&other.0.request)
    }
}

impl fmt::Debug for PermissionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermissionRequest")
            .field("request_id", &self.0.request_id)
            .field("tool_name", &self.0.tool_name)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    tool_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_use_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    permission_suggestions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    title: Option<&'a RawValue>,
    #[serde(borrow, default)]
    display_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    description: Option<&'a RawValue>,
    #[serde(borrow, default)]
    decision_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    decision_reason_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    blocked_path: Option<&'a RawValue>,
    #[serde(borrow, default)]
    agent_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    default_to_no: Option<&'a RawValue>,
    #[serde(borrow, default)]
    suppress_always_allow_rule: Option<&'a RawValue>,
    #[serde(borrow, default)]
    requires_user_interaction: Option<&'a RawValue>,
}

fn string(
    text: &ByteString,
    raw: Option<&RawValue>,
    path: &'static str,
) -> Result<Option<ByteString>, MalformedPermission> {
    let Some(raw) = raw else { return Ok(None) };
    if let Ok(borrowed) = serde_json::from_str::<&str>(raw.get()) {
        return Ok(Some(shared(text, Cow::Borrowed(borrowed))));
    }
    serde_json::from_str::<String>(raw.get())
        .map(|owned| Some(owned.into()))
        .map_err(|_| shape(path))
}

fn flag(raw: Option<&RawValue>, path: &'static str) -> Result<bool, MalformedPermission> {
    raw.map_or(Ok(false), |raw| serde_json::from_str(raw.get()))
        .map_err(|_| shape(path))
}

fn shape(path: &'static str) -> MalformedPermission {
    MalformedPermission {
        path,
        trouble: FieldTrouble::Shape,
    }
}

fn missing(path: &'static str) -> MalformedPermission {
    MalformedPermission {
        path,
        trouble: FieldTrouble::Missing,
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn parse(text: &'static str) -> Result<PermissionRequest, MalformedPermission> {
        PermissionRequest::parse(&Frame::classify(text.into()).unwrap())
    }

    #[test]
    fn a_prompt_keeps_its_input_byte_for_byte() {
        let prompt = parse(
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command": "ls",  "n":1.0},"tool_use_id":"t1","blocked_path":null,"default_to_no":true}}"#,
        )
        .unwrap();
        assert_eq!(prompt.tool_name(), "Bash");
        assert_eq!(prompt.input().as_str(), r#"{"command": "ls",  "n":1.0}"#);
        assert_eq!(prompt.tool_use_id(), Some("t1"));
        assert!(prompt.texts().blocked_path.is_none());
        assert!(prompt.flags().default_to_no);
    }

    #[test]
    fn a_malformed_known_field_is_named() {
        let error = parse(
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":7,"input":{}}}"#,
        )
        .unwrap_err();
        assert_eq!(error, shape("request.tool_name"));
        let error = parse(
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash"}}"#,
        )
        .unwrap_err();
        assert_eq!(error, missing("request.input"));
    }

    #[test]
    fn the_same_question_is_recognised_across_envelopes() {
        let first = parse(
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"a":1,"b":2}}}"#,
        )
        .unwrap();
        let again = parse(
            r#"{"uuid":"u","type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","input":{"b":2,"a":1},"tool_name":"Bash"}}"#,
        )
        .unwrap();
        let other = parse(
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"a":2,"b":2}}}"#,
        )
        .unwrap();
        assert!(first.asks_the_same(&again));
        assert!(!first.asks_the_same(&other));
        assert!(!format!("{first:?}").contains("\"a\""));
    }

    #[test]
    fn suggestions_are_a_list_and_flags_are_off_unless_set() {
        let asked = |more: &str| {
            let text = format!(
                r#"{{"type":"control_request","request_id":"r1","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{}}{more}}}}}"#
            );
            PermissionRequest::parse(&Frame::classify(text.into()).unwrap())
        };
        let prompt = asked(r#","permission_suggestions":[ {"type":"setMode"} ]"#).unwrap();
        let suggested = prompt.suggestions().map(RawJson::as_str);
        assert_eq!(suggested, Some(r#"[ {"type":"setMode"} ]"#));
        let flags = prompt.flags();
        assert!(!flags.default_to_no && !flags.requires_user_interaction);
        assert!(!flags.suppress_always_allow_rule);

        let bare = asked(r#","permission_suggestions":null,"default_to_no":false"#).unwrap();
        assert_eq!(bare.suggestions(), None);
        assert!(!bare.flags().default_to_no);
        for (more, field) in [
            (
                r#","permission_suggestions":{}"#,
                "request.permission_suggestions",
            ),
            (r#","default_to_no":"yes""#, "request.default_to_no"),
        ] {
            assert_eq!(asked(more).unwrap_err(), shape(field), "{more}");
        }
    }
}
