//! Our answer to a prompt, and how others' are read.

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::Value;

use crate::frame::relay::Behavior;

#[derive(Clone)]
pub(super) struct Answer {
    pub(super) text: ByteString,
    pub(super) uuid: ByteString,
    pub(super) behavior: Behavior,
    pub(super) needs: Needs,
    pub(super) goes: Goes,
}

/// How often an answer goes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    Once,
    Again,
}

impl Answer {
    /// The same once more.
    pub(super) fn again(&self) -> Self {
        Self {
            goes: Goes::Again,
            ..self.clone()
        }
    }
}

/// What must hold before an answer may be sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    OpenPrompt,
    Nothing,
}

impl core::fmt::Debug for Answer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Answer({} bytes, {:?})", self.text.len(), self.needs)
    }
}

/// Whether two responses say the same.
pub(super) fn same_response(one: &str, other: &str) -> bool {
    #[derive(Deserialize)]
    struct Body {
        response: Value,
    }
    let body = |text: &str| serde_json::from_str::<Body>(text).ok();
    matches!((body(one), body(other)), (Some(one), Some(other)) if one.response == other.response)
}

/// What a response to a prompt says.
pub(super) fn behavior(response: &str) -> Option<Behavior> {
    #[derive(Deserialize)]
    struct Outer {
        response: Body,
    }
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        response: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        behavior: Behavior,
    }
    let outer: Outer = serde_json::from_str(response).ok()?;
    Some(match outer.response.response {
        Some(inner) => inner.behavior,
        None => Behavior::Error,
    })
}
