//! Objects: fields that keep their order, and the writer that puts them back.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    Json, Text, Unmodelled,
    node::{Fault, Node, Path},
};

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
        T::decode(value.raw(), path)
    }

    /// Removes every field called `name`, whatever it holds.
    pub(super) fn drop(&mut self, name: &str) {
        self.0.retain(|(key, _)| *key != *name);
    }

    /// Writes the fields between braces that somebody else writes.
    pub(super) fn encode_into(&self, object: &mut ObjectWriter<'_>) {
        for (key, value) in &self.0 {
            object.raw(key.as_json(), value.as_str());
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
                    fields.push((key, Json::new(value)));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
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
