//! The pieces views are made of: texts, counters, opaque JSON, and objects that keep their order.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Unmodelled;
use crate::frame::{JsonShape, permission::FieldTrouble};

/// Views nest at most this deep; what lies below is kept, but not looked into.
const DEPTH_LIMIT: usize = 32;

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

/// The fields of an object in their original order, byte for byte.
#[derive(Clone, Debug, Default)]
pub struct Fields<'a>(Vec<(Text<'a>, Json<'a>)>);

impl<'a> Fields<'a> {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Json<'a>)> + '_ {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }

    /// The value of the last field called `name`.
    pub fn find(&self, name: &str) -> Option<Json<'a>> {
        self.0
            .iter()
            .rev()
            .find_map(|(key, value)| (*key == *name).then_some(*value))
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes every field called `name` and decodes the last one.
    pub(super) fn take<T: Node<'a>>(&mut self, name: &str, at: Path<'_>) -> Result<T, Fault> {
        let path = at.field(name);
        let Some(value) = self.find(name) else {
            return T::absent(path);
        };
        self.0.retain(|(key, _)| *key != *name);
        T::decode(value.0, path)
    }

    /// Removes every field called `name`, whatever it holds.
    pub(super) fn drop(&mut self, name: &str) {
        self.0.retain(|(key, _)| *key != *name);
    }

    /// Writes the fields between braces that somebody else writes.
    pub(super) fn encode_into(&self, object: &mut ObjectWriter<'_>) {
        for (key, value) in &self.0 {
            object.raw(key.json, value.as_str());
        }
    }
}

/// Where in a frame something stands, as a chain up to the root.
#[derive(Copy, Clone)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
    depth: usize,
}

#[derive(Copy, Clone)]
enum Step<'p> {
    Field(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Field(""),
        depth: 0,
    };

    pub(super) fn field(&'p self, name: &'p str) -> Self {
        self.step(Step::Field(name))
    }

    pub(super) fn index(&'p self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    pub(super) fn is_too_deep(self) -> bool {
        self.depth > DEPTH_LIMIT
    }

    pub(super) fn missing(self) -> Fault {
        self.fault(FieldTrouble::Missing)
    }

    pub(super) fn shape(self) -> Fault {
        self.fault(FieldTrouble::Shape)
    }

    fn fault(self, trouble: FieldTrouble) -> Fault {
        Fault {
            path: self.to_string(),
            trouble,
        }
    }

    fn step(&'p self, step: Step<'p>) -> Self {
        Self {
            parent: Some(self),
            step,
            depth: self.depth + 1,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else {
            return Ok(());
        };
        parent.fmt(f)?;
        match self.step {
            Step::Field(name) => {
                if parent.parent.is_some() {
                    f.write_str(".")?;
                }
                // Names come from the peer and may hold anything, terminal escapes included.
                write!(f, "{}", name.escape_debug())
            }
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A known field that does not hold what it should.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: String,
    pub(super) trouble: FieldTrouble,
}

/// A part of a view: read from one JSON value, written back as the same value.
pub(super) trait Node<'a>: Sized {
    fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault>;
    fn encode(&self, out: &mut String);

    /// What an absent field means; an error for most.
    fn absent(path: Path<'_>) -> Result<Self, Fault> {
        Err(path.missing())
    }
    fn is_absent(&self) -> bool {
        false
    }
    fn unmodelled(&self, _path: Path<'_>, _found: &mut Vec<Unmodelled>) {}
}

/// Writes one object, field by field.
pub(super) struct ObjectWriter<'o> {
    out: &'o mut String,
    separator: char,
}

impl<'o> ObjectWriter<'o> {
    pub(super) fn open(out: &'o mut String) -> Self {
        Self {
            out,
            separator: '{',
        }
    }

    /// `key` is one of our own names, which need no escapes.
    pub(super) fn node<'a>(&mut self, key: &str, value: &impl Node<'a>) {
        if !value.is_absent() {
            self.key(key);
            value.encode(self.out);
        }
    }

    pub(super) fn tag(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.push('"');
        self.out.push_str(value);
        self.out.push('"');
    }

    pub(super) fn close(self) {
        if self.separator == '{' {
            self.out.push('{');
        }
        self.out.push('}');
    }

    fn key(&mut self, key: &str) {
        self.out.push(self.separator);
        self.separator = ',';
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    fn raw(&mut self, key: &str, value: &str) {
        self.out.push(self.separator);
        self.separator = ',';
        self.out.push_str(key);
        self.out.push(':');
        self.out.push_str(value);
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

impl<'a> Node<'a> for bool {
    fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
        match raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(path.shape()),
        }
    }
    fn encode(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
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

impl<'a, T: Node<'a>> Node<'a> for Vec<T> {
    fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
        let items: Vec<&'a RawValue> = serde_json::from_str(raw.get()).map_err(|_| path.shape())?;
        items
            .into_iter()
            .enumerate()
            .map(|(index, item)| T::decode(item, path.index(index)))
            .collect()
    }
    fn encode(&self, out: &mut String) {
        out.push('[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            item.encode(out);
        }
        out.push(']');
    }
    fn unmodelled(&self, path: Path<'_>, found: &mut Vec<Unmodelled>) {
        for (index, item) in self.iter().enumerate() {
            item.unmodelled(path.index(index), found);
        }
    }
}

impl<'a> Node<'a> for Fields<'a> {
    fn decode(raw: &'a RawValue, path: Path<'_>) -> Result<Self, Fault> {
        serde_json::from_str(raw.get()).map_err(|_| path.shape())
    }
    fn encode(&self, out: &mut String) {
        let mut object = ObjectWriter::open(out);
        self.encode_into(&mut object);
        object.close();
    }
    fn unmodelled(&self, path: Path<'_>, found: &mut Vec<Unmodelled>) {
        for (key, _) in self.iter() {
            found.push(Unmodelled::Field {
                path: path.field(key).to_string(),
            });
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    let key = Text::read(key)
                        .ok_or_else(|| serde::de::Error::custom("a name is a string"))?;
                    fields.push((key, Json(value)));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
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
