//! JSON texts that are kept as they came.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
};
use core::fmt;

use bytestring::ByteString;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Any one JSON value, checked to be valid and kept byte for byte.
///
/// Cloning is cheap. `Debug` shows the length, never the content.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(ByteString);

impl RawJson {
    /// Checks that `text` is one JSON value.
    ///
    /// # Errors
    /// [`MalformedJson`] says at which line and column reading stopped.
    pub fn parse(text: impl Into<ByteString>) -> Result<Self, MalformedJson> {
        let text = text.into();
        serde_json::from_str::<IgnoredAny>(&text).map_err(|error| MalformedJson::from(&error))?;
        let trimmed = text.slice_ref(text.trim());
        Ok(Self(trimmed))
    }

    /// The JSON string that says `text`.
    pub fn string(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string().into())
    }

    /// The value of the field `raw` of `text`, which a parse of `text` has validated.
    pub(crate) fn within(text: &ByteString, raw: &serde_json::value::RawValue) -> Self {
        Self(text.slice_ref(raw.get()))
    }

    /// The value as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value's text, sharing its memory.
    pub fn text(&self) -> &ByteString {
        &self.0
    }

    /// What kind of value this is.
    pub fn shape(&self) -> JsonShape {
        match self.0.as_bytes().first() {
            Some(b'{') => JsonShape::Object,
            Some(b'[') => JsonShape::Array,
            Some(b'"') => JsonShape::String,
            Some(b't' | b'f') => JsonShape::Boolean,
            Some(b'n') => JsonShape::Null,
            _ => JsonShape::Number,
        }
    }

    /// Whether both say the same, white space and the order of fields aside.
    pub fn same_value(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        matches!((value(&self.0), value(&other.0)), (Some(left), Some(right)) if left == right)
    }
}

/// The kind of a JSON value.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum JsonShape {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `null`
    Null,
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}

impl serde::Serialize for RawJson {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let raw: &serde_json::value::RawValue =
            serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Where reading a JSON text stopped. Carries no piece of the text itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at line {line}, column {column}")]
pub struct MalformedJson {
    /// What kind of trouble it was.
    pub reason: MalformedReason,
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1; 0 before the first byte.
    pub column: usize,
}

/// The kinds of trouble in a JSON text.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedReason {
    /// The text breaks JSON's grammar.
    #[error("broken syntax")]
    Syntax,
    /// The text ends too early.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// Valid JSON of another shape than was wanted.
    #[error("unexpected shape")]
    Shape,
}

impl From<&serde_json::Error> for MalformedJson {
    fn from(error: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        let reason = match error.classify() {
            Category::Data => MalformedReason::Shape,
            Category::Eof => MalformedReason::UnexpectedEnd,
            Category::Syntax | Category::Io => MalformedReason::Syntax,
        };
        Self {
            reason,
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Reads the JSON object `text`. (By itself, a derived struct would be read from an array as well.)
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, MalformedJson> {
    if !text.trim_start().starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| MalformedJson::from(&error))?;
        return Err(MalformedJson {
            reason: MalformedReason::Shape,
            line: 1,
            column: 0,
        });
    }
    serde_json::from_str(text).map_err(|error| MalformedJson::from(&error))
}

/// A string if there is one; any other value counts as none.
#[derive(Default)]
pub(super) struct Lenient<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Lenient<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientVisitor)
    }
}

struct LenientVisitor;

impl<'de> Visitor<'de> for LenientVisitor {
    type Value = Lenient<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Lenient(Some(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Lenient(Some(Cow::Owned(String::from(text)))))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Lenient(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Lenient(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Lenient(None))
    }
}

/// Appends a JSON text to one line. A line break ends a frame, and inside valid JSON it can only be
/// white space: it becomes a space.
pub(crate) fn push_line(line: &mut String, json: &str) {
    let mut pieces = json.split(['\n', '\r']);
    line.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        line.push(' ');
        line.push_str(piece);
    }
}

/// A part of a text of `whole` bytes, which keeps all of them in memory: a copy if that is more than twice
/// what is needed.
pub(crate) fn detached(part: ByteString, whole: usize) -> ByteString {
    if part.len() < whole / 2 {
        ByteString::from(&*part)
    } else {
        part
    }
}

/// `found` as text that shares the memory of `text` when it lies inside.
pub(super) fn shared(text: &ByteString, found: Cow<'_, str>) -> ByteString {
    match found {
        Cow::Borrowed(inside) => text.slice_ref(inside),
        Cow::Owned(unescaped) => ByteString::from(unescaped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_shape_it_begins_with() {
        for (text, shape) in [
            ("{}", JsonShape::Object),
            ("[]", JsonShape::Array),
            ("\"1\"", JsonShape::String),
            ("-1", JsonShape::Number),
            ("true", JsonShape::Boolean),
            ("false", JsonShape::Boolean),
            ("null", JsonShape::Null),
        ] {
            assert_eq!(RawJson::parse(text).unwrap().shape(), shape, "{text}");
        }
    }

    #[test]
    fn a_small_part_lets_go_of_the_whole_and_a_large_one_is_not_copied() {
        let whole = ByteString::from("0123456789");
        for (length, is_copied) in [(1, true), (4, true), (5, false), (10, false)] {
            let part = whole.slice_ref(&whole[..length]);
            let kept = detached(part.clone(), whole.len());
            assert_eq!(kept, part);
            assert_eq!(kept.as_ptr() != part.as_ptr(), is_copied, "{length}");
        }
    }
}
