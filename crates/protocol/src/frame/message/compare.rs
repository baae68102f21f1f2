//! Whether two JSON texts say the same.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde_json::value::RawValue;

use super::{Fields, Json, Text};
use crate::frame::JsonShape;

/// Texts that differ below this depth count as different.
const DEPTH_LIMIT: usize = 128;

/// Whether `left` and `right` are the same JSON value: white space, escapes, and the order of fields
/// aside; of a field that stands there twice the last one counts.
///
/// Parts with the same bytes are not looked into, so their depth does not matter.
pub fn same_json(left: &str, right: &str) -> bool {
    let parse = |text| serde_json::from_str::<&RawValue>(text);
    match (parse(left), parse(right)) {
        (Ok(left), Ok(right)) => same(left, right, DEPTH_LIMIT),
        _ => false,
    }
}

fn same(left: &RawValue, right: &RawValue, depth: usize) -> bool {
    if left.get() == right.get() {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    let shape = Json::new(left).shape();
    if shape != Json::new(right).shape() {
        return false;
    }
    match shape {
        JsonShape::Object => same_objects(left, right, depth),
        JsonShape::Array => same_arrays(left, right, depth),
        JsonShape::String => match (Text::read(left), Text::read(right)) {
            (Some(left), Some(right)) => *left == *right,
            _ => false,
        },
        JsonShape::Number => {
            let value = |raw: &RawValue| serde_json::from_str::<serde_json::Number>(raw.get()).ok();
            value(left).is_some_and(|left| Some(left) == value(right))
        }
        // Of these, equal values have equal bytes.
        JsonShape::Boolean | JsonShape::Null => false,
    }
}

fn same_objects(left: &RawValue, right: &RawValue, depth: usize) -> bool {
    fn fields(raw: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
        let fields: Fields<'_> = serde_json::from_str(raw.get()).ok()?;
        Some(
            fields
                .iter()
                .map(|(key, value)| (String::from(key), value.raw()))
                .collect(),
        )
    }
    let (Some(left), Some(right)) = (fields(left), fields(right)) else {
        return false;
    };
    left.len() == right.len()
        && left
            .into_iter()
            .zip(right)
            .all(|((key, left), (other, right))| key == other && same(left, right, depth))
}

fn same_arrays(left: &RawValue, right: &RawValue, depth: usize) -> bool {
    fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
        serde_json::from_str(raw.get()).ok()
    }
    let (Some(left), Some(right)) = (items(left), items(right)) else {
        return false;
    };
    left.len() == right.len()
        && left
            .into_iter()
            .zip(right)
            .all(|(left, right)| same(left, right, depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_space_and_escapes_do_not_matter_but_values_do() {
        assert!(same_json(
            r#"{"a":1,"b":["x"]}"#,
            r#"{ "b":["\u0078"], "a":1 }"#
        ));
        assert!(same_json(r#"{"a":1,"a":2}"#, r#"{"a":2}"#));
        assert!(!same_json(r#"{"a":1}"#, r#"{"a":1.0}"#));
        assert!(!same_json(r#"{"a":null}"#, "{}"));
        assert!(!same_json("[1,2]", "[2,1]"));
        assert!(!same_json("[", "["));
    }
}
