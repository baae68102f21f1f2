//! What every part of a view can do, and where in a frame it stands.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde_json::value::RawValue;

use super::Unmodelled;
use crate::frame::permission::FieldTrouble;

/// Views nest at most this deep; what lies below is kept, but not looked into.
const DEPTH_LIMIT: usize = 32;

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
