//! Control frames: what this side writes, and the responses it reads.
//!
//! What is written ends with its only line break. JSON from outside keeps its bytes, but for line breaks
//! between its parts, which become spaces.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use bytestring::ByteString;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::decision::{AfterDeny, Decision};
use super::{
    Frame, MalformedJson, MalformedReason, RawJson, RequestId, detached, json::object, push_line,
};
use crate::io::Token;

/// What is answered to `initialize` by whoever has nothing to say of an agent: a JSON object with the
/// fields that viewers count on, and none of them filled.
pub const LEAST_INTRODUCTION: &str = r#"{"commands":[],"output_style":"normal","available_output_styles":["normal"],"models":[],"account":{}}"#;

/// The fields that go into a control request beside its `subtype`: a JSON object, or nothing.
///
/// ```
/// use attache_protocol::frame::control::Fields;
///
/// let fields = Fields::parse(r#"{"mode":"plan"}"#).unwrap();
/// assert!(Fields::parse("[1]").is_err());
/// # let _ = fields;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Option<RawJson>);

impl Fields {
    /// No field at all.
    pub const NONE: Self = Self(None);

    /// The fields of the JSON object `text`.
    ///
    /// # Errors
    /// [`MalformedJson`] when `text` is not one JSON object, or brings a `subtype` of its own.
    pub fn parse(text: impl Into<ByteString>) -> Result<Self, MalformedJson> {
        #[derive(Deserialize)]
        struct Reserved {
            #[serde(default)]
            subtype: Option<IgnoredAny>,
        }
        let json = RawJson::parse(text)?;
        if object::<Reserved>(json.as_str())?.subtype.is_some() {
            return Err(MalformedJson {
                reason: MalformedReason::Shape,
                line: 1,
                column: 0,
            });
        }
        Ok(Self(Some(json)))
    }

    /// The fields between the braces, without the braces.
    fn inner(&self) -> &str {
        self.0
            .as_ref()
            .and_then(|object| object.as_str().strip_prefix('{')?.strip_suffix('}'))
            .map_or("", str::trim)
    }
}

/// How the peer answered a control request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlOutcome {
    /// `subtype: "success"`, with whatever `response` holds.
    Success(Option<RawJson>),
    /// `subtype: "error"`: the request itself failed, in the peer's words.
    Error(String),
}

/// A `control_response` taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlResponse {
    /// The answer.
    pub outcome: ControlOutcome,
    /// Prompts that are still open, for a client that joined late; each is a whole `control_request`.
    pub pending_permission_requests: Vec<ByteString>,
}

impl ControlResponse {
    /// Takes the `response` of a `control_response` frame apart. A subtype other than `success` is a
    /// failed request.
    ///
    /// # Errors
    /// [`MalformedJson`] when the frame's `response` does not have that shape.
    pub fn parse(frame: &Frame) -> Result<Self, MalformedJson> {
        #[derive(Deserialize)]
        struct Outer<'a> {
            #[serde(borrow)]
            response: Body<'a>,
        }
        #[derive(Deserialize)]
        struct Body<'a> {
            subtype: String,
            #[serde(borrow, default)]
            response: Option<&'a RawValue>,
            #[serde(default)]
            error: Option<String>,
            #[serde(borrow, default)]
            pending_permission_requests: Option<Vec<&'a RawValue>>,
        }
        #[derive(Deserialize)]
        struct Nested<'a> {
            #[serde(borrow, default)]
            pending_permission_requests: Option<Vec<&'a RawValue>>,
        }
        let Body {
            subtype,
            response,
            error,
            pending_permission_requests,
        } = object::<Outer<'_>>(frame.as_str())?.response;
        // Seen both beside `response` and inside it.
        let pending = pending_permission_requests
            .or_else(|| {
                object::<Nested<'_>>(response?.get())
                    .ok()?
                    .pending_permission_requests
            })
            .unwrap_or_default();
        let outcome = if subtype == "success" {
            ControlOutcome::Success(response.map(|raw| RawJson::within(frame.text(), raw)))
        } else {
            ControlOutcome::Error(error.unwrap_or(subtype))
        };
        Ok(Self {
            outcome,
            pending_permission_requests: pending
                .into_iter()
                .map(|raw| frame.text().slice_ref(raw.get()))
                .map(|request| detached(request, frame.as_str().len()))
                .collect(),
        })
    }
}

/// The `control_request` that asks for `subtype` with `fields`.
pub fn request(request_id: &RequestId, subtype: &str, fields: &Fields) -> ByteString {
    let mut text = String::from("{\"type\":\"control_request\",\"request_id\":");
    push_string(&mut text, request_id.as_str());
    text.push_str(",\"request\":{\"subtype\":");
    push_string(&mut text, subtype);
    let fields = fields.inner();
    if !fields.is_empty() {
        text.push(',');
        push_line(&mut text, fields);
    }
    text.push_str("}}\n");
    text.into()
}

/// The `control_response` that carries a person's decision. An *allow* always names its input: the
/// one the person changed, or `input` as it was asked for. `uuid` is the frame's id.
pub fn decision(
    request_id: &RequestId,
    decision: &Decision,
    input: &RawJson,
    uuid: &str,
) -> ByteString {
    let mut text = success_head(request_id);
    match decision {
        Decision::Allow(allow) => {
            text.push_str("{\"behavior\":\"allow\",\"updatedInput\":");
            let input = allow.updated_input.as_ref().unwrap_or(input);
            push_line(&mut text, input.as_str());
            if let Some(permissions) = &allow.updated_permissions {
                text.push_str(",\"updatedPermissions\":");
                push_line(&mut text, permissions.as_str());
            }
        }
        Decision::Deny(deny) => {
            text.push_str("{\"behavior\":\"deny\",\"message\":");
            push_string(&mut text, &deny.message);
            if deny.then == AfterDeny::Interrupt {
                text.push_str(",\"interrupt\":true");
            }
        }
    }
    text.push_str("}},\"uuid\":");
    push_string(&mut text, uuid);
    text.push_str("}\n");
    text.into()
}

/// The `control_response` that answers `request_id` with `response`.
pub fn success(request_id: &RequestId, response: &RawJson) -> ByteString {
    let mut text = success_head(request_id);
    push_line(&mut text, response.as_str());
    text.push_str("}}\n");
    text.into()
}

/// The `control_response` that says a request failed.
pub fn error(request_id: &RequestId, message: &str) -> ByteString {
    let mut text = String::from(
        "{\"type\":\"control_response\",\"response\":{\"subtype\":\"error\",\"request_id\":",
    );
    push_string(&mut text, request_id.as_str());
    text.push_str(",\"error\":");
    push_string(&mut text, message);
    text.push_str("}}\n");
    text.into()
}

/// The `auth` frame for peers that take the credential on the socket. It holds the secret: never log it.
pub fn auth(token: &Token) -> ByteString {
    #[derive(Serialize)]
    struct Credential<'a> {
        r#type: &'static str,
        token: &'a str,
    }
    #[derive(Serialize)]
    struct Auth<'a> {
        r#type: &'static str,
        credential: Credential<'a>,
    }
    let frame = Auth {
        r#type: "auth",
        credential: Credential {
            r#type: "oauth",
            token: token.expose(),
        },
    };
    let mut text = serde_json::to_string(&frame).unwrap_or_default();
    text.push('\n');
    text.into()
}

fn success_head(request_id: &RequestId) -> String {
    let mut text = String::from(
        "{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":",
    );
    push_string(&mut text, request_id.as_str());
    text.push_str(",\"response\":");
    text
}

fn push_string(text: &mut String, value: &str) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{decision::Allow, split};

    #[test]
    fn json_on_several_lines_is_written_on_one() {
        let id = RequestId::new("r1").unwrap();
        let spread = RawJson::parse("{\n\t\"a\": \"\\n\",\r\n\"b\": []\n}").unwrap();
        let allow = Decision::Allow(Allow {
            updated_permissions: Some(spread.clone()),
            ..Allow::default()
        });
        for written in [
            request(
                &id,
                "set_mode",
                &Fields::parse(spread.text().clone()).unwrap(),
            ),
            decision(&id, &allow, &spread, "u1"),
            success(&id, &spread),
        ] {
            assert_eq!(written.find(['\n', '\r']), Some(written.len() - 1));
            assert_eq!(split(&written).count(), 1);
            assert!(written.contains("\"a\": \"\\n\",  \"b\": []"));
        }
    }
}
