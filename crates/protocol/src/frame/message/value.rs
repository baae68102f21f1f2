//! Single values: texts, counters, opaque JSON, and fields that may be absent.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::{fmt, ops::Deref};

use serde::{Deserializer, de::Visitor};
use serde_json::value::RawValue;

use super::{
    Unmodelled,
    node::{Fault, Node, Path},
};
use crate::frame::JsonShape;

/// A text, borrowed from the frame unless it holds escapes. Reads as a `str`.
///
/// Surrogates without their other half, which JavaScript writes when it cuts a text, read as U+FFFD;
/// [`as_json`](Self::as_json) still has them. `Debug` shows the length, never the content.
#[derive(Clone)]
pub struct Text<'a> {
    json: &'a str,
    value: Cow<'a, str>,
}

impl<'a> Text<'a> {
    /// The JSON string as it stands in the frame.
    pub fn as_json(&self) -> &'a str {
        self.json
    }

    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        let json = raw.get();
        let value = match serde_json::from_str::<&'a str>(json) {
            Ok(borrowed) => Cow::Borrowed(borrowed),
            Err(_) => Cow::Owned(unescaped(json)?),
        };
        Some(Self { json, value })
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.value
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.value == *other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self.value == **other
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.value.len())
    }
}

/// Any JSON value, byte for byte. `Debug` shows the length, never the content.
#[derive(Copy, Clone)]
pub struct Json<'a>(&'a RawValue);

impl<'a> Json<'a> {
    /// The value as it stands in the frame.
    pub fn as_str(self) -> &'a str {
        self.0.get()
    }

    /// What kind of value this is.
    pub fn shape(self) -> JsonShape {
        match self.as_str().as_bytes().first() {
            Some(b'{') => JsonShape::Object,
            Some(b'[') => JsonShape::Array,
            Some(b'"') => JsonShape::String,
            Some(b't' | b'f') => JsonShape::Boolean,
            Some(b'n') => JsonShape::Null,
            _ => JsonShape::Number,
        }
    }

    pub(super) fn new(raw: &'a RawValue) -> Self {
        Self(raw)
    }

    pub(super) fn raw(self) -> &'a RawValue {
        self.0
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}

/// A quantity that some peers write as a number and some as a decimal string. It may be negative: a
/// turn count of -1 has been seen.
#[derive(Clone, Debug)]
pub struct Counter<'a> {
    json: &'a str,
    digits: Cow<'a, str>,
}

impl Counter<'_> {
    /// The quantity, if it is a whole number that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.digits.parse().ok()
    }

    /// The quantity as a float.
    pub fn as_f64(&self) -> f64 {
        self.digits.parse().unwrap_or(f64::NAN)
    }
}

/// A field that may be absent or `null`; both are kept apart, so that nothing changes on its way.
#[derive(Clone, Debug, Default)]
pub enum Maybe<T> {
    /// The field is not there.
    #[default]
    Absent,
    /// The field is `null`.
    Null,
    /// The field has a value.
    Is(T),
}

impl<T> Maybe<T> {
    /// The value, if there is one.
    pub fn as_ref(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl Maybe<Text<'_>> {
    /// The text, if there is one.
    pub fn as_str(&self) -> Option<&str> {
        self.as_ref().map(|text| &**text)
    }
}

impl<'a> Node<'a> for Text<'a> {
    fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
        Self::read(raw).ok_or_else(|| path.shape())
    }
    fn encode(&self, out: &mut String) {
        out.push_str(self.json);
    }
}

impl<'a> Node<'a> for Json<'a> {
    fn decode(raw: &'a RawValue, _path: Path<'_>) -> Result<Self, Fault> {
        Ok(Self(raw))
    }
    fn encode(&self, out: &mut String) {
        out.push_str(self.as_str());
    }
}

impl<'a> Node<'a> for Counter<'a> {
    fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
        let json = raw.get();
        let digits = match Json(raw).shape() {
            JsonShape::Number => Cow::Borrowed(json),
            JsonShape::String => Text::decode(raw, path)?.value,
            JsonShape::Object | JsonShape::Array | JsonShape::Boolean | JsonShape::Null => {
                return Err(path.shape());
            }
        };
        let decimal = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        if digits.bytes().all(decimal) && digits.parse::<f64>().is_ok() {
            Ok(Self { json, digits })
        } else {
            Err(path.shape())
        }
    }
    fn encode(&self, out: &mut String) {
        out.push_str(self.json);
    }
}

impl<'a, T: Node<'a>> Node<'a> for Maybe<T> {
    fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
        if raw.get() == "null" {
            return Ok(Self::Null);
        }
        T::decode(raw, path).map(Self::Is)
    }
    fn encode(&self, out: &mut String) {
        match self {
            Self::Is(value) => value.encode(out),
            Self::Absent | Self::Null => out.push_str("null"),
        }
    }
    fn absent(_path: Path<'_>) -> Result<Self, Fault> {
        Ok(Self::Absent)
    }
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
    fn unmodelled(&self, path: Path<'_>, found: &mut Vec<Unmodelled>) {
        if let Self::Is(value) = self {
            value.unmodelled(path, found);
        }
    }
}

/// The text of a JSON string with escapes in it; half surrogates become U+FFFD.
fn unescaped(json: &str) -> Option<String> {
    struct Wtf8Visitor;
    impl Visitor<'_> for Wtf8Visitor {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
    if !json.starts_with('"') {
        return None;
    }
    serde_json::Deserializer::from_str(json)
        .deserialize_bytes(Wtf8Visitor)
        .ok()
}
